"""What holds for every augmentation that conf/ offers, with colour and without."""

from functools import cache

import pytest
import torch
from hydra.utils import instantiate

from transgan.config.compose import compose
from transgan.config.search import groups

NAMES = groups()["augmentation"]
BATCHWISE = {name for name in NAMES if name.startswith("transgan_official")}  # their numbers are shared by `of_batch`
every = pytest.mark.parametrize("channels", [1, 3])


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@cache
def made(name, channels, *words):
    config = compose("train", [f"augmentation={name}", f"channels={channels}", *words])
    return instantiate(config.augmentation, _convert_="all")


def inputs(augment, n, channels, side=8, dtype=torch.float32):
    return torch.rand(n, channels, side, side, dtype=dtype) * 2 - 1, torch.rand(n, augment.num_random, dtype=dtype)


@every
def test_strength_zero_is_the_identity_bit_for_bit(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 16, channels)
    random[:8] = 0.0  # switches as far on as they go
    assert torch.equal(augment(images, random, 0.0), images)
    assert torch.equal(augment(images, random, torch.tensor(0.0)), images)


@every
def test_some_images_stay_and_some_change(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 512, channels)
    out = augment(images, random, 0.1)
    touched = (out != images).flatten(1).any(1).float().mean()
    assert out.isfinite().all() and out.shape == images.shape
    assert touched == 0 if name == "none" else 0.02 < touched < 0.9


@every
def test_a_function_of_an_image_and_its_random_numbers(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 6, channels)
    whole = augment(images, random, 0.8)
    for size in (1, 2, 4):
        parts = [augment(*both, 0.8) for both in zip(images.split(size), random.split(size), strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=2e-6)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(augment(images[order], random[order], 0.8), whole[order], rtol=0, atol=2e-6)


@every
def test_derivatives_of_both_orders(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 2, channels, 4, torch.float64)
    images.requires_grad_()

    def curved(images):
        return augment(images, random, 1.0).sin()

    assert torch.autograd.gradcheck(curved, images)
    assert torch.autograd.gradgradcheck(curved, images)


@every
def test_half_precision_is_widened_and_autocast_changes_nothing(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 4, channels)
    out = augment(images, random, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment(images, random, 1.0)
    assert inside.dtype == torch.float32 and torch.equal(inside, out)
    if name != "none":
        half = augment(images.bfloat16(), random, 1.0)
        assert half.dtype == torch.float32 and torch.equal(half, augment(images.bfloat16().float(), random, 1.0))


@pytest.mark.parametrize("name, channels", [("diffaugment", 3), ("transgan_official_celebahq", 3), ("ada_r3gan", 1)])
def test_a_compiled_graph_holds_it_with_its_gradient(name, channels):
    augment = made(name, channels)
    images, random = inputs(augment, 4, channels)

    def slope(images, random, strength):
        return torch.func.grad(lambda images: augment(images, random, strength).sin().sum())(images)

    compiled = torch.compile(slope, backend="aot_eager", fullgraph=True)
    for strength in (0.7, 0.2):
        arguments = images, random, torch.tensor(strength)
        torch.testing.assert_close(compiled(*arguments), slope(*arguments), rtol=0, atol=1e-6)


def test_batchwise_is_said_of_all_that_are():
    for name in NAMES:
        augment = made(name, 3)
        steps = getattr(augment, "steps", {}).values()
        assert any(getattr(step, "batch", None) for step in steps) == (name in BATCHWISE)
