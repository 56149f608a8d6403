"""Images of few colours as sequences of tokens: a token per pixel, from a palette found in the training images.

Only images of these colours have probability: bits per dimension cannot be compared with those over all images.

N batch, T tokens, C channels of the image, M colours.
"""

import torch
from torch import Tensor

from transgan.layers.patch import to_tokens, unpatchify
from transgan.layers.precision import wide
from transgan.models.tokens import Categorical


class Palette(Categorical):
    """A token per pixel in raster order.

    Args:
        img_size, in_chans: of the images. dim: width of the network. colours: how many, 2 to 4096.
        quantise: where the images have more colours, take the centres of so many clusters, and for each pixel the
            nearest, instead of refusing them in `prepare`.
    """

    palette: Tensor

    def __init__(self, img_size: int, in_chans: int, dim: int, colours: int, quantise: bool = False):
        super().__init__()
        if not 2 <= colours <= 4096:
            raise ValueError(f"tokens.colours={colours}: a palette has 2 to 4096")
        self.img_size, self.in_chans, self.quantise = img_size, in_chans, quantise
        self.num_values, self.grid_size = in_chans * img_size**2, (img_size, img_size)
        self.register_buffer("palette", torch.full((colours, in_chans), float("nan")))  # 0 to 255; NaN: not yet found
        self.add_vocabulary(colours, dim)

    def prepare(self, images: Tensor) -> None:
        """Finds the palette of uint8 images, if there is none yet. Raises ValueError if they have other colours."""
        codes, counts = codes_of(images)
        size = len(self.palette)
        if self.palette.isnan().any():
            found = colours_of(codes, self.in_chans)
            found = found if len(found) <= size else clusters(found, counts, size)
            self.palette.copy_(torch.cat([found, found[-1:].expand(size - len(found), -1)]))
        known, _ = codes_of(self.palette.to(torch.uint8)[:, :, None, None].cpu())
        if not self.quantise and not torch.isin(codes, known).all():
            raise ValueError(
                f"tokens.colours={size}: the images have {len(codes):,} colours, some not in this palette; give "
                "more, or tokens.quantise=true to train on the nearest"
            )

    def tokens(self, images: Tensor) -> Tensor:  # (N, C, H, W)
        """Indices of the nearest colours (N, T)."""
        pixels = to_tokens((wide(images) + 1) * 127.5)  # (N, T, C)
        palette = self.palette.to(pixels.dtype).expand(len(pixels), -1, -1)
        return torch.cdist(pixels, palette, compute_mode="donot_use_mm_for_euclid_dist").argmin(2)

    def images(self, tokens: Tensor) -> Tensor:  # (N, T)
        """Images (N, C, H, W) in [-1, 1]."""
        return unpatchify(self.palette[tokens] / 127.5 - 1, self.grid_size, 1)


def codes_of(images: Tensor) -> tuple[Tensor, Tensor]:  # uint8 (N, C, H, W)
    """The colours of images as one number each, ascending (M,), and how often each occurs."""
    codes = torch.zeros_like(images[:, 0], dtype=torch.long)
    for channel in images.unbind(1):
        codes = 256 * codes + channel
    return codes.unique(return_counts=True)


def colours_of(codes: Tensor, in_chans: int) -> Tensor:
    """The colours (M, C) with these codes (M,)."""
    return torch.stack([codes // 256**i % 256 for i in reversed(range(in_chans))], 1)


def clusters(found: Tensor, counts: Tensor, size: int, rounds: int = 20) -> Tensor:
    """Integer colours (size, C) at the centres of clusters (Lloyd, 1982), initialised evenly by brightness."""
    order = found.sum(1).argsort(stable=True)
    order = order[torch.linspace(0, len(order) - 1, min(len(order), 20_000)).long()]
    found, counts = found[order].double(), counts[order].double().unsqueeze(1)
    centres = found[torch.linspace(0, len(found) - 1, size).long()]
    for _ in range(rounds):
        nearest = torch.cdist(found, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, found * counts)
        total = counts.new_zeros(size, 1).index_add_(0, nearest, counts)
        centres = torch.where(total > 0, sums / total, centres)
    return centres.round()
