"""bCR on a discriminator whose logits are known, and nothing at no cost."""

import pytest
import torch

from transgan.augmentation import NoAugmentation
from transgan.consistency import BalancedConsistency
from transgan.losses import Relativistic
from transgan.penalties import NoPenalty
from transgan.training.objectives import DiscriminatorInputs, discriminator_objective


class Plus:
    """Adds the first of its numbers to the images of which the second is below the strength."""

    num_random = 2

    def __call__(self, images, random, strength):
        return images + (random[:, 0] * (random[:, 1] < strength))[:, None, None, None]


def objective(consistency, strength, random, weight=None):
    weight = torch.ones(()) if weight is None else weight
    inputs = DiscriminatorInputs(
        real=torch.ones(3, 1, 2, 2), fake=torch.zeros(3, 1, 2, 2), labels=None, random=random,
        noise=torch.empty(3, 0), strength=torch.tensor(strength), gamma=torch.tensor(1.0),
    )  # fmt: skip
    return discriminator_objective(
        lambda images, labels: weight * images.mean((1, 2, 3)), Relativistic(), NoPenalty(), consistency, Plus(), inputs,
    )[:2]  # fmt: skip


def test_the_squared_difference_of_two_augmentations():
    random = torch.rand(4, 3, 2)
    value, log = objective(BalancedConsistency(10.0, 3.0, 1.0), 1.0, random)
    by = random[:, :, 0]
    torch.testing.assert_close(log["cr_real"], (by[0] - by[2]).square().mean())
    torch.testing.assert_close(log["cr_fake"], (by[1] - by[3]).square().mean())
    torch.testing.assert_close(value, log["loss_d"] + 10 * log["cr_real"] + 3 * log["cr_fake"])


def test_without_augmentation_of_the_loss_it_is_the_papers():
    """The loss sees the images as they are, the other view is augmented, as often as the consistency says."""
    random = torch.rand(4, 3, 2)
    for strength in (1.0, 0.5):
        _, log = objective(BalancedConsistency(1.0, 1.0, strength), 0.0, random)
        by = random[..., 0] * (random[..., 1] < strength)
        torch.testing.assert_close(log["d_real"], torch.tensor(1.0))
        torch.testing.assert_close(log["cr_real"], by[2].square().mean())
        torch.testing.assert_close(log["cr_fake"], by[3].square().mean())


def test_both_views_are_pulled():
    weight, random = torch.tensor(2.0, requires_grad=True), torch.rand(4, 3, 2)
    value, log = objective(BalancedConsistency(10.0, 10.0, 1.0), 1.0, random, weight)
    plain, _ = objective(None, 1.0, random[:2], weight)
    (gradient,) = torch.autograd.grad(value - plain, weight)
    by = random[:, :, 0]  # 10 w^2 (mean of squared differences), differentiated
    torch.testing.assert_close(gradient, 40 * ((by[0] - by[2]).square().mean() + (by[1] - by[3]).square().mean()))


def test_none_costs_nothing():
    calls = []
    inputs = DiscriminatorInputs(
        real=torch.ones(3, 1, 2, 2), fake=torch.ones(3, 1, 2, 2), labels=None, random=torch.empty(2, 3, 0),
        noise=torch.empty(3, 0), strength=torch.tensor(1.0), gamma=torch.tensor(1.0),
    )  # fmt: skip
    discriminator_objective(
        lambda images, labels: calls.append(len(images)) or images.mean((1, 2, 3)), Relativistic(), NoPenalty(), None,
        NoAugmentation(), inputs,
    )  # fmt: skip
    assert calls == [6]


def test_what_makes_no_sense():
    for weights in ((0.0, 0.0), (-1.0, 10.0)):
        with pytest.raises(ValueError, match="for none use consistency=none"):
            BalancedConsistency(*weights, 1.0)
    for strength in (0.0, 1.5):
        with pytest.raises(ValueError, match="strength must be above 0 and at most 1"):
            BalancedConsistency(10.0, 10.0, strength)
    with pytest.raises(ValueError, match="augmentation=none makes none"):
        BalancedConsistency(10.0, 0.0, 1.0).check(NoAugmentation.num_random)
    BalancedConsistency(10.0, 0.0, 1.0).check(Plus.num_random)
