"""What a few steps say of a run, where not every step has all that a step may have."""

import pytest
import torch

from transgan.config.compose import compose
from transgan.data import Digits
from transgan.instantiation import container
from transgan.penalties import R1R2, Lazy, Subsampled
from transgan.runs import measuring
from transgan.runs.live_bytes import LiveBytes
from transgan.runs.measuring import FEW, Footprint, Kinds, Trial

CPU = torch.device("cpu")
TINY = [
    "experiment=digits", "matching=none", "generator.dim=[16]", "generator.depth=[1]", "generator.num_heads=[2]",
    "generator.style_dim=16", "discriminator.dim=[16]", "discriminator.depth=[1]", "discriminator.num_heads=[2]",
]  # fmt: skip
LAZY = ["penalty=r1_lazy", "penalty.every=4"]
RARE = {
    "n_critic": (["algorithm.n_critic=5", "penalty=none"], 5),
    "lazy penalty": (LAZY, 4),
    "both, never in one step": (["algorithm.n_critic=4", *LAZY], 4),
    "both, sometimes in one": (["algorithm.n_critic=2", "penalty=r1_lazy", "penalty.every=3"], 6),
}


def trial(*words):
    return Trial(container(compose("train", [*TINY, *words])), Digits(8, 1), None, CPU)


def really(words, period, count):
    """Bytes at the peak of two whole periods, one step after the other."""
    one = trial(*words)
    one.kinds = Kinds([0], [1])
    held = sum(each.untyped_storage().nbytes() for each in (*one.module.parameters(), *one.module.buffers()))
    with LiveBytes() as live:
        one.fit(count, lambda times: len(times) >= 2 * period)
    return held + live.peak


@pytest.mark.parametrize("rare", RARE)
def test_the_memory_is_that_of_the_fullest_step(rare):
    words, period = RARE[rare]
    one = trial(*words)
    assert one.module.period == period
    found = one.footprint(64, 2**40)
    for count in (FEW[0], 48):
        assert found.of(count) == pytest.approx(really(words, period, count), rel=0.03)


@pytest.mark.parametrize("share", [0.084, 0.05, 0.03])
def test_a_penalty_on_few_images_is_in_the_memory(share):
    words = ["penalty=r1_r2_part", f"penalty.share={share}"]
    found = trial(*words).footprint(48, 2**40)
    assert found.of(48) == pytest.approx(really(words, 1, 48), rel=0.005)


def test_many_images_are_counted_only_where_they_fit(monkeypatch):
    counted = []
    monkeypatch.setattr(Trial, "line", lambda self, *few: counted.append(few) or Footprint(0.0, 10.0))
    for share, batch, free in ((0.25, 64, 10**9), (0.05, 64, 10**9), (0.05, 64, 500), (0.03, 48, 10**9)):
        trial("penalty=r1_r2_part", f"penalty.share={share}").footprint(batch, free)
    assert counted == [FEW, FEW, (20, 40), FEW, FEW, (FEW[0], 48)]


@pytest.mark.parametrize("unit", [0.001, 1.0])  # in seconds: steps that are repeated, and steps longer than LONG
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("rare", RARE)
def test_the_speed_is_that_of_whole_periods(monkeypatch, rare, alone, unit):
    words, period = RARE[rare]
    one, clock, took = trial(*words), [0.0], []
    step = one.module.training_step

    def timed(batch, batch_idx):
        step(batch, batch_idx)
        logs = one.module.log_values
        took.append(unit * (1 + 10 * ("loss_g" in logs) + 100 * bool(logs.get("r1", torch.zeros(1)).sum() != 0)))
        clock[0] += took[-1]

    monkeypatch.setattr(measuring, "now", lambda device: clock[0])
    one.module.training_step = timed
    found = one.speed(4, [1], alone).seconds[1]
    steps = len(took)
    whole, took[:] = Kinds([0], [1]), []
    one.kinds, one.module.images_seen, one.module.lacking = whole, 0, 0
    one.fit(4, lambda times: len(times) >= period)
    assert found == pytest.approx(sum(took) / period)
    assert steps <= measuring.WARM + measuring.STEPS + 4


def test_where_all_steps_are_alike_the_quickest_says_how_long_one_takes():
    alike = Kinds([0], [1])
    assert alike.mean([9.0, 0.1, 0.4, 0.3, 0.5]) == 0.3 and alike.mean([5.0]) == 5.0 and alike.mean([1.0, 5.0]) == 5.0
    assert alike.enough([5.0]) and not alike.enough([1.0] * 4) and alike.enough([1.0] * 5)
    assert not alike.enough([0.01] * 13) and alike.enough([0.01] * 14)
    assert not alike.as_many([0.01] * 5) and alike.as_many([0.01] * 6)


def test_a_long_step_ends_measuring_once_each_kind_was_seen():
    two = Kinds([0, 4], [4, 1])
    assert not two.enough([9.0]) and two.enough([9.0, 19.0]) and two.mean([9.0, 19.0]) == pytest.approx(11.0)


def test_penalties_say_when_they_are_on():
    lazy, part = Lazy(R1R2(), 4), Subsampled(R1R2(), 0.07)
    assert [each.period for each in (R1R2(), lazy, part, Subsampled(lazy), Lazy(part, 3), Lazy(lazy, 6))] == [
        1, 4, 1, 4, 3, 12,
    ]  # fmt: skip
    assert [each.fewest for each in (R1R2(), lazy, part, Lazy(part, 3), Subsampled(part, 0.5))] == [1, 1, 15, 15, 30]
    for share in (0.07, 0.01, 0.29, 0.125, 0.3, 0.9):
        part = Subsampled(R1R2(), share)
        assert part.indices(part.fewest)[0] and (part.fewest == 1 or not part.indices(part.fewest - 1)[0])
