"""Images token by token: what networks share that predict each token from those before it.

The input at position t is token t - 1, and the output there is the distribution of token t. So positions and rotary
angles mean what they mean in the generator: output t is part t of the image.

N batch, T tokens, D width, K classes.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from transgan.describing import Described
from transgan.layers.position import sincos_table
from transgan.models.tokens import Tokens


class Decoder(Protocol):
    """A stack that decodes token by token: a causal Transformer or recurrent layers."""

    def caches(self) -> list[Any]: ...

    def decode(self, x: Tensor, caches: list[Any]) -> Tensor: ...


class TokenImages(Described, nn.Module):
    """Base of networks that sample images of `tokens` on a `grid_size`; see `TokenByToken.sample` for the arguments."""

    tokens: Tokens
    grid_size: tuple[int, int]
    num_values: int

    def prepare(self, images: Tensor) -> None:
        """Adapts the tokens to uint8 images. Raises ValueError if they have pixel values that no token stands for."""
        self.tokens.prepare(images)

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        return nats / (math.log(2) * self.num_values)

    def require(self, temperature: float, top_k: int | None) -> None:
        """Raises ValueError for values that nothing can be sampled with."""
        if not temperature > 0:
            raise ValueError(f"temperature {temperature:g}: it must be more than 0; 1 samples from the model itself")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k={top_k}: it must be at least 1")

    def complete(
        self,
        images: Tensor,
        rows: int,
        uniform: Tensor,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
    ) -> Tensor:
        """Images that keep the upper `rows` rows of those given, as tokens represent them, and are sampled below."""
        height, (h, w) = images.shape[2], self.grid_size
        step = height // h
        if not 0 < rows < height or rows % step:
            raise ValueError(f"rows={rows}: give a multiple of {step}, from {step} to {height - step}")
        given = self.tokens.tokens(images)[:, : rows // step * w]
        return self.sample(uniform, labels, temperature, top_k, given)

    def sample(
        self,
        uniform: Tensor,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        given: Tensor | None = None,
    ) -> Tensor:
        raise NotImplementedError


class TokenByToken(TokenImages):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to -log p of each image, in nats (N,).

    Subclasses add `stages`, a list of one stack, and `norm`, which follows it. The stack has `forward(x)` for all
    positions and, with its `caches()`, `decode(x, caches)` for the next ones.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional model.
        tokens: makes the tokens from (img_size, in_chans, dim): a partial of Pixels, Palette or Patches.
        dim: of the stack.

    `num_values` is how many pixel values an image has, the dimensions of bits per dimension.
    """

    stages: nn.ModuleList
    norm: nn.Module

    def __init__(
        self, img_size: int, in_chans: int, num_classes: int, tokens: Callable[[int, int, int], Tokens], dim: int
    ):
        super().__init__()
        self.num_classes = num_classes
        self.tokens = tokens(img_size, in_chans, dim)
        self.num_values, self.grid_size = self.tokens.num_values, self.tokens.grid_size
        self.start = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos_embed = nn.Parameter(sincos_table(dim, self.grid_size).unsqueeze(0))
        self.label_embed = nn.Embedding(num_classes, dim) if num_classes else None

    def embed(self, before: Tensor, positions: slice, labels: Tensor | None) -> Tensor:  # (N, t, D)
        """The input of the stack at these positions, given the embeddings of the tokens before them."""
        x = before + self.pos_embed[:, positions]
        return x if self.label_embed is None else x + self.label_embed(labels).unsqueeze(1)

    def features(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, T) or (N, T, ...), (N,)
        """Features (N, T, D) at each position, from the tokens before it."""
        start = self.start.expand(len(tokens), -1, -1)
        before = torch.cat([start, self.tokens.embed(tokens[:, :-1]).to(start.dtype)], 1)
        return self.norm(self.stages[0](self.embed(before, slice(None), labels)))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        tokens = self.tokens.tokens(images)
        return self.tokens.nats(self.features(tokens, labels), tokens).sum(1)  # (N,)

    def sample(
        self,
        uniform: Tensor,
        labels: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        given: Tensor | None = None,
    ) -> Tensor:
        """Images (N, in_chans, img_size, img_size), each a function of its uniform numbers (N, T, U) and its label.

        A `temperature` below 1 favours likely values; `top_k` restricts each token to the so many likeliest values.
        `given` holds the first tokens of each image, to continue from. An image with a NaN on its way is all NaN.
        """
        self.require(temperature, top_k)
        stack, start = cast(Decoder, self.stages[0]), self.start.expand(len(uniform), -1, -1)
        first = 0 if given is None else given.shape[1]
        before = start if given is None else torch.cat([start, self.tokens.embed(given)], 1)
        positions, caches, drawn = slice(0, first + 1), stack.caches(), list[Tensor]()
        broken = torch.zeros(len(uniform), dtype=torch.bool, device=uniform.device)
        for t in range(first, uniform.shape[1]):
            x = self.norm(stack.decode(self.embed(before, positions, labels), caches)[:, -1])  # (N, D)
            broken |= x.isnan().any(1)
            drawn.append(self.tokens.draw(x, uniform[:, t], temperature, top_k))
            before, positions = self.tokens.embed(drawn[-1]).unsqueeze(1), slice(t + 1, t + 2)
        tokens = torch.stack(drawn, 1)
        tokens = tokens if given is None else torch.cat([given, tokens], 1)
        return self.tokens.images(tokens).masked_fill(broken.view(-1, 1, 1, 1), float("nan"))
