"""Masked images: the Transformer predicts the masked tokens of an image from the visible ones.

After MAE (He et al., 2022), which leaves masked tokens out of the encoder and learns pixels by their squared error.
Here they stay, as one learned vector (SimMIM, Xie et al., 2022), so that the stack sees complete grids, as in a
discriminator. And they have a likelihood: unmasked one by one in a fixed order, they are a generative model, whose
exact likelihood and samples take one pass of the stack for every token (after Hoogeboom et al., 2022, who train all
orders).

N batch, T tokens, D width, K classes.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import RMSNorm, ScaledNorm
from transgan.layers.position import sincos_table
from transgan.models.token_by_token import TokenImages
from transgan.models.tokens import Tokens


def spread_order(count: int) -> list[int]:
    """The numbers below `count` in an order that keeps neighbours apart: steps of about the golden ratio."""
    step = next(s for s in range(max(1, round(0.618 * count)), 2 * count + 1) if math.gcd(s, count) == 1)
    return [i * step % count for i in range(count)]


class MaskedImages(TokenImages):
    """Images (N, in_chans, img_size, img_size) in [-1, 1], labels (N,) and a mask (N, T) of hidden tokens to nats (N,).

    The arguments are those of ImageGPT. The nats are those of the hidden tokens given the others, scaled up to all T
    tokens; if every number of hidden tokens is equally likely, their mean is at least that of `exact` over all orders.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        tokens: Callable[[int, int, int], Tokens],
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        init_values: float | None = None,
        transformer: Callable[..., nn.Module] = Transformer,
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.tokens = tokens(img_size, in_chans, dim)
        self.num_values, self.grid_size = self.tokens.num_values, self.tokens.grid_size
        self.order = spread_order(self.grid_size[0] * self.grid_size[1])
        self.mask = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos_embed = nn.Parameter(sincos_table(dim, self.grid_size).unsqueeze(0))
        self.label_embed = nn.Embedding(num_classes, dim) if num_classes else None
        # a list of one, so that its weights are named as in the generator and the discriminator
        norm = partial(ScaledNorm, norm_layer=norm_layer, init_values=init_values)
        self.stages = nn.ModuleList([transformer(dim, depth, num_heads, self.grid_size, mlp_ratio, norm=norm)])
        self.norm = norm_layer(dim)
        self.initialise()

    def initialise(self) -> None:
        """Xavier in the stack; tokens initialise their own layers."""
        xavier(self.stages)
        if self.label_embed is not None:
            nn.init.normal_(self.label_embed.weight, std=0.5)

    def features(self, tokens: Tensor, hidden: Tensor, labels: Tensor | None) -> Tensor:  # (N, T, ...), (N, T), (N,)
        """Features (N, T, D) at each position, from the tokens that are not hidden."""
        x = torch.where(hidden.unsqueeze(-1), self.mask, self.tokens.embed(tokens).to(self.mask.dtype)) + self.pos_embed
        x = x if self.label_embed is None else x + self.label_embed(labels).unsqueeze(1)
        return self.norm(self.stages[0](x))

    def all_features(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Features (N, T, D) of images with nothing hidden, after each block; for gradients by the images.

        Raises ValueError for tokens that are pixels or colours, which have no gradient by the images.
        """
        tokens: Any = self.tokens
        if not hasattr(tokens, "patches"):
            raise ValueError("this masked model has no gradient by its images: train one with tokens=patches")
        x = tokens.embed(tokens.patches(images)) + self.pos_embed
        x = x if self.label_embed is None else x + self.label_embed(labels).unsqueeze(1)
        return [self.norm(after) for after in cast(Transformer, self.stages[0]).intermediates(x)]

    def forward(self, images: Tensor, labels: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        tokens = self.tokens.tokens(images)
        if hidden is None:
            hidden = torch.ones(tokens.shape[:2], dtype=torch.bool, device=images.device)
        nats = self.tokens.nats(self.features(tokens, hidden, labels), tokens)  # (N, T)
        return (nats * hidden).sum(1) * (hidden.shape[1] / hidden.sum(1))  # (N,)

    def exact(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """-log p of each image (N,), in nats, with the tokens in the order of `sample`."""
        tokens = self.tokens.tokens(images)
        hidden = torch.ones(tokens.shape[:2], dtype=torch.bool, device=images.device)
        total = images.new_zeros(())
        for t in self.order:
            x = self.features(tokens, hidden, labels)[:, t : t + 1]  # (N, 1, D)
            total = total + self.tokens.nats(x, tokens[:, t : t + 1])[:, 0]
            hidden[:, t] = False
        return total

    def sample(
        self,
        uniform: Tensor,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        given: Tensor | None = None,
    ) -> Tensor:
        """As in TokenByToken, in another order. `given` holds the first tokens of each image."""
        self.require(temperature, top_k)
        tokens = self.tokens.tokens(
            uniform.new_zeros(len(uniform), self.tokens.in_chans, self.tokens.img_size, self.tokens.img_size)
        )
        hidden = torch.ones(tokens.shape[:2], dtype=torch.bool, device=uniform.device)
        first = 0 if given is None else given.shape[1]
        if given is not None:
            tokens[:, :first], hidden[:, :first] = given, False
        broken = torch.zeros(len(uniform), dtype=torch.bool, device=uniform.device)
        for t in (position for position in self.order if position >= first):
            x = self.features(tokens, hidden, labels)[:, t]  # (N, D)
            broken |= x.isnan().any(1)
            tokens[:, t] = self.tokens.draw(x, uniform[:, t], temperature, top_k)
            hidden[:, t] = False
        return self.tokens.images(tokens).masked_fill(broken.view(-1, 1, 1, 1), float("nan"))
