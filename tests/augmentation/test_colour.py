"""ADA's colours against products of explicit 4x4 matrices."""

import logging
import math

import pytest
import torch
from scipy.stats import norm

from transgan.augmentation import Colour

ALL = dict(brightness=1.0, contrast=1.0, lumaflip=1.0, hue=1.0, saturation=1.0)
RANGES = dict(brightness_std=0.2, contrast_std=0.5, hue_max=1.0, saturation_std=1.0)
KINDS = list(ALL)
AXIS = torch.ones(3, dtype=torch.float64) / math.sqrt(3)


def colour(channels=3, **probabilities):
    return Colour(**ALL | probabilities, **RANGES, in_chans=channels)


def random(n=1, on=(), **values):
    """Numbers of 0.5, which mean no change; `on` are switched on, others off at any strength below 0.9."""
    out = torch.full((n, 10), 0.5, dtype=torch.float64)
    out[:, 5:] = 0.9
    for kind in on:
        out[:, 5 + KINDS.index(kind)] = 0.0
    for kind, value in values.items():
        out[:, KINDS.index(kind)] = value
    return out


def matrix(kind, u):
    """The paper's homogeneous matrix for a kind whose uniform number is u."""
    out, n, along = torch.eye(4, dtype=torch.float64), norm.ppf(u), torch.outer(AXIS, AXIS)
    across = torch.eye(3, dtype=torch.float64) - along
    if kind == "brightness":
        out[:3, 3] = 0.2 * n
    elif kind == "contrast":
        out[:3, :3] *= 2 ** (0.5 * n)
    elif kind == "lumaflip":
        out[:3, :3] -= 2 * along * (u < 0.5)
    elif kind == "hue":
        angle, x = (2 * u - 1) * math.pi, AXIS[0]  # Rodrigues
        turn = torch.tensor([[0, -x, x], [x, 0, -x], [-x, x, 0]], dtype=torch.float64)
        out[:3, :3] = along + math.cos(angle) * across + math.sin(angle) * turn
    else:
        out[:3, :3] = along + across * 2**n
    return out


def applied(matrix, images):
    return torch.einsum("ij,njhw->nihw", matrix[:3, :3], images) + matrix[:3, 3, None, None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("u", [0.1, 0.45, 0.8])
def test_each_against_its_matrix(kind, u):
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64) * 2 - 1
    out = colour()(images, random(2, on=[kind], **{kind: u}), 0.5)
    torch.testing.assert_close(out, applied(matrix(kind, u), images))


def test_all_in_the_papers_order():
    images, numbers = torch.rand(8, 3, 4, 4, dtype=torch.float64) * 2 - 1, torch.rand(8, 10, dtype=torch.float64)
    numbers[:, 5:] = 0.0
    out = colour()(images, numbers, 1.0)
    for i in range(8):
        product = torch.eye(4, dtype=torch.float64)
        for kind, u in zip(KINDS, numbers[i, :5].tolist(), strict=True):
            product = matrix(kind, u) @ product
        torch.testing.assert_close(out[i : i + 1], applied(product, images[i : i + 1]))


def test_a_full_hue_turn_comes_back_and_a_third_permutes_the_channels():
    images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    hue = Colour(**ALL, **RANGES | dict(hue_max=2.0), in_chans=3)
    torch.testing.assert_close(hue(images, random(on=["hue"], hue=1.0), 0.5), images)
    third = colour()(images, random(on=["hue"], hue=0.5 + 1 / 3), 0.5)
    torch.testing.assert_close(third, images.roll(1, 1))


@pytest.mark.parametrize("kind", ["hue", "saturation"])
def test_hue_and_saturation_preserve_luma(kind):
    images = torch.rand(64, 3, 4, 4, dtype=torch.float64)
    numbers = random(64, on=[kind])
    numbers[:, :5] = torch.rand(64, 5)
    out = colour()(images, numbers, 0.5)
    assert not torch.allclose(out, images)
    torch.testing.assert_close(out.mean(1), images.mean(1))
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(colour()(grey, numbers, 0.5), grey)


def test_hue_preserves_the_distance_from_grey():
    images = torch.rand(8, 3, 4, 4, dtype=torch.float64)
    out = colour()(images, random(8, on=["hue"], hue=0.7), 0.5)
    far = lambda images: (images - images.mean(1, keepdim=True)).square().sum(1)  # noqa: E731
    torch.testing.assert_close(far(out), far(images))


def test_on_grey_images_it_is_what_three_equal_channels_show(caplog):
    with caplog.at_level(logging.INFO):
        grey = colour(1)
    assert "no hue and no saturation" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        colour(3), colour(1, hue=0.0, saturation=0.0)
    assert not caplog.text
    images, numbers = torch.rand(16, 1, 4, 4), torch.rand(16, 10)
    out = grey(images, numbers, 0.7)
    torch.testing.assert_close(colour(3)(images.expand(-1, 3, -1, -1), numbers, 0.7), out.expand(-1, 3, -1, -1))
    only = numbers.clone()
    only[:, 5:8], only[:, 8:] = 0.9, 0.0
    assert torch.equal(grey(images, only, 0.7), images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength, probability", [(0.3, 1.0), (0.6, 0.5)])
def test_the_share_of_images_touched(kind, strength, probability):
    n, step = 4000, colour(**dict.fromkeys(KINDS, 0.0) | {kind: probability})
    images = torch.rand(n, 3, 2, 2)
    share = (step(images, torch.rand(n, 10), strength) != images).flatten(1).any(1).float().mean().item()
    expected = 0.15 if kind == "lumaflip" else 0.3  # a flip is none half of the time
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)


def test_the_largest_and_smallest_number_are_finite():
    numbers = torch.zeros(2, 10)
    numbers[1, :5] = 1 - 2**-24
    assert colour()(torch.rand(2, 3, 2, 2), numbers, 1.0).isfinite().all()


def test_other_numbers_of_channels():
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        colour(4)
    with pytest.raises(ValueError, match="images with 3 channels in an augmentation with in_chans=1"):
        colour(1)(torch.rand(1, 3, 4, 4), torch.rand(1, 10), 1.0)
