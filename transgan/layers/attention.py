"""Multi-head attention; which tokens attend to which is a pattern passed in: Full, Causal or Windowed.

N batch, T tokens, C channels, H heads, D head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.derivatives import call, closed_forms
from transgan.layers.explicit_attention import Attend
from transgan.layers.linear import Scaled, linear
from transgan.layers.norm import RMSNorm
from transgan.layers.normalisation import normalised
from transgan.layers.position import Rotary
from transgan.layers.tiled_attention import TiledAttention, fused_allowed, wanted


class Full(nn.Module):
    """Every token attends to every token."""

    is_causal = False

    def fold(self, x: Tensor) -> Tensor:
        return x

    def unfold(self, x: Tensor) -> Tensor:  # (N, T, C) or (N, T, H, D)
        if torch.compiler.is_exporting():  # what attention is decomposed into there leaves other strides
            x = x.contiguous()
        return x.flatten(2)


class Causal(Full):
    """A token attends to itself and to those before it."""

    is_causal = True


class Windowed(Full):
    """A token attends to those in its own square window of a 2-D grid (Liu et al., 2021; TransGAN's grid attention)."""

    def __init__(self, grid_size: tuple[int, int], window_size: int):
        super().__init__()
        if grid_size[0] % window_size or grid_size[1] % window_size:
            raise ValueError(f"window_size {window_size} does not divide the token grid {grid_size[0]}x{grid_size[1]}")
        self.grid_size, self.window_size = (grid_size[0], grid_size[1]), window_size

    def fold(self, x: Tensor) -> Tensor:  # (N, T, C)
        (h, w), s = self.grid_size, self.window_size
        x = x.reshape(-1, h // s, s, w // s, s, x.shape[-1]).transpose(2, 3)  # (N, h/s, w/s, s, s, C)
        return x.reshape(-1, s * s, x.shape[-1])

    def unfold(self, x: Tensor) -> Tensor:  # (N h/s w/s, s s, C or H, D)
        (h, w), s = self.grid_size, self.window_size
        x = x.reshape(-1, h // s, w // s, s, s, *x.shape[2:]).transpose(2, 3)
        return x.reshape(-1, h * w, x.shape[5:].numel())  # windows and heads in one copy

    def extra_repr(self) -> str:
        return f"grid_size={self.grid_size}, window_size={self.window_size}"


class Cache:
    """Key-value cache of one causal attention layer, which receives a sequence piece by piece."""

    def __init__(self, capacity: int):
        self.capacity, self.length = capacity, 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:  # (N, H, T, D)
        """Appends those of T new tokens; returns those of all tokens so far."""
        if self.keys is None or self.values is None:
            self.keys, self.values = (x.new_empty(*x.shape[:2], self.capacity, x.shape[3]) for x in (k, v))
        new = slice(self.length, self.length + k.shape[2])
        self.keys[:, :, new], self.values[:, :, new] = k, v
        self.length = new.stop
        return self.keys[:, :, : new.stop], self.values[:, :, : new.stop]


class Attention(nn.Module, Scaled):
    """softmax(q k^T / sqrt(D) + bias) v by torch's scaled_dot_product_attention, or on the CPU in tiles.

    Args:
        dim: width C of the tokens. num_heads: divides dim.
        qkv_bias: a bias in the query, key and value projection.
        qk_norm: RMSNorm over the head width of queries and keys; bounds the logits (Dehghani et al., 2023).
        pattern: Full, Causal or Windowed.
        rotary: rotates queries and keys by their position (layers.position.Rotary), or None.
        bias: a module without inputs giving (1, H, T, T) to add to the logits (RelativePositionBias), or None.

    Fused kernels have no second derivative: for gradient penalties call it under `sdpa_kernel(SDPBackend.MATH)`, which
    chooses layers.explicit_attention.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        qk_norm: bool = False,
        pattern: Full | None = None,
        rotary: nn.Module | None = None,
        bias: nn.Module | None = None,
    ):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads {num_heads} does not divide dim {dim}")
        self.num_heads = num_heads
        self.pattern = pattern or Full()
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.q_norm = RMSNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.rotary = rotary or nn.Identity()
        self.bias = bias
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, cache: Cache | None = None, scale: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:  # (N, T, C)
        """The tokens times `scale` and the output times `gate`, both (C,).

        With a cache, x holds the tokens that follow those in it.
        """
        if cache is not None:
            return self.decode(x, cache, scale, gate)
        x = self.pattern.fold(x)
        n, t, c = x.shape
        qk, v = linear(x, self.qkv, scale).view(n, t, 3, self.num_heads, -1).split((2, 1), 2)  # (N, T, 2 and 1, H, D)
        qk, v = (
            self.positioned(qk).permute(2, 0, 3, 1, 4),
            v.squeeze(2).transpose(1, 2),
        )  # (2, N, H, T, D), (N, H, T, D)
        mask = self.bias().to(v.dtype) if self.bias is not None else None
        causal = self.pattern.is_causal
        twice = closed_forms() and torch.is_grad_enabled() and not fused_allowed()
        if causal and (mask is not None or twice):  # the kernel takes a mask or the causal flag, not both
            mask = v.new_zeros(1, 1, t, t) if mask is None else mask
            mask = mask.masked_fill(torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1), float("-inf"))
        if twice:
            qk = qk.to(v.dtype, memory_format=torch.contiguous_format).flatten(1, 2).contiguous()  # (2, N H, T, D)
            bias = None if mask is None else mask[0]
            x, _ = call(Attend, qk, v.flatten(0, 1), bias, qk.shape[-1] ** -0.5)  # (N H, T, D)
            x = x.unflatten(0, (n, -1))
        else:
            q, k = qk.to(v.dtype)
            if wanted(q, mask):
                x = TiledAttention.apply(q, k, v, mask)  # (N, H, T, D)
            else:
                x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal and mask is None)
        return linear(self.pattern.unfold(x.transpose(1, 2)), self.proj, gate=gate)

    def positioned(self, qk: Tensor) -> Tensor:  # (N, T, 2, H, D)
        """Queries and keys, normalised and rotated together."""
        if isinstance(self.q_norm, RMSNorm) and isinstance(self.k_norm, RMSNorm):
            qk = normalised(qk, self.q_norm.eps, qk.dtype)
            weight = torch.stack([self.q_norm.weight, self.k_norm.weight]).unsqueeze(1)  # (2, 1, D)
            return self.rotary.of_packed(qk, weight) if isinstance(self.rotary, Rotary) else qk * weight.to(qk.dtype)
        return self.rotary.of_packed(qk) if isinstance(self.rotary, Rotary) else qk

    def decode(
        self, x: Tensor, cache: Cache, scale: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:  # (N, T, C)
        assert self.pattern.is_causal, "only causal attention can decode token by token"
        n, t, c = x.shape
        new = slice(cache.length, cache.length + t)
        q, k, v = (
            linear(x, self.qkv, scale).view(n, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        )  # (N, H, T, D) each
        q, k = self.q_norm(q), self.k_norm(k)
        if not isinstance(self.rotary, nn.Identity):
            q, k = self.rotary(q, new), self.rotary(k, new)
        k, v = cache.extend(k.to(v.dtype), v)  # (N, H, P + T, D)
        seen = torch.ones(t, new.stop, dtype=torch.bool, device=x.device).tril(new.start)
        if self.bias is not None:
            mask = self.bias()[..., new, : new.stop].to(v.dtype).masked_fill(~seen, float("-inf"))
        else:
            mask = seen if t > 1 else None
        x = F.scaled_dot_product_attention(q.to(v.dtype), k, v, attn_mask=mask)
        return linear(self.pattern.unfold(x.transpose(1, 2)), self.proj, gate=gate)


class CrossAttention(nn.Module):
    """softmax(q k^T / sqrt(D)) v with queries from the tokens, keys and values from a context of M tokens.

    Without biases before the projection, as TransGAN's self-modulation has it. `context_dim` is the context's width.
    """

    def __init__(self, dim: int, num_heads: int, context_dim: int):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads {num_heads} does not divide dim {dim}")
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(context_dim, dim, bias=False)
        self.v = nn.Linear(context_dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:  # (N, T, C), (N, M, C')
        q, k, v = (
            layer(source).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (N, H, T or M, D)
            for layer, source in ((self.q, x), (self.k, context), (self.v, context))
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
