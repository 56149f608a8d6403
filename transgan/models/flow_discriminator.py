"""A discriminator that begins with a flow: its patches, style and stack, and heads of its own at several depths.

Adversarial post-training (APT, Lin et al., 2025) takes the pre-trained diffusion Transformer for the discriminator as
well: it knows images at every amount of noise. Heads after several blocks see layout and detail. The style says at
which time the image is looked at: a fixed one, or another for each image in every step, since at one alone training
collapsed there.

N batch, T tokens, D width, C channels, H W image.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from transgan.describing import Described
from transgan.layers.attention import CrossAttention
from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import RMSNorm, StyleNorm
from transgan.layers.precision import without_autocast
from transgan.models.flow_transformer import FlowTrunk

POOLS = ("attention", "avg", "flatten")


class Head(nn.Module):
    """Features of an image from its tokens (N, T, D): (N, D), or (N, T D) if flattened.

    attention: what a learned query finds in the tokens, as in APT. avg: their mean. flatten: all of them.
    """

    def __init__(self, dim: int, num_heads: int, num_tokens: int, global_pool: str):
        super().__init__()
        self.norm, self.global_pool = RMSNorm(dim), global_pool
        self.num_features = dim * (num_tokens if global_pool == "flatten" else 1)
        attends = global_pool == "attention"
        self.query = nn.Parameter(torch.randn(1, 1, dim) * 0.02) if attends else None
        self.attn = CrossAttention(dim, num_heads, dim) if attends else None
        if self.attn is not None:  # without a bias, as the logit
            self.attn.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.query is not None and self.attn is not None:
            return cast(Tensor, self.attn(self.query.expand(x.shape[0], -1, -1), x)[:, 0])
        return x.flatten(1) if self.global_pool == "flatten" else x.mean(1)


class FlowDiscriminator(Described, FlowTrunk):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    Args:
        heads: after which blocks, counted from 1, heads look at the tokens; None: after the last one. The logit is the
            sum of what they find.
        global_pool: of a head, attention, avg or flatten.
        time: at which the image is looked at, 1 for one without noise; None: in training another one for each image in
            every step, evenly spread over 0.5 to 1, and in between 0.75. Then forward takes uniform numbers (N, 1) too,
            `num_random` for each image, which say which it is; without them it draws some.
        others: as in FlowTransformer.

    Raises ValueError for heads that are after no block.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int = 3,
        num_classes: int = 0,
        patch_size: int = 2,
        dim: int = 48,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        style_dim: int = 64,
        heads: Sequence[int] | None = None,
        global_pool: str = "attention",
        time: float | None = 1.0,
        norm: Callable[..., nn.Module] = StyleNorm,
        transformer: Callable[..., nn.Module] = Transformer,
    ):
        super().__init__(
            img_size, in_chans, num_classes, patch_size, dim, depth, num_heads, mlp_ratio, style_dim, norm, transformer
        )
        self.after = [depth] if heads is None else sorted(set(heads))
        if not self.after or not 1 <= self.after[0] <= self.after[-1] <= depth:
            raise ValueError(f"discriminator.heads={heads}: the stack has {depth} blocks; give some of 1 to {depth}")
        if global_pool not in POOLS:
            raise ValueError(f"discriminator.global_pool={global_pool} is not possible: give attention, avg or flatten")
        if time is not None and not 0 <= time <= 1:
            raise ValueError(f"discriminator.time={time:g}: it takes 0, noise, to 1, the image, or null")
        self.time = time
        count = self.grid_size[0] * self.grid_size[1]
        self.heads = nn.ModuleDict()
        self.heads["pools"] = nn.ModuleList(Head(dim, num_heads, count, global_pool) for _ in self.after)
        size = sum(pool.num_features for pool in cast(list[Head], list(cast(nn.ModuleList, self.heads["pools"]))))
        # no bias: in a loss of differences its gradient is only rounding noise, which Adam would turn into steps
        self.heads["logit"] = nn.Linear(size, 1, bias=False)
        if num_classes:
            self.heads["label_embed"] = nn.Embedding(num_classes, size)
        xavier(self.heads)
        if num_classes:  # <f, e> initially has the variance of f
            nn.init.normal_(cast(nn.Embedding, self.heads["label_embed"]).weight, std=size**-0.5)

    @property
    def num_random(self) -> int:
        """Uniform numbers that `forward` takes for each image."""
        return int(self.time is None)

    def times(self, x: Tensor, random: Tensor | None = None) -> Tensor:
        """At which each image is looked at (N,)."""
        if self.time is not None or not self.training:
            return x.new_full((x.shape[0],), 0.75 if self.time is None else self.time)
        random = torch.rand(x.shape[0], 1, device=x.device) if random is None else random
        return 0.5 + 0.5 * random[:, 0]

    def features(self, images: Tensor, labels: Tensor | None, random: Tensor | None = None) -> Tensor:
        """What all heads find (N, F), in float32."""
        style = self.style(self.times(images, random), labels)
        found: list[Tensor] = []
        pools = list(cast(nn.ModuleList, self.heads["pools"]))
        stack = cast(Transformer, self.stages[0])
        for i, x in enumerate(stack.intermediates(self.tokens(images), style), 1):
            if i in self.after:
                found.append(pools[len(found)](x).float())
        return torch.cat(found, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None, random: Tensor | None = None) -> Tensor:
        x = self.features(images, labels, random)
        with without_autocast(x):
            logits = self.heads["logit"](x).squeeze(1)
            if self.num_classes:
                logits = logits + (x * self.heads["label_embed"](labels)).sum(1)
        return logits
