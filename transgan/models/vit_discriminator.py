"""A Vision Transformer discriminator, designed to be stable under gradient penalties.

A convolution before the overlapping patches (Xiao et al., 2021; ViTGAN, 2021), RMSNorm before and LayerScale after each
branch, QK-norm and rotary positions (GAT, 2025), a class token, and a head in float32 with projection conditioning
(Miyato and Koyama, 2018). No batch statistics: for the penalties a logit must depend on its own image alone. Stem,
stack and norms are passed in: with others it is the discriminator of ViTGAN (Lee et al., 2021;
conf/discriminator/vitgan.yaml) or a hybrid of convolutions and a Transformer (hybrid.yaml).

N batch, T tokens, C channels, H W image.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from transgan.describing import Described
from transgan.layers.block import Transformer
from transgan.layers.convolution import Stem
from transgan.layers.linear import xavier
from transgan.layers.norm import RMSNorm, ScaledNorm
from transgan.layers.patch import PatchEmbed, PoolDown, stage_windows, token_grid
from transgan.layers.position import sincos_table
from transgan.layers.precision import without_autocast


class ViTDiscriminator(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    The defaults are those of conf/discriminator/vit_small.yaml.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional discriminator.
        patch_size: stride of the patches, which include patch_size // 2 pixels of each neighbour.
        stem_dim: channels of the stem before the patches.
        dim, depth, num_heads: one number per stage, fine to coarse; each stage halves the token grid.
        window_size: per stage, attention within square windows, or None for global attention, which the last stage
            must have; None for all stages.
        mlp_ratio: hidden width of the feed-forward layers over dim. init_values: initial LayerScale.
        global_pool: what the logit is made of: token, a class token, and avg, the mean of all tokens, as in timm; or
            flatten, all tokens side by side, so that the head has weights for each position, as in convolutional ones.
        stem: makes the layers before the patches from (in_chans, stem_dim); if they have a `stride`, patch_size counts
            pixels of their output. transformer: makes a stage's stack of blocks, Transformer or a partial of it.
        norm_layer: makes the norms from a width.
        weight_norm: called with the finished network to bound its weights (layers.spectral), or None.

    Raises ValueError when the patch does not divide the image or the stages do not fit each other.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int = 3,
        num_classes: int = 0,
        patch_size: int = 2,
        stem_dim: int = 64,
        dim: Sequence[int] = (256, 512),
        depth: Sequence[int] = (3, 6),
        num_heads: Sequence[int] = (4, 8),
        window_size: Sequence[int | None] | None = None,
        mlp_ratio: float = 4.0,
        init_values: float | None = 0.1,
        global_pool: str = "token",
        stem: Callable[[int, int], nn.Module] = Stem,
        transformer: Callable[..., nn.Module] = Transformer,
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
        weight_norm: Callable[[nn.Module], None] | None = None,
    ):
        super().__init__()
        stages = len(dim)
        self.num_classes = num_classes
        self.stem = stem(in_chans, stem_dim)
        grid = token_grid(img_size, patch_size * getattr(self.stem, "stride", 1))
        window_size = stage_windows("discriminator", grid, dim, depth, num_heads, window_size)
        if global_pool not in ("token", "avg", "flatten"):
            raise ValueError(f"discriminator.global_pool={global_pool} is not possible: give token, avg or flatten")
        if window_size[-1] is not None and global_pool == "token":
            raise ValueError(
                "the last discriminator stage holds the class token and needs global attention: window_size null"
            )
        self.patch_embed = PatchEmbed(stem_dim, dim[0], patch_size, overlap=patch_size // 2)
        self.pos_embed = nn.Parameter(sincos_table(dim[0], grid).unsqueeze(0))
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim[-1]) * 0.02) if global_pool == "token" else None
        self.stages, self.downs = nn.ModuleList(), nn.ModuleList()
        for i in range(stages):
            self.stages.append(
                transformer(
                    dim[i],
                    depth[i],
                    num_heads[i],
                    grid,
                    mlp_ratio,
                    norm=partial(ScaledNorm, norm_layer=norm_layer, init_values=init_values),
                    window_size=window_size[i],
                    num_prefix_tokens=1 if global_pool == "token" and i + 1 == stages else 0,
                )
            )
            if i + 1 < stages:
                self.downs.append(PoolDown(dim[i], dim[i + 1], grid))
                grid = (grid[0] // 2, grid[1] // 2)
        self.norm, self.global_pool = norm_layer(dim[-1]), global_pool
        num_features = dim[-1] * (grid[0] * grid[1] if global_pool == "flatten" else 1)
        # no bias: in a loss of differences its gradient is only rounding noise, which Adam would turn into steps
        self.head = nn.Linear(num_features, 1, bias=False)
        self.label_embed = nn.Embedding(num_classes, num_features) if num_classes else None
        self.initialise()
        if weight_norm is not None:
            weight_norm(self)

    def initialise(self) -> None:
        xavier(self)
        if self.label_embed is not None:  # <f, e> initially has the variance of f
            nn.init.normal_(self.label_embed.weight, std=self.head.in_features**-0.5)

    def features(self, images: Tensor) -> Tensor:  # (N, in_chans, H, W)
        """The features (N, C) of the class token, or of all tokens on average, or (N, T C) of all; float32."""
        x = self.patch_embed(self.stem(images))  # (N, T, C)
        x = x.float() + self.pos_embed  # the residual sums are float32
        for stage, down in zip(self.stages[:-1], self.downs, strict=True):
            x = down(stage(x)).float()  # (N, T / 4, C')
        if self.cls_token is None:
            x = self.norm(self.stages[-1](x))  # (N, T, C)
            return x.flatten(1) if self.global_pool == "flatten" else x.mean(1)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)  # (N, 1 + T, C)
        return self.norm(self.stages[-1](x)[:, 0])  # (N, C)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images)
        with without_autocast(x):
            x = x.float()
            logits = self.head(x).squeeze(1)  # (N,)
            if self.label_embed is not None:
                logits = logits + (x * self.label_embed(labels)).sum(1)
        return logits
