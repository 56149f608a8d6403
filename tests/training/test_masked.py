"""What is hidden while training: as many tokens as asked for, and the same whatever the number of processes."""

from functools import partial

import pytest
import torch

from transgan.models.masked_images import MaskedImages
from transgan.models.tokens import Pixels
from transgan.training.masked import Masked
from transgan.training.randomness import StepRNG


def module(mask_ratio=None):
    network = MaskedImages(4, 1, 3, partial(Pixels, levels=5), 16, 1, 2, 2.0)
    return Masked(
        network, optimizer=torch.optim.AdamW, lr=1e-3, ema_halflife=0.01, batch_size=4, num_classes=3,
        mask_ratio=mask_ratio,
    )  # fmt: skip


def rng(batch, rank=0, world_size=1):
    return StepRNG(3, 7, batch, rank, world_size, torch.device("cpu"))


def test_any_number_is_equally_likely_and_every_position():
    hidden = module().hidden(rng(16_000))
    numbers = torch.bincount(hidden.sum(1), minlength=17)
    assert numbers[0] == 0 and (numbers[1:] - 1000).abs().max() < 6 * 1000**0.5
    assert (hidden.double().mean(0) - 17 / 32).abs().max() < 0.03


@pytest.mark.parametrize("ratio, number", [(0.75, 12), (1.0, 16), (0.01, 1)])
def test_a_share(ratio, number):
    assert (module(ratio).hidden(rng(100)).sum(1) == number).all()


@pytest.mark.parametrize("ratio", [None, 0.5])
def test_two_processes_hide_what_one_does(ratio):
    whole = module(ratio).hidden(rng(6))
    parts = [module(ratio).hidden(rng(3, rank, 2)) for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.5])
def test_a_share_that_is_none(ratio):
    with pytest.raises(ValueError, match=f"mask_ratio={ratio:g}: it takes a share above 0, at most 1, or null"):
        module(ratio)
