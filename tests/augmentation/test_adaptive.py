"""The adaptive strength moves at the stated speed, repeats itself, and is the same on every process."""

import math

import pytest
import torch

from transgan.augmentation import AdaptiveStrength, HeldOutGap, PairSigns, RealSigns
from transgan.losses import Hinge, LeastSquares, NonSaturating, Relativistic, RelativisticAverage, Wasserstein


def adaptive(measure=None, **changes):
    return AdaptiveStrength(measure or RealSigns(), **dict(target=0.6, kimg=500.0, every=4, start=0.0) | changes)


def reported(strength, *logits, **arguments):
    """The strength after one step's logits."""
    strength.update(*logits, **{"largest": 0.8} | arguments)
    return strength.strength


def logits(positive, n=64):
    """n logits, so many of them above 0."""
    out = -torch.rand(n) - 0.1
    out[:positive] *= -1
    return out


def shown(strength, positive, steps, n=64, largest=0.8):
    return [reported(strength, logits(positive, n), logits(0, n), largest=largest) for _ in range(steps)]


def test_it_rises_by_the_images_shown_over_kimg():
    strength = adaptive()
    step = 4 * 64 / 500_000
    assert shown(strength, 60, 9) == [0.0] * 3 + [step] * 4 + [2 * step] * 2  # 60 of 64: r = 0.875
    assert strength.measured == pytest.approx((60 - 4) / 64)
    assert strength.current(1.0) == 2 * step and strength.current(step) == step


def test_500_kimg_take_it_from_0_to_1():
    strength = adaptive()
    shown(strength, 500, 1000, n=500, largest=1.0)
    assert strength.strength == pytest.approx(1.0)
    shown(strength, 0, 500, n=500, largest=1.0)
    assert strength.strength == pytest.approx(0.5)


@pytest.mark.parametrize("positive, rises", [(52, True), (51, False), (0, False), (64, True)])
def test_it_falls_unless_above_the_target(positive, rises):
    """52 of 64 above 0 is r = 0.625; 51 is 0.594."""
    strength = adaptive(start=0.4)
    after = shown(strength, positive, 4)[-1]
    assert after == 0.4 + (1 if rises else -1) * 4 * 64 / 500_000


def test_exactly_at_the_target_it_falls():
    strength = adaptive(target=0.5, start=0.4)
    assert shown(strength, 48, 4)[-1] < 0.4


def test_it_stays_in_its_range():
    strength = adaptive(kimg=0.5)
    assert shown(strength, 64, 40, largest=0.7)[-1] == 0.7
    assert shown(strength, 64, 4, largest=0.7)[-1] == 0.7
    assert shown(strength, 64, 4, largest=0.3)[-1] == 0.3  # a schedule has brought it down
    assert shown(strength, 0, 40)[-1] == 0.0


def test_all_steps_since_the_last_move_count():
    strength = adaptive(start=0.4)
    for positive in (64, 64, 64, 0):  # r = 0.5 on average, 1 at first, -1 at the end
        strength.update(logits(positive), logits(0))
    assert strength.strength < 0.4 and strength.measured == pytest.approx(0.5)


def test_pairs():
    strength = adaptive(PairSigns(), every=1)
    real = torch.tensor([5.0, 5.0, -3.0, 1.0])
    strength.update(real, torch.tensor([4.0, 6.0, -4.0, 1.0]))  # +, -, +, none
    assert strength.measured == pytest.approx(0.25)
    again = adaptive(PairSigns(), every=1)
    again.update(real - 100, torch.tensor([4.0, 6.0, -4.0, 1.0]) - 100)
    assert again.measured == strength.measured  # the level of the logits is of no account


@pytest.mark.parametrize("level, scale", [(0.0, 1.0), (-100.0, 1.0), (3.0, 0.01)])
def test_held_out_gap(level, scale):
    strength = adaptive(HeldOutGap(), every=1, start=0.4)
    real, fake, heldout = torch.tensor([4.0, 2.0]), torch.tensor([-1.0, 0.0]), torch.tensor([0.0, 1.0, 2.0])
    strength.update(*(level + scale * each for each in (real, fake, heldout)))
    assert strength.measured == pytest.approx((3 - 1) / (3 + 0.5), rel=1e-3)
    assert strength.strength < 0.4  # 0.571 is below 0.6
    strength.update(real, fake, heldout - 1)  # 3 / 3.5
    assert strength.strength == 0.4


def test_held_out_gap_is_0_until_training_images_are_separated_from_fakes():
    strength = adaptive(HeldOutGap(), every=1)
    for fake in (torch.tensor([1.0]), torch.tensor([2.0])):
        strength.update(torch.tensor([1.0]), fake, torch.tensor([-5.0]))
        assert strength.measured == 0.0 and strength.strength == 0.0


def test_held_out_gap_asks_for_held_out_images():
    assert HeldOutGap.needs_heldout and not RealSigns.needs_heldout and not PairSigns.needs_heldout
    with pytest.raises(ValueError, match="HeldOutGap needs logits of held-out images: holdout=0.1"):
        adaptive(HeldOutGap()).update(logits(3), logits(3))


def test_a_measure_that_is_not_finite_moves_nothing():
    strength, batch = adaptive(HeldOutGap(), start=0.4), (logits(64), logits(0), logits(0))
    for i in range(4):
        strength.update(torch.full((64,), float("nan")) if i == 2 else batch[0], *batch[1:])
    assert strength.strength == 0.4 and math.isnan(strength.measured)
    for _ in range(4):
        strength.update(*batch)
    assert strength.strength > 0.4


def test_a_logit_that_is_not_a_number_is_neither_real_nor_fake():
    strength = adaptive(every=1)
    strength.update(torch.tensor([float("nan"), 1.0, -1.0, float("inf")]), logits(0))
    assert strength.measured == 0.25


@pytest.mark.parametrize("measure", [RealSigns(), PairSigns(), HeldOutGap()])
@pytest.mark.parametrize("cut", range(9))
def test_cut_off_anywhere_it_goes_on_exactly(measure, cut, tmp_path):
    make = lambda: adaptive(measure, every=3, kimg=0.3)  # noqa: E731
    batches = [(torch.randn(8) + 0.5 * i, torch.randn(8), torch.randn(5)) for i in range(9)]
    whole = make()
    expected = [reported(whole, *batch) for batch in batches]
    first = make()
    values = [reported(first, *batch) for batch in batches[:cut]]
    torch.save(first.state_dict(), tmp_path / "state")
    second = make()
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert second.state_dict() == first.state_dict() or math.isnan(first.measured)
    values += [reported(second, *batch) for batch in batches[cut:]]
    assert values == expected and len(set(expected)) > 1


def test_every_process_has_the_strength_of_one_alone():
    one, two = adaptive(HeldOutGap(), kimg=0.3), [adaptive(HeldOutGap(), kimg=0.3) for _ in range(2)]
    sent = []  # what each process hands to all_reduce

    def send(sums):
        sent.append(sums)
        return sums

    moved = set()
    for i in range(12):
        batch = [torch.randn(8) + (i % 5), torch.randn(8), torch.randn(4)]
        halves = list(zip(*(each.chunk(2) for each in batch), strict=True))
        sent.clear()
        for half in halves:
            adaptive(HeldOutGap()).update(*half, all_reduce=send)
        values = [
            reported(process, *half, all_reduce=lambda _: sum(sent)) for process, half in zip(two, halves, strict=True)
        ]
        assert values[0] == values[1] == pytest.approx(reported(one, *batch))
        assert two[0].state_dict() == two[1].state_dict() or math.isnan(two[0].measured)
        moved.add(values[0])
    assert len(moved) > 1


def test_it_says_what_it_measured_when_it_moves():
    strength = adaptive(every=2)
    assert [strength.update(logits(48), logits(0)) for _ in range(3)] == [{}, {"overfitting": 0.5}, {}]
    strength = adaptive(every=1)
    assert strength.update(torch.full((4,), float("nan")), logits(0)).keys() <= {"overfitting"}


@pytest.mark.parametrize(
    "loss, fits",
    [
        (NonSaturating(), True),
        (Hinge(), True),
        (LeastSquares(), False),
        (Relativistic(), False),
        (RelativisticAverage(), False),
        (Wasserstein(0.0), False),
    ],
)
def test_signs_mean_something_for_some_losses_alone(loss, fits):
    for measure in (PairSigns(), HeldOutGap()):
        adaptive(measure).check(loss, 5)
    if fits:
        return adaptive().check(loss, 5)
    with pytest.raises(ValueError, match="real_signs.*use adaptive=pair_signs or heldout_gap"):
        adaptive().check(loss, 5)


def test_nothing_to_adapt():
    with pytest.raises(ValueError, match="augmentation=none"):
        adaptive(PairSigns()).check(Relativistic(), 0)


def test_half_precision_logits_and_a_graph_are_no_matter():
    strength = adaptive(every=1)
    real = torch.randn(300, dtype=torch.bfloat16, requires_grad=True)
    strength.update(real, real)
    assert strength.measured == pytest.approx(real.detach().float().sign().mean().item())
    with torch.inference_mode():
        adaptive().update(logits(3), logits(3))


@pytest.mark.parametrize(
    "changes, said",
    [(dict(every=0), "at least 1, not 0"), (dict(kimg=0), "above 0"), (dict(start=1.2), "0 to 1, not 1.2")],
)
def test_settings_out_of_range(changes, said):
    with pytest.raises(ValueError, match=said):
        adaptive(**changes)
