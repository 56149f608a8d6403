"""Images to tokens and back: overlapping patches, patches to pixels, and changes of the token grid in between.

N batch, C channels, H W image, h w token grid, p patch size, T = h * w.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


def token_grid(img_size: int, patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches of a square image. Raises ValueError if the patch does not divide the image."""
    if patch_size < 1 or img_size % patch_size:
        near = max(1, img_size // max(1, patch_size)) * patch_size
        raise ValueError(
            f"patch_size {patch_size} does not divide img_size {img_size}; {near} would, or choose another patch_size"
        )
    return img_size // patch_size, img_size // patch_size


def stage_windows(
    network: str,
    grid_size: tuple[int, int],
    dim: Sequence[int],
    depth: Sequence[int],
    num_heads: Sequence[int],
    window_size: Sequence[int | None] | None,
) -> list[int | None]:
    """The window of each stage of a `network` with a finest token grid of `grid_size`; None for global attention.

    Raises ValueError unless every list has one number per stage and the grid can be halved between all of them.
    """
    stages = len(dim)
    windows = list(window_size or [None] * stages)
    if not stages == len(depth) == len(num_heads) == len(windows):
        raise ValueError(
            f"{network}.dim, depth, num_heads and window_size need one number per stage; they have "
            f"{stages}, {len(depth)}, {len(num_heads)} and {len(windows)}"
        )
    if grid_size[0] % 2 ** (stages - 1):
        raise ValueError(
            f"{stages} {network} stages halve the {grid_size[0]}x{grid_size[1]} token grid {stages - 1} times, "
            "which is not possible; use fewer stages or another patch_size"
        )
    return windows


class PatchEmbed(nn.Module):
    """Image to tokens by a strided convolution; patches include `overlap` pixels of neighbours (ViTGAN, 2021)."""

    def __init__(self, in_chans: int, dim: int, patch_size: int, overlap: int = 0):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, patch_size + 2 * overlap, patch_size, overlap)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        return to_tokens(self.proj(x)).contiguous()  # (N, T, dim)


def to_map(x: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Tokens (N, T, C) to a map (N, C, h, w)."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *grid_size)


def to_tokens(x: Tensor) -> Tensor:
    """A map (N, C, h, w) to tokens (N, T, C)."""
    return x.flatten(2).transpose(1, 2)


def unpatchify(x: Tensor, grid_size: tuple[int, int], patch_size: int) -> Tensor:
    """Tokens (N, T, p*p*C) to an image (N, C, h*p, w*p). Channel c of pixel (i, j) has index c*p*p + i*p + j."""
    return F.pixel_shuffle(to_map(x, grid_size), patch_size)


def patchify(x: Tensor, patch_size: int) -> Tensor:
    """An image (N, C, H, W) to tokens (N, T, p*p*C): the inverse of `unpatchify`."""
    return to_tokens(F.pixel_unshuffle(x, patch_size))


class PixelShuffleUp(nn.Module):
    """Doubles the token grid: a linear layer to 4 * out_dim, pixel shuffle, and a 3x3 low-pass per channel.

    The low-pass is initialised as a binomial filter, which keeps pixel shuffle from producing checkerboard artefacts.
    """

    def __init__(self, dim: int, out_dim: int, grid_size: tuple[int, int]):
        super().__init__()
        self.grid_size = (grid_size[0], grid_size[1])
        self.expand = nn.Linear(dim, 4 * out_dim)
        self.smooth = nn.Conv2d(out_dim, out_dim, 3, padding=1, groups=out_dim)
        line = self.smooth.weight.new_tensor([0.25, 0.5, 0.25])
        self.smooth.weight.data.copy_((line[:, None] * line[None]).expand_as(self.smooth.weight))
        nn.init.zeros_(self.smooth.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:  # (N, T, dim)
        return to_tokens(self.smooth(unpatchify(self.expand(x), self.grid_size, 2)))  # (N, 4 T, out_dim)


class PixelShuffle(nn.Module):
    """Doubles the token grid by turning four channels into four tokens, without parameters (TransGAN, 2021).

    `smooth` blurs the map first, as TransGAN does at 256 px: bicubic upsampling to four times its side, averaged back.
    That is equivalent to a 5x5 filter with replicated edges, and is computed as one.
    """

    shrink = 4  # divides the number of channels

    def __init__(self, smooth: bool = False):
        super().__init__()
        self.smooth = smooth

    def blurred(self, x: Tensor, grid_size: tuple[int, int]) -> Tensor:  # (N, T, C)
        # the cubic convolution kernel (Keys, 1981, with a = -0.75) at the four samples of a pixel, averaged
        line = x.new_tensor([-0.01904296875, 0.08984375, 0.8583984375, 0.08984375, -0.01904296875])
        n, _, c = x.shape
        x = F.pad(to_map(x, grid_size), (2, 2, 2, 2), mode="replicate")
        x = F.conv2d(x, line.view(1, 1, 5, 1).expand(c, 1, 5, 1), groups=c)
        return to_tokens(F.conv2d(x, line.view(1, 1, 1, 5).expand(c, 1, 1, 5), groups=c))

    def forward(self, x: Tensor, grid_size: tuple[int, int]) -> Tensor:  # (N, T, C)
        if self.smooth:
            x = self.blurred(x, grid_size)
        (h, w), c = grid_size, x.shape[-1] // 4
        x = x.reshape(-1, h, w, c, 2, 2).permute(0, 1, 4, 2, 5, 3)  # (N, h, 2, w, 2, C / 4)
        return x.reshape(-1, 4 * h * w, c)  # (N, 4 T, C / 4)


class Bicubic(nn.Module):
    """Doubles the token grid by bicubic interpolation, keeping the channels."""

    shrink = 1

    def forward(self, x: Tensor, grid_size: tuple[int, int]) -> Tensor:  # (N, T, C)
        return to_tokens(F.interpolate(to_map(x, grid_size), scale_factor=2, mode="bicubic"))  # (N, 4 T, C)


def average(x: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Averages each 2x2 group of tokens: (N, T, C) to (N, T / 4, C)."""
    h, w = grid_size
    return x.reshape(-1, h // 2, 2, w // 2, 2, x.shape[-1]).mean((2, 4)).flatten(1, 2)


class PoolDown(nn.Module):
    """Halves the token grid: 2x2 average pooling, then a linear layer to `out_dim`."""

    def __init__(self, dim: int, out_dim: int, grid_size: tuple[int, int]):
        super().__init__()
        if grid_size[0] % 2 or grid_size[1] % 2:
            raise ValueError(f"a token grid of {grid_size[0]}x{grid_size[1]} cannot be halved")
        self.grid_size = (grid_size[0], grid_size[1])
        self.reduce = nn.Linear(dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:  # (N, T, dim)
        return self.reduce(to_tokens(F.avg_pool2d(to_map(x, self.grid_size), 2)))  # (N, T / 4, out_dim)
