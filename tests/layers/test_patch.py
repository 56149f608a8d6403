"""Between images and tokens."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transgan.layers.patch import (
    Bicubic,
    PatchEmbed,
    PixelShuffle,
    PixelShuffleUp,
    PoolDown,
    average,
    patchify,
    to_map,
    to_tokens,
    token_grid,
    unpatchify,
)


def test_token_grid():
    assert token_grid(8, 2) == (4, 4)
    with pytest.raises(ValueError, match="patch_size 3 does not divide img_size 8; 6 would, or"):
        token_grid(8, 3)
    with pytest.raises(ValueError, match="patch_size 0"):
        token_grid(8, 0)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patchify_is_the_inverse_of_unpatchify(patch):
    images = torch.randn(2, 3, 8, 4)
    tokens = patchify(images, patch)
    assert tokens.shape == (2, 32 // patch**2, 3 * patch**2)
    assert torch.equal(unpatchify(tokens, (8 // patch, 4 // patch), patch), images)


def test_channel_order_is_the_documented_one():
    p, c = 2, 3
    images = torch.randn(1, c, 4, 6)
    tokens = patchify(images, p)
    for row in range(2):
        for column in range(3):
            for k in range(c):
                for i in range(p):
                    for j in range(p):
                        pixel = images[0, k, row * p + i, column * p + j]
                        assert tokens[0, row * 3 + column, k * p * p + i * p + j] == pixel


def test_map_and_tokens_are_inverse():
    x = torch.randn(2, 6, 5)
    assert to_map(x, (2, 3)).shape == (2, 5, 2, 3)
    assert torch.equal(to_map(x, (2, 3))[:, :, 1, 2], x[:, 5])
    assert torch.equal(to_tokens(to_map(x, (2, 3))), x)


@pytest.mark.parametrize("overlap, reach", [(0, 0), (1, 1), (2, 2)])
def test_patch_embed_sees_its_patch_and_the_overlap(overlap, reach):
    embed = PatchEmbed(1, 4, 2, overlap)
    image = torch.zeros(1, 1, 8, 8)
    before = embed(image)
    assert before.shape == (1, 16, 4)
    seen = torch.zeros(8, 8, dtype=torch.bool)
    for i in range(8):
        for j in range(8):
            image.zero_()[0, 0, i, j] = 1
            seen[i, j] = not torch.equal(embed(image)[0, 5], before[0, 5])  # token (1, 1): pixels 2 and 3
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2 - reach : 4 + reach, 2 - reach : 4 + reach] = True
    assert torch.equal(seen, expected)


def test_pixel_shuffle_up():
    up = PixelShuffleUp(6, 4, (2, 3))
    assert up(torch.randn(2, 6, 6)).shape == (2, 24, 4)
    # a constant stays one away from the border: the low-pass sums to 1
    nn.init.zeros_(up.expand.weight)
    nn.init.ones_(up.expand.bias)
    out = to_map(up(torch.randn(1, 6, 6)), (4, 6))
    torch.testing.assert_close(out[:, :, 1:-1, 1:-1], torch.ones(1, 4, 2, 4))
    torch.testing.assert_close(out[:, :, 0, 0], torch.full((1, 4), 0.5625))  # 3/4 of the filter each way


def test_pixel_shuffle_up_doubles_in_place():
    up = PixelShuffleUp(2, 1, (2, 2))
    up.smooth.weight.data.zero_()[0, 0, 1, 1] = 1.0
    x = torch.randn(1, 4, 2)
    expected = unpatchify(x @ up.expand.weight.T + up.expand.bias, (2, 2), 2)
    torch.testing.assert_close(to_map(up(x), (4, 4)), expected)


def test_pool_down():
    down = PoolDown(3, 5, (4, 2))
    x = torch.randn(2, 8, 3)
    out = down(x)
    assert out.shape == (2, 2, 5)
    torch.testing.assert_close(out[:, 1], down.reduce(x[:, [4, 5, 6, 7]].mean(1)))
    constant = torch.randn(1, 1, 3)
    torch.testing.assert_close(down(constant.expand(1, 8, 3)), down.reduce(constant).expand(1, 2, 5))
    with pytest.raises(ValueError, match="a token grid of 3x4 cannot be halved"):
        PoolDown(3, 5, (3, 4))


def test_pixel_shuffle_is_the_one_of_images():
    x = torch.randn(2, 6, 12)
    out = PixelShuffle()(x, (2, 3))
    assert out.shape == (2, 24, 3) and out.is_contiguous()
    assert torch.equal(out, to_tokens(unpatchify(x, (2, 3), 2)))
    assert not list(PixelShuffle(smooth=True).parameters())


def test_blurring_is_bicubic_to_four_times_the_side_and_back():
    x, layer = torch.randn(2, 5 * 6, 8, dtype=torch.float64), PixelShuffle(smooth=True)
    soft = to_tokens(F.avg_pool2d(F.interpolate(to_map(x, (5, 6)), scale_factor=4, mode="bicubic"), 4))
    torch.testing.assert_close(layer.blurred(x, (5, 6)), soft)
    torch.testing.assert_close(layer(x, (5, 6)), PixelShuffle()(soft, (5, 6)))


def test_bicubic():
    x = torch.randn(2, 5 * 6, 8)
    out = Bicubic()(x, (5, 6))
    assert out.shape == (2, 120, 8)
    torch.testing.assert_close(to_map(out, (10, 12)), F.interpolate(to_map(x, (5, 6)), scale_factor=2, mode="bicubic"))


def test_average():
    x = torch.randn(2, 8, 3)
    out = average(x, (4, 2))
    assert out.shape == (2, 2, 3)
    torch.testing.assert_close(out[:, 1], x[:, [4, 5, 6, 7]].mean(1))


@pytest.mark.parametrize(
    "layer, shape",
    [
        (PatchEmbed(1, 2, 2, 1), (1, 1, 4, 4)),
        (PixelShuffleUp(2, 1, (2, 2)), (1, 4, 2)),
        (PoolDown(2, 2, (2, 2)), (1, 4, 2)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)
def test_can_be_differentiated_twice(layer, shape):
    layer = layer.double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    squared = lambda x: layer(x).square()  # noqa: E731  a linear layer has no second derivative of its own
    assert torch.autograd.gradgradcheck(squared, (x,))
