"""The rules of a run's health: each word from the numbers that mean it, and none from those of a healthy run."""

import math
from dataclasses import replace

import pytest

from transgan.callbacks.diagnosis import ALARMS, GAP, HEAVIER, NEAR, STILL, VARIETY, WON, WORDS, diagnosis, urgent
from transgan.callbacks.remedies import USUAL

GOOD = {
    "skipped": 0.0, "steps": 60.0, "discriminator_accuracy": 0.6, "grad_norm_g": 2.0, "grad_norm_d": 1.0, "grad_norm_g_peak": 4.0,
    "grad_norm_d_peak": 2.0, "spread_features": 0.9, "real_spread": 1.6, "labels": 100.0, "grid_spread": 0.9,
    "grid_change": 0.5, "grid_nearest": 1.0, "discriminator_gap": 0.52,
    "growth_g": 1.02, "growth_d": 1.02,
}  # fmt: skip


def moments(*distances, **changes):
    """A moment for each distance, every 4 kimg; `changes` in all but the first."""
    return [
        GOOD | {"kimg": 4.0 * (i + 1), "distance": value} | (changes if i else {}) for i, value in enumerate(distances)
    ]


def word(*distances, **changes):
    return diagnosis(moments(*distances, **changes)).word


def test_a_healthy_run_warms_up_improves_and_is_flat():
    assert diagnosis([]).word == word(50.0) == "warming up"
    assert word(50.0, 20.0) == word(50.0, 20.0, 10.0, 9.0) == "improving"
    assert word(50.0, 10.0, 10.1, 9.95, 10.2) == "flat"


def test_a_run_is_not_done_after_two_evaluations():
    """What is said of the last ones is of as many as there were; and patience is not advised to a run that has it."""
    two, three = diagnosis(moments(50.0, 50.1)), diagnosis(moments(50.0, 50.1, 50.2))
    assert "since the last evaluation" in two.reason and "within 2 evaluations" in three.reason
    assert two.remedy == three.remedy == ""
    history = moments(50.0, 50.1, 50.2, 50.3)
    assert "within 3 evaluations" in diagnosis(history).reason and "patience=5" in diagnosis(history).remedy
    patient = diagnosis(history, replace(USUAL, ends_by_itself=True)).remedy
    assert "patience" not in patient and "the run may be done" in patient


def test_of_evaluations_that_failed_none_is_advised():
    history = [{key: value for key, value in each.items() if key != "distance"} for each in moments(1.0, 1.0)]
    assert "metrics=fast" in diagnosis(history).remedy
    failed = diagnosis([each | {"failed": 1.0} for each in history])
    assert failed.word == "warming up" and "log.txt" in failed.reason and failed.remedy == ""


def test_improving_is_robust_to_noise():
    assert word(10.0, 10.0, 9.9, 9.9, 10.0) == "flat"  # by less than the margin
    assert word(10.0, 9.0, 9.4, 9.2) == "improving"  # worse than the best, but a better one was recent
    assert word(9.0, 10.0, 9.8, 9.6, 9.4) == "flat"  # better than its predecessor, never than the best


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"broken": 1.0}, "diverging"),
        ({"skipped": 9.0}, "diverging"),
        ({"grad_norm_g_peak": 1e4}, "diverging"),
        ({"growth_g": 2 * HEAVIER, "grid_spread": 0.1}, "diverging"),
        ({"growth_d": 2 * HEAVIER}, "diverging"),
        ({"grid_spread": VARIETY / 2}, "low variety"),
        ({"spread_features": VARIETY / 2}, "low variety"),
        ({"real_spread": 0.0}, "low variety"),
        ({"grid_change": STILL / 2}, "discriminator wins"),
        ({"discriminator_accuracy": (1 + WON) / 2}, "discriminator wins"),
        ({"discriminator_gap": (1 + GAP) / 2}, "overfitting"),
        ({"grid_nearest": NEAR / 2}, "overfitting"),
        ({"labels": 1.0}, "flat"),
    ],
)
def test_a_number_that_is_wrong_has_its_word(change, expected):
    found = diagnosis(moments(50.0, 50.0, 50.0, **change))
    assert found.word == expected and found.reason and (expected == "flat" or found.alarm)
    assert any(f"{key}" in found.remedy for key in ("algorithm.", "data check", "augmentation="))


@pytest.mark.parametrize("first", [{}, {"distance": 63.5}, {"distance": 63.5, "grid_spread": 0.2}])
def test_before_the_second_look_no_evaluations_are_counted(first):
    """There may be two by then, one before the first step, or none with metrics=none."""
    for history in ([], [{"kimg": 4.0} | first]):
        assert diagnosis(history).word == "warming up" and "evaluation" not in str(diagnosis(history))


@pytest.mark.parametrize("key", ["grid_spread", "spread_features"])
def test_a_generator_that_has_hardly_moved_is_not_to_learn_more_slowly(key):
    """An untrained one has little variety, too; one that had more, or that moves and gets nowhere, has collapsed."""

    def found(values, distances, change):
        history = [each | {"grid_change": change} for each in moments(*distances)]
        return diagnosis([each | {key: value} for each, value in zip(history, values, strict=True)])

    new = found((0.17, 0.171, 0.1715), (63.5, 63.4, 63.4), 0.02)
    assert new.word == "low variety" and "hardly begun" in new.reason
    assert new.remedy.startswith("raise algorithm.generator_lr") and "give a larger kimg=" in new.remedy
    collapsed = [
        found((0.9, 0.2, 0.2), (63.5, 63.4, 63.4), 0.02),
        found((0.1, 0.1, 0.1), (63.5, 63.4, 63.4), 0.9),
        found((0.0, 0.0, 0.0), (63.5, 50.0, 40.0), 0.3),
        found((0.0, 0.0, 0.0), (63.5, 63.4, 63.4), 0.02),
    ]
    for each in collapsed:
        assert each.word == "low variety" and "lower algorithm.generator_lr" in each.remedy
    assert found((0.22, 0.26, 0.29), (57.1, 50.0, 45.5), 0.3).word == "improving"  # slowly


@pytest.mark.parametrize("usual", [0.5, 4.0, 100.0])
def test_images_that_had_no_time_to_change_are_no_alarm(usual):
    """Two moments that follow each other closely, by the clock or where a finished run goes on."""
    history = [each | {"kimg": usual * (i + 1)} for i, each in enumerate(moments(50.0, 40.0, 30.0, 29.0))]
    still = {"grid_change": STILL / 2}
    near = history[-1] | still | {"kimg": history[-2]["kimg"] + 0.064 * usual}
    assert diagnosis([*history[:-1], near]).word == "improving"
    assert diagnosis([*history[:-1], history[-1] | still]).alarm
    second = history[0] | still | {"kimg": 1.01 * usual}
    assert not diagnosis([history[0], second]).alarm


def test_a_distance_that_rises_diverges():
    assert word(50.0, 10.0, 25.0) == "improving"  # once
    assert word(50.0, 10.0, 25.0, 30.0) == "diverging"


def test_nothing_but_what_is_not_finite_is_said_of_the_first_moment():
    bad = GOOD | {"kimg": 4.0, "distance": 50.0, "grid_spread": 0.0, "grid_nearest": 0.0, "discriminator_accuracy": 1.0}
    assert diagnosis([bad]).word == "warming up"
    assert diagnosis([bad | {"broken": 1.0}]).word == "diverging"


def test_what_cannot_wait_is_said_between_two_evaluations():
    good = moments(50.0, 20.0)
    assert urgent(good) is None and urgent([{"kimg": 0.1, "steps": 10.0, "skipped": 0.0}]) is None
    assert urgent([*good, {"kimg": 9.0, "steps": 10.0, "skipped": 2.0}]) is None  # two may happen
    assert urgent([*good, {"kimg": 9.0, "steps": 10.0, "skipped": 3.0}]).word == "diverging"
    assert urgent([*good, {"kimg": 9.0, "grad_norm_d": 50.0, "grad_norm_d_peak": 5000.0}]).word == "diverging"


def test_a_discriminator_that_is_right_does_not_win_while_the_distance_falls():
    assert word(50.0, 40.0, 30.0, discriminator_accuracy=1.0) == "improving"
    right = [{"kimg": 4.0 * i, "discriminator_accuracy": 1.0} for i in range(1, 5)]  # where no distance is measured
    assert [diagnosis(right[:i]).word for i in (1, 2, 3)] == ["warming up", "warming up", "discriminator wins"]


def test_a_discriminator_that_pulls_away_wins():
    shares = (0.86, 0.74, 0.85)
    pulling = [each | {"discriminator_accuracy": value} for each, value in zip(moments(9, 5, 5), shares, strict=True)]
    assert diagnosis(pulling).word == "discriminator wins"
    assert diagnosis([*pulling[:2], pulling[2] | {"distance": 4.0}]).word == "improving"
    assert diagnosis([*pulling[:2], pulling[2] | {"discriminator_accuracy": 0.8}]).word == "improving"


def test_what_must_last_is_not_said_after_one_moment():
    for change in ({"grid_nearest": NEAR / 2}, {"discriminator_gap": 0.9}):
        history = moments(50.0, 50.0, 50.0)
        assert diagnosis([*history[:2], history[2] | change]).word == "flat"
        assert diagnosis([history[0], *(each | change for each in history[1:])]).alarm


def test_an_input_gradient_that_grows_is_a_discriminator_that_wins():
    growing = [each | {"r1": value} for each, value in zip(moments(9.0, 5.0, 3.0), (2.5, 2.7, 10.0), strict=True)]
    assert diagnosis(growing).word == "discriminator wins" and "algorithm.gamma.start" in diagnosis(growing).remedy
    assert diagnosis([each | {"r1": each["r1"] / 100} for each in growing]).word == "improving"


def test_what_a_run_cannot_measure_raises_no_alarm():
    bare = [{"kimg": 4.0 * i, "skipped": 0.0} for i in range(1, 6)]
    assert diagnosis(bare).word == "warming up"
    assert diagnosis([each | {"distance": 9.0} for each in bare]).word == "flat"


def test_held_out_bits_that_rise_overfit():
    bits = [3.0, 2.5, 2.7, 2.8]
    history = [{"kimg": float(i), "skipped": 0.0, "bits": value} for i, value in enumerate(bits)]
    assert diagnosis(history).word == "overfitting"
    assert diagnosis(history[:2]).word == "improving"


def test_words_are_those_that_are_documented():
    assert set(ALARMS) < set(WORDS) and len(set(WORDS)) == 7
    assert str(diagnosis(moments(50.0, 50.0, grid_spread=0.0))).count("; ") == 1
    assert math.isfinite(VARIETY)
