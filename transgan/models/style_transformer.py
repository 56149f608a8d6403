"""A modern Transformer generator: a latent and a class become a style, which modulates every block.

A mapping network (Karras et al., 2019), initial tokens from their position and a linear map of the style (as in
TransGAN, 2021), then style-modulated blocks with QK-norm and rotary positions (GAT, 2025). With several stages the
token grid doubles between them by pixel shuffle. The norm, the stack and the output are passed in: with those of ViTGAN
(Lee et al., 2021) it is ViTGAN's generator, conf/generator/vitgan.yaml. Image heads after some of the blocks output
intermediate images, for the supervision of GAT (2025) and CAT (2026).

N batch, Z latent width, S style width, T tokens, C channels, H W image, K classes.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import ceil
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.describing import Described
from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import PixelNorm, RMSNorm, StyleNorm
from transgan.layers.patch import PixelShuffleUp, stage_windows, token_grid, unpatchify
from transgan.layers.position import sincos_table
from transgan.layers.precision import wide


class ImageHead(nn.Module):
    """An intermediate image from tokens: a norm modulated by the style, then a linear layer to patches.

    `norm` makes the norm from `dim`; its gate is not used.
    """

    def __init__(
        self, dim: int, grid_size: tuple[int, int], patch_size: int, in_chans: int, norm: Callable[[int], nn.Module]
    ):
        super().__init__()
        self.grid_size, self.patch_size = (grid_size[0], grid_size[1]), patch_size
        self.norm = norm(dim)
        self.linear = nn.Linear(dim, patch_size**2 * in_chans)
        # The images are summed: small heads leave the final image initially about as it is without them. Zeros would,
        # too, but would send no gradient back to the blocks.
        nn.init.xavier_uniform_(self.linear.weight, gain=0.1)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x, _ = self.norm(x, style)
        return wide(unpatchify(self.linear(x), self.grid_size, self.patch_size))  # (N, in_chans, h p, w p)


def head_blocks(depth: Sequence[int], image_heads: int) -> list[list[int]]:
    """For each stage the blocks, counted from 1 within it, that are followed by an image head. Raises ValueError."""
    total = sum(depth)
    if not 1 <= image_heads <= max(1, total):
        raise ValueError(
            f"generator.image_heads={image_heads} must be at least 1 and needs as many blocks: "
            f"generator.depth={list(depth)} has {total}; change one of them (supervision.num_outputs sets the first)"
        )
    after = [ceil(total * k / image_heads) for k in range(1, image_heads)]
    starts = [sum(depth[:i]) for i in range(len(depth))]
    return [[n - start for n in after if 0 < n - start <= own] for start, own in zip(starts, depth, strict=True)]


def summed(image: Tensor, before: list[Tensor]) -> Tensor:
    """image (N, C, H, W) plus the last of the earlier ones, upsampled to its size if need be."""
    return image + F.interpolate(before[-1], image.shape[2:], mode="nearest") if before else image


class StyleTransformer(Described, nn.Module):
    """Latents (N, Z) and labels (N,) to images (N, in_chans, img_size, img_size), unbounded, meant for [-1, 1].

    The defaults are those of conf/generator/style_transformer_small.yaml.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional generator.
        patch_size: pixels per token edge in the last stage.
        dim, depth, num_heads: one number per stage, coarse to fine; each stage doubles the token grid.
        window_size: per stage, attention within square windows, or None for global attention; None for all stages.
        mlp_ratio: hidden width of the feed-forward layers over dim.
        latent_dim, style_dim: Z and S. mapping_depth: layers of the mapping network; with 0 the style is the normalised
            latent, and the class beside it. style_dim None: S is the width of these, Z, or 2 Z with classes.
        embed_style: whether the style enters the initial tokens; otherwise they are their positions alone, and it
            enters through the norms.
        norm: makes the norm of every branch from (dim, style_dim=S): StyleNorm or SelfModulatedNorm.
        transformer: makes a stage's stack of blocks, Transformer or a partial of it.
        output: makes the map from tokens and style to pixels from (C, S, grid, patch_size, in_chans), such as a partial
            of FourierPatch; None: RMSNorm, a linear layer to patches and a 3x3 convolution across their borders.
        image_heads: K images. Image k < K is image k - 1 plus the output of a head after block ceil(L k / K) of all L,
            at the resolution of its stage; image K adds the output of the last stage. 1: that alone.

    `image_sizes` are the sides of the K images. Raises ValueError when the patch does not divide the image, the stages
    do not fit each other, there are more images than blocks, or a style without a mapping network has another width.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int = 3,
        num_classes: int = 0,
        patch_size: int = 2,
        dim: Sequence[int] = (512, 256),
        depth: Sequence[int] = (6, 4),
        num_heads: Sequence[int] = (8, 4),
        window_size: Sequence[int | None] | None = None,
        mlp_ratio: float = 4.0,
        latent_dim: int = 64,
        style_dim: int | None = 256,
        mapping_depth: int = 2,
        embed_style: bool = True,
        norm: Callable[..., nn.Module] = StyleNorm,
        transformer: Callable[..., nn.Module] = Transformer,
        output: Callable[..., nn.Module] | None = None,
        image_heads: int = 1,
    ):
        super().__init__()
        stages = len(dim)
        self.latent_dim, self.num_classes, self.patch_size = latent_dim, num_classes, patch_size
        self.grid_size = token_grid(img_size, patch_size)
        window_size = stage_windows("generator", self.grid_size, dim, depth, num_heads, window_size)
        self.head_blocks = head_blocks(depth, image_heads)
        first = self.grid_size[0] // 2 ** (stages - 1)

        before = latent_dim * (2 if num_classes else 1)
        if mapping_depth == 0 and style_dim not in (None, before):
            raise ValueError(
                f"generator.style_dim={style_dim} has no effect without a mapping network: the style is as wide as "
                f"the latent{' and the class' if num_classes else ''}; give style_dim=null, or mapping_depth=1"
            )
        style_dim = before if style_dim is None else style_dim
        widths = [before] + [style_dim] * mapping_depth
        self.latent_norm = PixelNorm()
        self.label_embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.map = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

        self.tokens = nn.Parameter(sincos_table(dim[0], (first, first)).unsqueeze(0))
        self.embed = nn.Linear(style_dim, first**2 * dim[0]) if embed_style else None
        self.stages, self.ups = nn.ModuleList(), nn.ModuleList()
        for i in range(stages):
            grid = (first * 2**i, first * 2**i)
            self.stages.append(
                transformer(
                    dim[i],
                    depth[i],
                    num_heads[i],
                    grid,
                    mlp_ratio,
                    norm=partial(norm, style_dim=style_dim),
                    window_size=window_size[i],
                )
            )
            if i + 1 < stages:
                self.ups.append(PixelShuffleUp(dim[i], dim[i + 1], grid))

        if output is None:
            pixel_dim = max(in_chans, dim[-1] // patch_size**2)
            self.norm = RMSNorm(dim[-1])
            self.head = nn.Linear(dim[-1], patch_size**2 * pixel_dim)
            self.refine = nn.Conv2d(pixel_dim, in_chans, 3, padding=1)  # across patch borders
        self.initialise()
        self.output = None if output is None else output(dim[-1], style_dim, self.grid_size, patch_size, in_chans)

        grids = [(first * 2**i, first * 2**i) for i, blocks in enumerate(self.head_blocks) for _ in blocks]
        widths = [dim[i] for i, blocks in enumerate(self.head_blocks) for _ in blocks]
        self.image_sizes = [grid[0] * patch_size for grid in [*grids, self.grid_size]]
        self.image_heads = nn.ModuleList(  # last, so that the rest is initialised as it is without them
            ImageHead(width, grid, patch_size, in_chans, partial(norm, style_dim=style_dim))
            for width, grid in zip(widths, grids, strict=True)
        )

    def initialise(self) -> None:
        """Xavier for all linear layers, except for modulations and the output, which initialise themselves."""
        xavier(self, leave={module.modulation for module in self.modules() if isinstance(module, StyleNorm)})

    def mapping(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        """The style (N, S)."""
        style = self.latent_norm(latent)
        if self.label_embed is not None:
            style = torch.cat([style, self.latent_norm(self.label_embed(labels))], dim=1)
        for layer in self.map:
            style = F.silu(layer(style))
        return style

    def images(self, style: Tensor) -> list[Tensor]:  # (N, S)
        """The K images (N, in_chans, s, s), s of `image_sizes`."""
        images: list[Tensor] = []
        x = self.tokens.expand(style.shape[0], -1, -1)  # (N, T0, C0)
        if self.embed is not None:
            x = x + self.embed(style).float().unflatten(1, self.tokens.shape[1:])
        for i, (stage, blocks) in enumerate(
            zip(cast(Iterable[Transformer], self.stages), self.head_blocks, strict=True)
        ):
            if i > 0:
                x = self.ups[i - 1](x).float()  # (N, 4 T, C'); sums in float32
            if not blocks:
                x = stage(x, style)  # (N, T, C)
                continue
            for n, after in enumerate(stage.intermediates(x, style), 1):
                x = after  # (N, T, C)
                if n in blocks:
                    images.append(summed(self.image_heads[len(images)](x, style), images))
        return [*images, summed(self.finish(x, style), images)]

    def finish(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        """What the last tokens add to the image (N, in_chans, H, W); without image heads, the image itself."""
        if self.output is not None:
            return self.output(x, style)  # (N, in_chans, H, W)
        x = self.head(self.norm(x))  # (N, T, p*p*c)
        x = F.silu(unpatchify(x, self.grid_size, self.patch_size))  # (N, c, H, W)
        return self.refine(x)  # (N, in_chans, H, W)

    def all_images(self, latent: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The intermediate images and the final one, coarse to fine; the last is the output of `forward`."""
        return self.images(self.mapping(latent, labels))

    def synthesis(self, style: Tensor) -> Tensor:  # (N, S)
        """The images (N, in_chans, H, W)."""
        return self.images(style)[-1]

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.synthesis(self.mapping(latent, labels))
