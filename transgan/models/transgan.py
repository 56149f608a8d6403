"""TransGAN (Jiang, Chang and Wang, NeurIPS 2021): generator and multi-scale discriminator, made of Transformer stages.

The four published networks, and two that the paper reports without code, are configurations of these two classes. They
compute the same functions as the released code, with as many parameters, and were written from a description of it.
DiffAugment is part of training and not of the discriminator, and both networks can be conditional on a class.

N batch, Z latent width, T tokens, C channels, H W image, K classes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from transgan.describing import Described
from transgan.layers.block import Transformer
from transgan.layers.feedforward import Mlp
from transgan.layers.noise import mix, sample_seeds
from transgan.layers.norm import ScaledNorm
from transgan.layers.patch import Bicubic, PatchEmbed, PixelShuffle, average, stage_windows, to_map, token_grid
from transgan.layers.precision import wide, without_autocast


def stack(norm_layer: Callable[[int], nn.Module], **settings: Any) -> Callable[..., Transformer]:
    """Makes the stages of both networks: pre-norm, GELU, no bias in q, k and v, learned absolute positions."""
    norm = partial(ScaledNorm, norm_layer=norm_layer)
    return partial(Transformer, norm=norm, mlp_layer=Mlp, qkv_bias=False, qk_norm=False, rotary=False, **settings)


def positions(grid_size: tuple[int, int], dim: int) -> nn.Parameter:
    """Learned position embeddings (1, T, dim)."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, grid_size[0] * grid_size[1], dim), std=0.02))


class Generator(Described, nn.Module):
    """Latents (N, Z) and labels (N,) to images (N, in_chans, img_size, img_size), unbounded, meant for [-1, 1].

    A linear layer makes the coarsest map; each stage adds its positions and runs its blocks, and the map doubles
    between stages. The noise is new at every call while training; in eval mode it is a function of the latent, so
    that an image is the same in any batch.

    Args:
        img_size, in_chans: of the images. num_classes: 0 as published; otherwise an embedding of the class is added to
            the latent.
        latent_dim: Z.
        dim, depth, num_heads: one number per stage, coarse to fine; each stage has twice the side of the previous one,
            and the last the side of the image. A stage of depth 0 only adds positions.
        window_size: per stage, attention within square windows (grid self-attention), or None; None for all stages.
        upsample: what doubles the map after each stage but the last: layers.patch.PixelShuffle, which divides the
            channels by four, or Bicubic, which keeps them.
        norm_layer: makes a norm from a width, such as nn.LayerNorm or PixelNorm.
        relative_position: a learned bias per head and displacement in each attention, in addition to the positions.
        noise: learned noise on the input of each attention.
        cross_attention: each block first attends to a second linear map of the latent (self-modulation).
        mlp_ratio: hidden width of the feed-forward layers over dim. checkpointing: see layers.block.Transformer.

    Raises ValueError when the stages do not fit the image or each other.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        latent_dim: int,
        dim: Sequence[int],
        depth: Sequence[int],
        num_heads: Sequence[int],
        window_size: Sequence[int | None] | None,
        upsample: Sequence[nn.Module],
        norm_layer: Callable[[int], nn.Module],
        relative_position: bool,
        noise: bool,
        cross_attention: bool,
        mlp_ratio: float,
        checkpointing: bool,
    ):
        super().__init__()
        window_size = stage_windows("generator", (img_size, img_size), dim, depth, num_heads, window_size)
        check_widths(dim, upsample)
        first = img_size // 2 ** (len(dim) - 1)
        self.grids = [(first * 2**i, first * 2**i) for i in range(len(dim))]
        self.latent_dim, self.num_classes, self.noise = latent_dim, num_classes, noise
        make = stack(
            norm_layer,
            mlp_ratio=mlp_ratio,
            relative_position=relative_position,
            noise=noise,
            context_dim=dim[0] if cross_attention else None,
            checkpointing=checkpointing,
        )
        self.label_embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.embed = nn.Linear(latent_dim, first**2 * dim[0])
        self.context = nn.Linear(latent_dim, first**2 * dim[0]) if cross_attention else None
        self.context_pos = positions(self.grids[0], dim[0]) if cross_attention else None
        self.pos_embed = nn.ParameterList(positions(grid, width) for grid, width in zip(self.grids, dim, strict=True))
        self.stages = nn.ModuleList(
            make(*numbers, window_size=window)
            for *numbers, window in zip(dim, depth, num_heads, self.grids, window_size, strict=True)
        )
        self.upsample = nn.ModuleList(upsample)
        self.to_rgb = nn.Conv2d(dim[-1], in_chans, 1)
        # The released code declares a noise strength in each cross-attention and never uses it.
        unread = sum(depth) if cross_attention and noise else 0
        self.unread = nn.ParameterList(nn.Parameter(torch.zeros(()), requires_grad=False) for _ in range(unread))
        nn.init.xavier_uniform_(self.to_rgb.weight)  # everything else is initialised as by torch

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        seeds = sample_seeds(latent) if self.noise and not self.training else None
        if self.label_embed is not None:
            latent = latent + self.label_embed(labels)
        context = None
        if self.context is not None and self.context_pos is not None:
            context = self.context(latent).unflatten(1, self.context_pos.shape[1:]) + self.context_pos
        x = wide(self.embed(latent)).unflatten(1, self.pos_embed[0].shape[1:])  # (N, T0, C0)
        for i, stage in enumerate(self.stages):
            if i > 0:
                x = self.upsample[i - 1](x, self.grids[i - 1])  # (N, 4 T, C or C / 4)
            own = None if seeds is None else mix(seeds + i)
            x = wide(stage(x + self.pos_embed[i], context, own))  # sums in float32
        return self.to_rgb(to_map(x, self.grids[-1]))  # (N, in_chans, H, W)


def check_widths(dim: Sequence[int], upsample: Sequence[nn.Module]) -> None:
    """Raises ValueError unless the width of every stage is that after the upsampling before it."""
    if len(upsample) != len(dim) - 1:
        raise ValueError(f"generator.upsample needs {len(dim) - 1} entries for {len(dim)} stages, not {len(upsample)}")
    for i, up in enumerate(cast(Sequence[PixelShuffle | Bicubic], upsample)):
        if dim[i] != dim[i + 1] * up.shrink:
            raise ValueError(
                f"generator.dim={list(dim)}: {type(up).__name__} divides the width by {up.shrink}, so {dim[i + 1]} "
                f"cannot follow {dim[i]}; change one of them, or generator.upsample"
            )


class Embed(nn.Module):
    """The tokens of a new scale: those of the previous scale, averaged, beside patches of the image; plus positions."""

    def __init__(self, in_chans: int, before: int, dim: int, grid: tuple[int, int], patch_size: int, overlap: int):
        super().__init__()
        self.grid = grid
        self.embed = PatchEmbed(in_chans, dim - before, patch_size, overlap)
        self.pos_embed = positions(grid, dim)

    def forward(self, x: Tensor | None, images: Tensor) -> Tensor:  # (N, 4 T, C), (N, in_chans, H, W)
        new = wide(self.embed(images))
        if x is not None:
            new = torch.cat([average(x, (2 * self.grid[0], 2 * self.grid[1])), new], dim=-1)
        return new + self.pos_embed  # (N, T, C')


class Stay(nn.Module):
    """The tokens of the previous stage, for one that continues at its scale, such as one without windows."""

    def forward(self, x: Tensor, images: Tensor) -> Tensor:
        return x


class Discriminator(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    Each scale concatenates the averaged tokens of the finer one with patches of the image at its own size. A class
    token joins at the end, for one more block. Noise as in Generator: in eval mode it is a function of the image.

    Args:
        img_size, in_chans: of the images. num_classes: 0 as published; otherwise the head projects the label.
        patch_size: one number per stage, fine to coarse: twice the previous one begins a new scale, the same continues
            it.
        overlap: pixels of each neighbour that the finest patches include.
        dim, depth, num_heads: one number per stage; a new scale is wider, and the added width is that of its own
            patches.
        window_size: per stage, attention within square windows, or None; None for all stages.
        norm_layer, relative_position, noise, mlp_ratio, checkpointing: as of Generator.

    Raises ValueError when the patches do not divide the image or the stages do not fit each other.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        patch_size: Sequence[int],
        overlap: int,
        dim: Sequence[int],
        depth: Sequence[int],
        num_heads: Sequence[int],
        window_size: Sequence[int | None] | None,
        norm_layer: Callable[[int], nn.Module],
        relative_position: bool,
        noise: bool,
        mlp_ratio: float,
        checkpointing: bool,
    ):
        super().__init__()
        windows = check_scales(patch_size, dim, depth, num_heads, window_size)
        self.num_classes, self.noise = num_classes, noise
        make = stack(norm_layer, mlp_ratio=mlp_ratio, noise=noise, checkpointing=checkpointing)
        self.embeds, self.stages = nn.ModuleList(), nn.ModuleList()
        for i, size in enumerate(patch_size):
            grid = token_grid(img_size, size)
            if i > 0 and size == patch_size[i - 1]:
                self.embeds.append(Stay())
            else:
                before, seen = (dim[i - 1], 0) if i > 0 else (0, overlap)
                self.embeds.append(Embed(in_chans, before, dim[i], grid, size, seen))
            self.stages.append(
                make(
                    dim[i],
                    depth[i],
                    num_heads[i],
                    grid,
                    window_size=windows[i],
                    relative_position=relative_position,
                )
            )
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dim[-1]), std=0.02))
        self.last = make(dim[-1], 1, num_heads[-1], (1, 1 + grid[0] * grid[1]))
        self.norm = norm_layer(dim[-1])
        self.head = nn.Linear(dim[-1], 1)
        self.label_embed = nn.Embedding(num_classes, dim[-1]) if num_classes else None
        self.initialise()

    def initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
        if self.label_embed is not None:  # <f, e> initially has the variance of f
            nn.init.normal_(self.label_embed.weight, std=self.head.in_features**-0.5)

    def features(self, images: Tensor) -> Tensor:  # (N, in_chans, H, W)
        """The class token's features (N, C), float32."""
        seeds = sample_seeds(images) if self.noise and not self.training else None
        x: Tensor | None = None
        for i, (embed, stage) in enumerate(zip(self.embeds, self.stages, strict=True)):
            own = None if seeds is None else mix(seeds + i)
            x = wide(stage(embed(x, images), None, own))  # (N, T, C)
        assert x is not None
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)  # (N, 1 + T, C)
        own = None if seeds is None else mix(seeds + len(self.stages))
        return self.norm(wide(self.last(x, None, own)[:, 0]))  # (N, C)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images)
        with without_autocast(x):
            logits = self.head(x).squeeze(1)  # (N,)
            if self.label_embed is not None:
                logits = logits + (x * self.label_embed(labels)).sum(1)
        return logits


def check_scales(
    patch_size: Sequence[int],
    dim: Sequence[int],
    depth: Sequence[int],
    num_heads: Sequence[int],
    window_size: Sequence[int | None] | None,
) -> list[int | None]:
    """The window of each stage. Raises ValueError unless the stages fit each other."""
    windows = list(window_size or [None] * len(dim))
    counts = [len(each) for each in (patch_size, dim, depth, num_heads, windows)]
    if len(set(counts)) > 1:
        raise ValueError(
            "discriminator.patch_size, dim, depth, num_heads and window_size need one number per stage; they have "
            f"{', '.join(map(str, counts[:-1]))} and {counts[-1]}"
        )
    for i in range(1, len(dim)):
        goes_on = patch_size[i] == patch_size[i - 1] and dim[i] == dim[i - 1]
        if not goes_on and not (patch_size[i] == 2 * patch_size[i - 1] and dim[i] > dim[i - 1]):
            raise ValueError(
                f"discriminator: after patch_size {patch_size[i - 1]} and dim {dim[i - 1]} a stage has the same two, "
                f"or twice the patch_size and a larger dim, not {patch_size[i]} and {dim[i]}"
            )
    return windows
