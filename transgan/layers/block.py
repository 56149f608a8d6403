"""The Transformer block, and the stack of blocks that every network is made of.

N batch, T tokens, C channels, S style width.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from transgan.layers.attention import Attention, Cache, Causal, CrossAttention, Full, Windowed
from transgan.layers.feedforward import SwiGLU
from transgan.layers.linear import Scaled
from transgan.layers.noise import TokenNoise
from transgan.layers.norm import ScaledNorm
from transgan.layers.position import RelativePositionBias, Rotary
from transgan.layers.tiled_attention import fused_allowed


class DropPath(nn.Module):
    """Drops a residual branch per sample with probability `drop_prob` while training (Huang et al., 2016)."""

    def __init__(self, drop_prob: float = 0.0):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_prob == 0.0:
            return x
        keep = 1 - self.drop_prob
        return x * torch.empty_like(x[:, :1, :1]).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"


class Block(nn.Module):
    """x + gate * attn(norm(x)), then x + gate * mlp(norm(x)).

    `norm1` and `norm2` map (x, style) to (normalised x, gate): ScaledNorm in a discriminator, StyleNorm in a generator.
    `cross_attn` comes first, with the style as its context; `noise` is added to the input of attn. None omits them.
    """

    def __init__(
        self,
        attn: nn.Module,
        mlp: nn.Module,
        norm1: nn.Module,
        norm2: nn.Module,
        drop_path: float = 0.0,
        cross_attn: nn.Module | None = None,
        noise: nn.Module | None = None,
    ):
        super().__init__()
        self.cross_attn, self.noise = cross_attn, noise
        self.norm1, self.attn = norm1, attn
        self.norm2, self.mlp = norm2, mlp
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x: Tensor, style: Tensor | None = None, seeds: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """x (N, T, C), style (N, S) or a context (N, M, S), noise seeds (N,) -> (N, T, C)."""
        if self.cross_attn is not None:
            x = x + self.cross_attn(x, style)
        x = self.residual(x, self.norm1, self.attn, style, self.noise, seeds, () if cache is None else (cache,))
        return self.residual(x, self.norm2, self.mlp, style)

    def residual(
        self,
        x: Tensor,
        norm: nn.Module,
        branch: nn.Module,
        style: Tensor | None,
        noise: nn.Module | None = None,
        seeds: Tensor | None = None,
        more: tuple[Cache, ...] = (),
    ) -> Tensor:
        """x + gate * branch(norm(x) + noise). Where scale and gate belong to channels alone, the weights take them."""
        if isinstance(branch, Scaled) and isinstance(norm, ScaledNorm) and noise is None:
            h, scale = norm.separate(x)
            return x + self.drop_path(branch(h, *more, scale=scale, gate=norm.gamma))
        h, gate = norm(x, style)
        if noise is not None:
            h = noise(h, seeds)
        out = self.drop_path(branch(h, *more))
        return x + out if isinstance(gate, float) and gate == 1.0 else torch.addcmul(x, gate, out)


class Transformer(nn.Module):
    """`depth` blocks of one width over one token grid.

    Args:
        dim, depth, num_heads, mlp_ratio: as in timm.
        grid_size: rows and columns of the token grid; a sequence of T tokens is (1, T).
        norm: makes the norm of each branch from `dim`: `partial(ScaledNorm, ...)`, `partial(StyleNorm, ...)`.
        mlp_layer: Mlp or SwiGLU, called with (dim, hidden width).
        causal: a token attends to itself and those before it. window_size: attention within square windows, or None.
        rotary: rotate queries and keys by their position. relative_position: a learned bias per displacement.
        num_prefix_tokens: tokens before the grid that have no position, such as a class token.
        attn_layer: Attention, or a class with the same arguments.
        noise: learned noise on the input of each attention. context_dim: cross-attention at the start of each block, to
            a context of this width in place of the style; None for none.
        checkpointing: keep only the input of each block, and recompute the block in the backward pass. Off where a
            second derivative will be taken, that is under `sdpa_kernel(SDPBackend.MATH)`, since torch.func does not
            support checkpoints; and in compiled graphs, which decide themselves what to keep.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        grid_size: tuple[int, int],
        mlp_ratio: float = 4.0,
        norm: Callable[[int], nn.Module] = ScaledNorm,
        mlp_layer: Callable[[int, int], nn.Module] = SwiGLU,
        qkv_bias: bool = True,
        qk_norm: bool = True,
        causal: bool = False,
        window_size: int | None = None,
        rotary: bool = True,
        relative_position: bool = False,
        num_prefix_tokens: int = 0,
        drop_path: float = 0.0,
        attn_layer: Callable[..., nn.Module] = Attention,
        noise: bool = False,
        context_dim: int | None = None,
        checkpointing: bool = False,
    ):
        super().__init__()
        self.checkpointing = checkpointing
        self.num_tokens = num_prefix_tokens + grid_size[0] * grid_size[1]
        if window_size and num_prefix_tokens:
            raise ValueError(
                "windowed attention takes no prefix tokens: give window_size or num_prefix_tokens, not both"
            )
        if window_size and causal:
            raise ValueError("attention is either causal or windowed, not both")
        seen = (window_size, window_size) if window_size else (grid_size[0], grid_size[1])

        def attention() -> nn.Module:
            return attn_layer(
                dim,
                num_heads,
                qkv_bias,
                qk_norm,
                pattern=Windowed(grid_size, window_size) if window_size else Causal() if causal else Full(),
                rotary=Rotary(dim // num_heads, seen, num_prefix_tokens) if rotary else None,
                bias=RelativePositionBias(num_heads, seen, num_prefix_tokens) if relative_position else None,
            )

        hidden = int(dim * mlp_ratio)
        self.blocks = nn.ModuleList(
            Block(
                attention(),
                mlp_layer(dim, hidden),
                norm(dim),
                norm(dim),
                drop_path,
                CrossAttention(dim, num_heads, context_dim) if context_dim else None,
                TokenNoise() if noise else None,
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor, style: Tensor | None = None, seeds: Tensor | None = None) -> Tensor:
        """x (N, T, C), style (N, S) or a context (N, M, S), noise seeds (N,) -> (N, T, C)."""
        for after in self.intermediates(x, style, seeds):
            x = after
        return x

    def caches(self) -> list[Cache]:
        """An empty cache for each block of a causal stack, for `decode`."""
        return [Cache(self.num_tokens) for _ in self.blocks]

    def decode(self, x: Tensor, caches: list[Cache], style: Tensor | None = None) -> Tensor:
        """The output of `forward` for tokens (N, T, C) that follow those in the caches, which are extended."""
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block(x, style, cache=cache)
        return x

    def intermediates(self, x: Tensor, style: Tensor | None = None, seeds: Tensor | None = None) -> Iterator[Tensor]:
        """The tokens (N, T, C) after each block, for the arguments of `forward`. Skips the hooks of this module."""
        again = self.checkpointing and torch.is_grad_enabled() and not torch.compiler.is_compiling()
        again = again and fused_allowed()
        for i, block in enumerate(self.blocks):
            own = None if seeds is None else seeds + i
            if again:
                x = checkpoint(block, x, style, own, use_reentrant=False)
            else:
                x = block(x, style, own)
            yield x
