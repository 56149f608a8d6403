"""Outputs of a generator whose patches overlap: sizes, what an image depends on, and no mesh."""

import pytest
import torch
from torch import nn

from transgan.layers.convolution import StridedStem
from transgan.layers.norm import RMSNorm
from transgan.layers.output import OverlappingOutput, ResidualOutput, ShuffledOutput, TransposedOutput, maps_of
from transgan.layers.patch import unpatchify

KINDS = {
    "overlapping": lambda *shape: OverlappingOutput(*shape),
    "residual": lambda *shape: ResidualOutput(*shape, widths=[16, 8][: shape[3].bit_length() - 1]),
    "shuffled": lambda *shape: ShuffledOutput(*shape),
    "transposed": lambda *shape: TransposedOutput(*shape, widths=[16][: shape[3].bit_length() - 2]),
}


class Patches(nn.Module):
    """A linear layer from a token to its own patch."""

    def __init__(self, dim, style_dim, grid_size, patch_size, in_chans):
        super().__init__()
        self.grid_size, self.patch_size = grid_size, patch_size
        self.norm, self.linear = RMSNorm(dim), nn.Linear(dim, patch_size**2 * in_chans)

    def forward(self, x, style):
        return unpatchify(self.linear(self.norm(x)), self.grid_size, self.patch_size)


def drawn(output, seed=0, count=64):
    generator = torch.Generator().manual_seed(seed)
    # neighbouring tokens that differ little, as those of a trained generator
    rough = torch.randn(count, 32, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(rough, 8, mode="bicubic")
    with torch.no_grad():
        return output(smooth.flatten(2).transpose(1, 2), torch.randn(count, 16, generator=generator))


@pytest.mark.parametrize("patch_size", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_image_of_the_size_of_the_patches(kind, patch_size):
    output = KINDS[kind](32, 16, (8, 8), patch_size, 3)
    assert drawn(output, count=2).shape == (2, 3, 8 * patch_size, 8 * patch_size)


def reach(output):
    """Which tokens (4, 4) the pixel at the lower right corner of patch (1, 1) depends on."""
    x = torch.randn(1, 16, 32, requires_grad=True)
    image = output(x, torch.randn(1, 16))
    size = image.shape[-1] // 4
    (gradient,) = torch.autograd.grad(image[0, 0, 2 * size - 1, 2 * size - 1], x)
    return (gradient[0].abs().sum(1) > 1e-6).view(4, 4)


@pytest.mark.parametrize("kind", ["overlapping", "shuffled"])
def test_pixel_at_a_border_is_made_by_the_patches_on_both_sides(kind):
    torch.manual_seed(0)
    assert reach(Patches(32, 16, (4, 4), 4, 1)).sum() == 1
    assert reach(KINDS[kind](32, 16, (4, 4), 4, 1))[1:3, 1:3].all()


@pytest.mark.parametrize("kind", ["residual", "transposed"])
def test_convolutions_see_neighbouring_tokens(kind):
    """Their norms are of the complete map: with those left out, what is beside a token still counts."""
    torch.manual_seed(0)
    output = KINDS[kind](32, 16, (4, 4), 4, 1)
    for module in output.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = lambda x: x
    seen = reach(output)
    assert seen[1:3, 1:3].all()


@pytest.mark.parametrize("kind", KINDS)
def test_image_depends_on_its_own_tokens_and_style_alone(kind):
    torch.manual_seed(0)
    output = KINDS[kind](32, 16, (4, 4), 4, 1)
    x, style = torch.randn(3, 16, 32), torch.randn(3, 16)
    torch.testing.assert_close(output(x, style)[1:2], output(x[1:2], style[1:2]))


@pytest.mark.parametrize("kind", ["residual", "transposed"])
def test_style_reaches_the_convolutions(kind):
    torch.manual_seed(0)
    output = KINDS[kind](32, 16, (4, 4), 4, 1)
    x = torch.randn(1, 16, 32).expand(2, -1, -1)
    first, second = output(x, torch.randn(2, 16))
    assert (first - second).abs().mean() > 0.05


def test_no_size_but_powers_of_two_can_be_doubled():
    with pytest.raises(ValueError, match="patch_size 3 is no power of two"):
        TransposedOutput(32, 16, (4, 4), 3, 1, widths=[16])


def test_number_of_widths_is_named():
    with pytest.raises(ValueError, match=r"output.widths=\[16, 8\]: a patch_size of 4 needs 1 of them"):
        TransposedOutput(32, 16, (4, 4), 4, 1, widths=[16, 8])


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_strided_stem_halves_the_map(halvings):
    stem = StridedStem(3, 24, halvings)
    assert stem.stride == 2**halvings
    assert stem(torch.zeros(2, 3, 32, 32)).shape == (2, 24, 32 // 2**halvings, 32 // 2**halvings)


def test_a_last_tanh_keeps_every_pixel_in_range():
    torch.manual_seed(0)
    plain, bounded = (ResidualOutput(32, 8, (4, 4), 4, 3, tanh=tanh) for tanh in (False, True))
    bounded.load_state_dict(plain.state_dict())
    x, style = 50 * torch.randn(2, 16, 32), 50 * torch.randn(2, 8)
    torch.testing.assert_close(bounded(x, style), plain(x, style).tanh())
    assert bounded(x, style).abs().max() <= 1 < plain(x, style).abs().max()


def test_each_doubling_halves_the_channels():
    assert maps_of(64, 8, None) == [64, 32, 16, 16]
    assert maps_of(64, 8, None, hidden_dim=16) == [64, 16, 8, 8]
    assert maps_of(256, 16, None, hidden_dim=128) == [256, 128, 64, 32, 16]
    assert maps_of(64, 4, [24, 12], hidden_dim=16) == [64, 24, 12]  # what is given wins
