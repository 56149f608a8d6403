"""Closed forms of the losses, which way they push, and that two processes have the gradient of one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import transgan
from transgan.losses import (
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Wasserstein,
)
from transgan.training.transgan_official import WassersteinMeanDrift

REAL, FAKE = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([0.5, 3.0, 0.0])
EVERY = [
    Relativistic(), RelativisticAverage(), NonSaturating(), Hinge(), LeastSquares(), Wasserstein(0.0),
    Wasserstein(0.001), WassersteinMeanDrift(0.001),
]  # fmt: skip
each_loss = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: type(loss).__name__)


def test_relativistic_closed_form():
    torch.testing.assert_close(Relativistic().discriminator(REAL, FAKE), (1 + (FAKE - REAL).exp()).log())
    torch.testing.assert_close(Relativistic().generator(REAL, FAKE), (1 + (REAL - FAKE).exp()).log())


def test_relativistic_average_closed_form():
    above_fakes, above_reals = REAL - 3.5 / 3, FAKE - 1 / 3
    expected = -torch.sigmoid(above_fakes).log() - (1 - torch.sigmoid(above_reals)).log()
    torch.testing.assert_close(RelativisticAverage().discriminator(REAL, FAKE), expected)
    expected = -torch.sigmoid(above_reals).log() - (1 - torch.sigmoid(above_fakes)).log()
    torch.testing.assert_close(RelativisticAverage().generator(REAL, FAKE), expected)


def test_non_saturating_closed_form():
    expected = -torch.sigmoid(REAL).log() - (1 - torch.sigmoid(FAKE)).log()
    torch.testing.assert_close(NonSaturating().discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(NonSaturating().generator(REAL, FAKE), -torch.sigmoid(FAKE).log())


def test_hinge_closed_form():
    assert Hinge().discriminator(REAL, FAKE).tolist() == [0 + 1.5, 2 + 4, 1 + 1]
    assert Hinge().generator(None, FAKE).tolist() == [-0.5, -3, 0]


def test_least_squares_closed_form():
    assert LeastSquares().discriminator(REAL, FAKE).tolist() == [(1 + 0.25) / 2, (4 + 9) / 2, (1 + 0) / 2]
    assert LeastSquares().generator(None, FAKE).tolist() == [0.125, 2, 0.5]


def test_wasserstein_closed_form():
    assert Wasserstein(0.0).discriminator(REAL, FAKE).tolist() == [-1.5, 4, 0]
    assert Wasserstein(0.5).discriminator(REAL, FAKE).tolist() == [-1.5 + 2, 4 + 0.5, 0]
    assert Wasserstein(0.5).generator(None, FAKE).tolist() == [-0.5, -3, 0]
    with pytest.raises(ValueError, match="drift must not be negative"):
        Wasserstein(-0.1)


def test_the_two_drifts_differ():
    """PGGAN's is of the mean square, TransGAN's of the square of the mean."""
    mean_square = Wasserstein(0.9).discriminator(REAL, FAKE).mean()
    square_of_mean = WassersteinMeanDrift(0.9).discriminator(REAL, FAKE).mean()
    torch.testing.assert_close(mean_square, torch.tensor(2.5 / 3 + 0.9 * 5 / 3))
    torch.testing.assert_close(square_of_mean, torch.tensor(2.5 / 3 + 0.9 / 9))
    assert WassersteinMeanDrift(0.9).generator(None, FAKE).tolist() == [-0.5, -3, 0]


@each_loss
def test_the_two_players_pull_the_fake_logit_apart(loss):
    fake = torch.tensor([0.5, 0.9, 0.1]).requires_grad_()  # between the targets of the least squares
    (up,) = torch.autograd.grad(loss.discriminator(REAL, fake).sum(), fake)
    (down,) = torch.autograd.grad(loss.generator(REAL, fake).sum(), fake)
    assert (up > 0).all() and (down < 0).all()


@each_loss
def test_the_discriminator_lifts_the_real_logit(loss):
    real = torch.tensor([0.5, 0.9, 0.1]).requires_grad_()
    (slope,) = torch.autograd.grad(loss.discriminator(real, FAKE).sum(), real)
    assert (slope < 0).all()


@each_loss
def test_large_logits_stay_finite(loss):
    huge = torch.tensor([1e4, -1e4])
    assert loss.discriminator(huge, -huge).isfinite().all() and loss.generator(huge, -huge).isfinite().all()


@each_loss
def test_relativistic_ones_ignore_a_common_shift_and_others_the_reals(loss):
    shifted = loss.discriminator(REAL + 7, FAKE + 7)
    assert torch.allclose(shifted, loss.discriminator(REAL, FAKE)) == (loss.relativistic or loss == EVERY[5])
    if loss.relativistic:
        assert not torch.equal(loss.generator(REAL, FAKE), loss.generator(-REAL, FAKE))
    else:
        assert torch.equal(loss.generator(None, FAKE), loss.generator(REAL, FAKE))


PROCESS = """
import sys, torch
from torch import distributed
from transgan.losses import RelativisticAverage
from transgan.training.transgan_official import WassersteinMeanDrift
rank, place = int(sys.argv[1]), sys.argv[2]
real, fake = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

def gradients(real, fake):
    found = {}
    for loss in (RelativisticAverage(), WassersteinMeanDrift(0.9)):
        for player in ("discriminator", "generator"):
            weight = torch.tensor([0.7, -0.2], dtype=torch.float64, requires_grad=True)     # of a critic w x + v x^2
            logits = [weight[0] * x + weight[1] * x**2 for x in (real, fake)]
            value = getattr(loss, player)(*logits).mean()
            value.backward()
            found[type(loss).__name__, player] = value.detach(), weight.grad
    return found

alone = gradients(real, fake)
distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
part = slice(3 * rank, 3 * rank + 3)
for name, (value, gradient) in gradients(real[part], fake[part]).items():
    for of_this, of_one in zip((value, gradient), alone[name]):
        distributed.all_reduce(of_this)         # DDP averages gradients, and stats.csv values
        torch.testing.assert_close(of_this / 2, of_one)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_losses_of_batch_means_are_the_same_for_two_processes(tmp_path):
    checkout = Path(transgan.__file__).parents[1]
    both = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), tmp_path / "store"], cwd=checkout,
                         stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]  # fmt: skip
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
