"""The discriminator of orientation is one, and what turned images look like to it."""

import pytest
import torch

from transgan.augmentation import Geometry
from transgan.config.compose import compose
from transgan.sampling.pixels import to_float, to_uint8


def test_it_knows_digits_that_it_has_not_seen(orientation):
    for k in range(4):
        turned = torch.rot90(orientation.heldout, k, [2, 3])
        assert (orientation.quarters(turned) == k).float().mean() > 0.95
    assert orientation.upright(orientation.heldout) > 0.95


def test_it_says_the_same_every_time(orientation):
    again = type(orientation)()
    assert torch.equal(again.quarters(orientation.heldout), orientation.quarters(orientation.heldout))


@pytest.mark.parametrize("strength, share", [(0.0, 1.0), (0.6, 0.55), (1.0, 0.25)])
def test_the_share_that_quarter_turns_leave_upright(orientation, strength, share):
    """1 - 3/4 p: what the discriminator is shown. A generator that shows it too has a leak."""
    config = compose("train", ["augmentation=quarter_turns"]).augmentation
    turns = Geometry(**{name: value for name, value in config.items() if name != "_target_"})
    images = to_float(orientation.heldout)
    out = to_uint8(turns(images, torch.rand(len(images), turns.num_random), strength))
    assert orientation.upright(out) == pytest.approx(share, abs=0.07)
