"""Tokens to pixels without a mesh: outputs of a generator in which neighbouring patches overlap.

A linear layer from each token to its own patch prints the patch grid into the image, because nothing makes the two
sides of a border agree (Odena et al., 2016, describe the same of strided convolutions). Each class here is called with
(dim, style_dim, grid_size, patch_size, in_chans) and maps tokens (N, T, C) and a style (N, S) to an image
(N, in_chans, h p, w p): see `output` of transgan/models/style_transformer.py.

N batch, T tokens, C channels, S style width, h w token grid, p patch size, H W image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.norm import RMSNorm, StyleNorm
from transgan.layers.patch import to_map, unpatchify


def maps_of(
    dim: int, patch_size: int, widths: Sequence[int] | None, last: int | None = None, hidden_dim: int | None = None
) -> list[int]:
    """Channels of the maps from the tokens to the pixels: dim, `widths`, and `last` if that is given.

    Without `widths` the first doubling leaves `hidden_dim` channels (None: half of dim), and each further one half as
    many, down to 16, or to half of a hidden_dim that is smaller. Raises ValueError unless the patch size is a power of
    two and there are as many widths as doublings.
    """
    doublings = patch_size.bit_length() - 1
    if patch_size != 2**doublings:
        raise ValueError(
            f"this generator.output doubles the token grid, and patch_size {patch_size} is no power of two"
        )
    count = doublings if last is None else max(0, doublings - 1)
    if widths is None:
        first, least = (max(16, dim // 2), 16) if hidden_dim is None else (hidden_dim, min(16, max(1, hidden_dim // 2)))
        widths = [max(least, first // 2**i) for i in range(count)]
    widths = list(widths)
    if len(widths) != count:
        before = "" if last is None else ", but the last"
        raise ValueError(
            f"output.widths={widths}: a patch_size of {patch_size} needs {count} of them, the channels after each "
            f"doubling{before}"
        )
    return [dim, *widths] if last is None else [dim, *widths, last]


class StyleGroupNorm(nn.Module):
    """GroupNorm of a map with a scale and shift per channel from the style: an image depends on its own style alone."""

    def __init__(self, dim: int, style_dim: int, num_groups: int = 8):
        super().__init__()
        self.norm = nn.GroupNorm(num_groups if dim % num_groups == 0 else 1, dim, affine=False)
        self.modulation = nn.Linear(style_dim, 2 * dim)
        nn.init.xavier_uniform_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, C, H, W), (N, S)
        scale, shift = self.modulation(style)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class RefinedOutput(nn.Module):
    """A norm modulated by the style, a linear layer to patches, and a 3x3 convolution across their borders."""

    def __init__(self, dim: int, style_dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int):
        super().__init__()
        self.grid_size, self.patch_size = (grid_size[0], grid_size[1]), patch_size
        width = max(in_chans, dim // patch_size**2)
        self.norm = StyleNorm(dim, style_dim)
        self.linear = nn.Linear(dim, patch_size**2 * width)
        self.refine = nn.Conv2d(width, in_chans, 3, padding=1)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x, _ = self.norm(x, style)
        return self.refine(F.silu(unpatchify(self.linear(x), self.grid_size, self.patch_size)))


class TransposedOutput(nn.Module):
    """norm, ReLU, 4x4 transposed convolution of stride 2, once for each doubling: DCGAN's (Radford et al., 2016).

    widths: channels after each doubling but the last, which gives the image; None: half as many each, down to 16.
    """

    def __init__(
        self, dim: int, style_dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int,
        widths: Sequence[int] | None = None,
    ):  # fmt: skip
        super().__init__()
        self.grid_size = (grid_size[0], grid_size[1])
        maps = maps_of(dim, patch_size, widths, in_chans)
        self.norms = nn.ModuleList(StyleGroupNorm(width, style_dim) for width in maps[:-1])
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(maps[:-1], maps[1:], strict=True))
        for up in self.ups:  # DCGAN, section 4: images begin grey, for a texture of large weights is one of the stride
            nn.init.normal_(up.get_parameter("weight"), std=0.02)
            nn.init.zeros_(up.get_parameter("bias"))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x = to_map(x, self.grid_size)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x, style)))  # (N, C', 2 h, 2 w)
        return x  # (N, in_chans, H, W)


class ResidualOutput(nn.Module):
    """Residual blocks that double the map, as in the generators of WGAN-GP and SNGAN (2018); then norm, ReLU, 3x3.

    Their norms are modulated by the style. widths: channels after each doubling; None: hidden_dim (None: half of dim)
    after the first, and half as many after each further one. late: upsample after the first convolution of each block,
    which costs half of the time. tanh: the last layer, as in DCGAN: then black and white areas come out even.
    """

    def __init__(
        self, dim: int, style_dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int,
        widths: Sequence[int] | None = None, late: bool = False, tanh: bool = False, hidden_dim: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.grid_size, self.tanh = (grid_size[0], grid_size[1]), tanh
        maps = maps_of(dim, patch_size, widths, hidden_dim=hidden_dim)
        self.blocks = nn.ModuleList(
            ResidualUp(a, b, style_dim, late) for a, b in zip(maps[:-1], maps[1:], strict=True)
        )  # fmt: skip
        self.norm = StyleGroupNorm(maps[-1], style_dim)
        self.head = nn.Conv2d(maps[-1], in_chans, 3, padding=1)
        nn.init.xavier_uniform_(self.head.weight, gain=0.2)
        nn.init.zeros_(self.head.get_parameter("bias"))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x = to_map(x, self.grid_size)
        for block in self.blocks:
            x = block(x, style)  # (N, C', 2 h, 2 w)
        image = self.head(F.relu(self.norm(x, style)))  # (N, in_chans, H, W)
        return image.tanh() if self.tanh else image


class ResidualUp(nn.Module):
    """norm, ReLU, nearest-neighbour upsampling, 3x3, norm, ReLU, 3x3; the shortcut is 1x1 and upsampling.

    `late` upsamples after the first convolution, which then costs a quarter.
    """

    def __init__(self, dim: int, out_dim: int, style_dim: int, late: bool = False):
        super().__init__()
        self.late = late
        self.norm1, self.conv1 = StyleGroupNorm(dim, style_dim), nn.Conv2d(dim, out_dim, 3, padding=1)
        self.norm2, self.conv2 = StyleGroupNorm(out_dim, style_dim), nn.Conv2d(out_dim, out_dim, 3, padding=1)
        self.shortcut = nn.Conv2d(dim, out_dim, 1)
        for layer, gain in ((self.conv1, 2**0.5), (self.conv2, 2**0.5), (self.shortcut, 1.0)):
            nn.init.xavier_uniform_(layer.weight, gain)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, C, H, W), (N, S)
        h = F.relu(self.norm1(x, style))
        if self.late:
            h = F.interpolate(F.relu(self.norm2(self.conv1(h), style)), scale_factor=2)  # (N, C', 2 H, 2 W)
        else:
            h = F.relu(self.norm2(self.conv1(F.interpolate(h, scale_factor=2)), style))
        h = self.conv2(h)
        return h + F.interpolate(self.shortcut(x), scale_factor=2)


class OverlappingOutput(nn.Module):
    """Patches of twice their side that overlap by half and are added under a window that sums to 1.

    The counterpart of the discriminator's overlapping patches (ViTGAN, 2021): norm, then one transposed convolution of
    kernel 2 p and stride p, initialised below a raised cosine, and a 3x3 convolution.
    """

    def __init__(
        self, dim: int, style_dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int, hidden_dim: int = 8
    ):  # fmt: skip
        super().__init__()
        self.grid_size, p = (grid_size[0], grid_size[1]), patch_size
        self.norm = RMSNorm(dim)
        self.patches = nn.ConvTranspose2d(dim, hidden_dim, 2 * p, p, p // 2, output_padding=p % 2)
        line = torch.sin(torch.pi * (torch.arange(2 * p) + 0.5) / (2 * p)).square()  # two of them overlap to 1
        self.patches.weight.data *= line[:, None] * line[None] * 2 * p / 3**0.5
        nn.init.zeros_(self.patches.get_parameter("bias"))
        self.refine = nn.Conv2d(hidden_dim, in_chans, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        return self.refine(F.silu(self.patches(to_map(self.norm(x), self.grid_size))))  # (N, in_chans, H, W)


class ShuffledOutput(nn.Module):
    """A linear layer to patches, a binomial low-pass of each channel, which can learn, and a 3x3 convolution.

    The low-pass keeps pixel shuffle from its checkerboards (R3GAN, 2024, appendix; StyleGAN, 2019, has it too).
    """

    def __init__(
        self, dim: int, style_dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int, hidden_dim: int = 8
    ):  # fmt: skip
        super().__init__()
        self.grid_size, self.patch_size = (grid_size[0], grid_size[1]), patch_size
        self.norm = RMSNorm(dim)
        self.expand = nn.Linear(dim, patch_size**2 * hidden_dim)
        side = 2 * patch_size - 1
        self.smooth = nn.Conv2d(hidden_dim, hidden_dim, side, padding=side // 2, groups=hidden_dim)
        line = 1 - (torch.arange(side) - side // 2).abs() / patch_size  # of patch_size pixels on either side
        line = line / line.sum()
        self.smooth.weight.data.copy_((line[:, None] * line[None]).expand_as(self.smooth.weight))
        nn.init.zeros_(self.smooth.get_parameter("bias"))
        self.refine = nn.Conv2d(hidden_dim, in_chans, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x = unpatchify(self.expand(self.norm(x)), self.grid_size, self.patch_size)
        return self.refine(F.silu(self.smooth(x)))  # (N, in_chans, H, W)
