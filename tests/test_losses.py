"""Closed forms of the losses, and which way they push."""

import pytest
import torch

from transgan.losses import NonSaturating, Relativistic

REAL, FAKE = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([0.5, 3.0, 0.0])


def test_relativistic_closed_form():
    torch.testing.assert_close(Relativistic().discriminator(REAL, FAKE), (1 + (FAKE - REAL).exp()).log())
    torch.testing.assert_close(Relativistic().generator(REAL, FAKE), (1 + (REAL - FAKE).exp()).log())


def test_non_saturating_closed_form():
    expected = -torch.sigmoid(REAL).log() - (1 - torch.sigmoid(FAKE)).log()
    torch.testing.assert_close(NonSaturating().discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(NonSaturating().generator(REAL, FAKE), -torch.sigmoid(FAKE).log())


@pytest.mark.parametrize("loss", [Relativistic(), NonSaturating()])
def test_the_two_players_pull_the_fake_logit_apart(loss):
    fake = FAKE.clone().requires_grad_()
    (up,) = torch.autograd.grad(loss.discriminator(REAL, fake).sum(), fake)
    (down,) = torch.autograd.grad(loss.generator(REAL, fake).sum(), fake)
    assert (up > 0).all() and (down < 0).all()


@pytest.mark.parametrize("loss", [Relativistic(), NonSaturating()])
def test_large_logits_stay_finite(loss):
    huge = torch.tensor([1e4, -1e4])
    assert loss.discriminator(huge, -huge).isfinite().all() and loss.generator(huge, -huge).isfinite().all()


def test_relativistic_ignores_a_common_shift():
    shifted = Relativistic().discriminator(REAL + 7, FAKE + 7)
    torch.testing.assert_close(shifted, Relativistic().discriminator(REAL, FAKE))
