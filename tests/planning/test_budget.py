"""Length and intervals from a measured step: the parts of a run fill its time, and not more."""

from dataclasses import replace

import pytest

from transgan.planning import Facts, Measured, spend

FACTS = Facts(50_000, 32, False, (), "cpu", 2, False, True, minutes=20)
STEP = Measured(500.0, 1, {1: 500.0, 2: 400.0}, 0.001, 0.001, 30.0, None, 10**9, 10**10)


def chosen(facts=FACTS, measured=STEP, batch=64, given=()):
    return {each.key: each.value for each in spend(facts, measured, batch, given)}


@pytest.mark.parametrize("minutes", [1, 5, 20, 600])
@pytest.mark.parametrize("speed", [2.0, 50.0, 500.0, 20_000.0])
@pytest.mark.parametrize("extracting", [0.0005, 0.024, 0.3])
def test_the_parts_fill_the_time(minutes, speed, extracting):
    measured = replace(STEP, images_per_second=speed, extracting=extracting, before=10.0)
    found = chosen(replace(FACTS, minutes=minutes, count=10**7), measured)
    training = 1000 * found["kimg"] / speed
    evaluations = found["kimg"] / found["evaluate_every"] + 1
    measuring = evaluations * found["metrics.num_samples"] * (measured.generating + extracting)
    assert training + 10 <= 1.01 * 60 * minutes or 1000 * found["kimg"] <= 129
    if measuring < 6 * minutes and 1000 * found["kimg"] > 1000:
        assert training + measuring + 10 == pytest.approx(60 * minutes, rel=0.12)
    assert found["metrics.num_samples"] <= 10_000
    assert found["checkpoint_every"] / speed * 1000 <= 601 or found["checkpoint_every"] <= 0.064
    assert found["sample_every"] <= found["kimg"] or found["kimg"] <= 0.2


def test_few_images_are_not_shown_for_ever():
    assert chosen(replace(FACTS, count=100))["kimg"] == 500
    assert chosen(replace(FACTS, count=4))["kimg"] == 100


def test_a_distance_is_of_two_images_at_least():
    assert [chosen(replace(FACTS, count=count))["metrics.num_samples"] for count in (1, 2, 3)] == [2, 2, 3]


def test_threads_and_micro_batch_only_where_there_was_a_choice():
    assert chosen()["threads"] == 1
    assert "threads" not in chosen(measured=replace(STEP, threads=None)) and "micro_batch" not in chosen()
    assert chosen(measured=replace(STEP, micro_batch=16))["micro_batch"] == 16


@pytest.mark.parametrize("kimg", [0.2, 1, 2000])
def test_a_length_that_is_given_has_intervals_of_its_own(kimg):
    """And what is said of each is true."""
    found = {each.key: each for each in spend(FACTS, STEP, 64, {"kimg"}, kimg)}
    lines, times = kimg / found["log_every"].value, kimg / found["evaluate_every"].value
    assert 200 >= lines >= min(199, kimg / 0.064 - 1) and found["log_every"].why == f"{lines:.0f} lines of stats.csv"
    assert 1 <= times <= 8.1 and found["evaluate_every"].why.startswith(f"{times:.0f} time")
    for key in ("sample_every", "checkpoint_every"):
        assert found[key].value <= kimg, found[key]
    seconds = (times + 1) * found["metrics.num_samples"].value * 0.002
    share = seconds / (seconds + 1000 * kimg / 500)
    said = float(found["metrics.num_samples"].why.partition("%")[0]) / 100
    assert said == pytest.approx(share, abs=0.02)


def test_what_is_given_stays():
    assert not {"kimg", "threads"} & set(chosen(given={"kimg", "threads"}))
