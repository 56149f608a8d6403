"""Length and intervals from a measured step: the parts of a run fill its time, and not more."""

import math
from dataclasses import replace

import pytest

from transgan.callbacks.interval import Interval
from transgan.planning import Beside, Facts, Measured, spend
from transgan.planning.beside import moments
from transgan.planning.budget import up

FACTS = Facts(50_000, 32, False, (), "cpu", 2, False, True, minutes=20)
STEP = Measured(500.0, 1, {1: 500.0, 2: 400.0}, 0.001, 0.001, 30.0, None, 10**9, 10**10)


def chosen(facts=FACTS, measured=STEP, batch=64, given=(), beside=None):
    return {each.key: each.value for each in spend(facts, measured, batch, given, beside=beside)}


def seconds_of(found, measured, beside=None, samples=None):
    """-> (seconds of training, seconds of all else after the first step)"""
    kimg, samples = found["kimg"], samples or found["metrics.num_samples"]
    training = 1000 * kimg / measured.images_per_second
    every = found["evaluate_every"], found["sample_every"]
    return training, (beside or Beside()).seconds(measured.costs, samples, kimg, training, *every)


@pytest.mark.parametrize("minutes", [1, 5, 20, 600])
@pytest.mark.parametrize("speed", [2.0, 50.0, 500.0, 20_000.0])
@pytest.mark.parametrize("extracting", [0.0005, 0.024, 0.3])
@pytest.mark.parametrize("generating, likelihood", [(0.001, 0.0), (0.04, 2.0)])
def test_the_parts_fill_the_time(minutes, speed, extracting, generating, likelihood):
    measured = replace(
        STEP, images_per_second=speed, extracting=extracting, before=10.0, generating=generating, likelihood=likelihood
    )
    found = chosen(replace(FACTS, minutes=minutes, count=10**7), measured)
    training, other = seconds_of(found, measured)
    least = 0.3 * (60 * minutes - 10)  # of training, where nothing else can be made less
    assert training + other + 10 <= 1.02 * 60 * minutes or training <= 1.01 * least or found["kimg"] <= 0.129
    if other < 30 * minutes and found["kimg"] > 1:
        assert training + other + 10 == pytest.approx(60 * minutes, rel=0.05)
    assert found["metrics.num_samples"] <= 10_000
    grid = 100 * generating
    assert found["checkpoint_every"] / speed * 1000 <= 606 or found["checkpoint_every"] <= 0.065
    assert found["sample_every"] / speed * 1000 >= min(20 * grid, 0.99 * training) - 1e-6
    assert found["sample_every"] <= 1.01 * found["kimg"] or found["kimg"] <= 0.2


def test_grids_health_and_likelihood_are_paid_for():
    """One line says each: with as many of them, training is shorter by what they take."""
    slow = replace(STEP, generating=0.04, likelihood=3.0)
    facts = replace(FACTS, minutes=5)
    bare = chosen(facts, slow, beside=Beside(grid=0, health=0))
    whole = chosen(facts, slow)
    assert whole["kimg"] < bare["kimg"]
    alike = chosen(facts, slow, beside=Beside(sample_every=0.5))
    many = 1000 * alike["kimg"] / 500 / (1000 * 0.5 / 500)  # grids of the user's own interval, 4 s each
    assert 4 * many == pytest.approx(seconds_of(alike | {"sample_every": 0.5}, slow)[1], abs=90)


def test_where_a_thousand_images_take_too_long_there_are_fewer():
    measured = replace(STEP, generating=0.04, extracting=0.0)
    found = chosen(replace(FACTS, minutes=5), measured)
    assert 100 <= found["metrics.num_samples"] < 1000
    assert 4 * found["metrics.num_samples"] * 0.04 <= 0.1 * 270
    assert chosen(replace(FACTS, minutes=60), measured)["metrics.num_samples"] >= 1000
    assert chosen(replace(FACTS, minutes=0.1), replace(measured, generating=1.0))["metrics.num_samples"] == 100


@pytest.mark.parametrize("more", [{"samples": 20_000}, {"blocks": 3}, {"samples": 500, "blocks": 3}])
def test_images_that_are_given_and_blocks_are_counted(more):
    """They take their time from training, and are made less often."""
    measured, facts = replace(STEP, generating=0.005), replace(FACTS, minutes=5, count=1800)
    beside = Beside(**more)
    found = {each.key: each for each in spend(facts, measured, 64, beside=beside)}
    values = {key: each.value for key, each in found.items()}
    samples = more.get("samples", values["metrics.num_samples"])
    assert values["metrics.num_samples"] == samples
    training, other = seconds_of(values, measured, beside, samples)
    assert training + other + 30 == pytest.approx(300, rel=0.02) or training == pytest.approx(0.3 * 270, rel=0.02)
    times = moments(values["kimg"], values["evaluate_every"])
    said = f"3 x {samples:,} images" if "blocks" in more else f"{samples:,} images"
    assert f"with {said} made and measured {times} time" in found["kimg"].why
    if times > 1:
        assert (times + 2) * samples * more.get("blocks", 1) * 0.006 <= 0.11 * 270


def test_without_distances_none_are_spoken_of():
    found = {each.key: each for each in spend(FACTS, STEP, 64, beside=Beside(distances=False))}
    assert "measured" not in found["kimg"].why and found["kimg"].value > chosen()["kimg"]


def test_a_large_evaluation_is_left_out_as_its_share_has_it():
    """What evaluate_share leaves out is not announced: the first and the last of these are made, and the best again."""
    costs, many = STEP.costs, {"samples": 50_000, "share": 0.25}
    spent = Beside(**many).evaluations(costs, 50_000, 10, 100.0)
    assert spent == 3 * Beside(**many).evaluation(costs, 50_000) == 300.0
    assert Beside(samples=50_000).evaluations(costs, 50_000, 10, 100.0) == 1100.0
    assert Beside(samples=50_000, processes=2).evaluation(costs, 50_000) == 50.0


@pytest.mark.parametrize("speed", [3.7, 61.0, 259.3, 1234.0])
@pytest.mark.parametrize("minutes", [1, 3, 5, 20, 47])
@pytest.mark.parametrize("batch", [16, 64])
def test_there_are_as_many_evaluations_as_are_announced(speed, minutes, batch):
    found = {
        each.key: each for each in spend(replace(FACTS, minutes=minutes), replace(STEP, images_per_second=speed), batch)
    }
    kimg, every = found["kimg"].value, found["evaluate_every"].value
    interval = Interval(every, kimg, spaced=True)
    ends = range(batch, math.ceil(1000 * kimg / batch) * batch + 1, batch)
    due = [images for images in ends if interval.due(images, batch)]
    assert found["evaluate_every"].why.split()[0] == str(len(due)), (kimg, every, due)
    assert all(after - before >= 500 * every - batch for before, after in zip(due, due[1:], strict=False))


def test_intervals_are_rounded_up():
    for value in (77.8 / 8, 9.725, 0.0097251, 1234.5, 99.91, 0.1, 12.0, 1000.0, 0.999999):
        found = up(value)
        assert value <= found * (1 + 1e-5) and found <= 1.01 * value and float(f"{found:.3g}") == found
    assert up(1e-9) == 0.001


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
    one = found["metrics.num_samples"].value * 0.002
    shares = [(times + again) * one / ((times + again) * one + 1000 * kimg / 500) for again in (1, 2)]
    said = float(found["metrics.num_samples"].why.partition("%")[0]) / 100
    assert shares[0] - 0.02 <= said <= shares[1] + 0.02  # with an untrained generator's, where that is cheap


def test_what_is_given_stays():
    assert not {"kimg", "threads"} & set(chosen(given={"kimg", "threads"}))
