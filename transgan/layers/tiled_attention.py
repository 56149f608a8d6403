"""Attention with a learned bias on the CPU, in tiles: faster, and no T x T matrix is kept for the backward pass.

The CPU's fused kernel accepts a bias but has no gradient for it, so torch falls back to several explicit N x H x T x T
matrices. Here the fused kernel runs the forward pass, and the backward pass works on tiles of rows that fit in cache.

N batch, H heads, T tokens, D head width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 2**18  # logits in a tile: 1 MiB in float32, half of a core's second-level cache


def fused_allowed() -> bool:
    """False under `sdpa_kernel(SDPBackend.MATH)`, which says that a second derivative will be taken."""
    return torch.backends.cuda.flash_sdp_enabled()  # the CPU's kernel follows this switch too


def wanted(q: Tensor, bias: Tensor | None) -> bool:
    """Whether to use tiles: for a trainable bias, on a CPU, differentiated once, outside of compiled graphs."""
    if bias is None or not bias.requires_grad or q.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return torch.is_grad_enabled() and fused_allowed()


class TiledAttention(torch.autograd.Function):
    """softmax(q k^T / sqrt(D) + bias) v for q, k, v (N, H, T, D) and bias (1, H, T, T).

    Its gradient is computed in tiles, or by explicit matrices if it is to be differentiated again.
    """

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        q, k, v, bias = ctx.saved_tensors
        return (explicit if torch.is_grad_enabled() else tiled)(q, k, v, bias, grad)


def explicit(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients with respect to q, k, v and bias, differentiable."""
    scale = q.shape[-1] ** -0.5
    weights = (scale * (q @ k.mT) + bias).softmax(-1)  # (N, H, T, T)
    dlogits = grad @ v.mT
    dlogits = weights * (dlogits - (weights * dlogits).sum(-1, keepdim=True))
    return scale * (dlogits @ k), scale * (dlogits.mT @ q), weights.mT @ grad, dlogits.sum(0, keepdim=True)


def tiled(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same, in tiles of at most TILE logits."""
    n, heads, t, d = q.shape
    scale = d**-0.5
    rows = min(t, max(1, TILE // t))
    samples = max(1, TILE // (rows * t))
    # in memory as (N, T, H, D), as the projection has made them
    dq, dk, dv = (torch.empty(n, t, heads, d, dtype=q.dtype).transpose(1, 2) for _ in range(3))
    dbias = torch.zeros(heads, t, t, dtype=torch.promote_types(q.dtype, torch.float32))
    for j in range(heads):
        for i in range(0, n, samples):
            some = slice(i, i + samples)
            key, value = k[some, j].contiguous(), v[some, j].contiguous()  # (s, T, D)
            dkey, dvalue = (torch.zeros(len(key), d, t, dtype=q.dtype) for _ in range(2))
            for row in range(0, t, rows):
                part = slice(row, row + rows)
                query, upper = q[some, j, part].contiguous(), grad[some, j, part].contiguous()  # (s, r, D)
                logits = torch.baddbmm(bias[0, j, part].expand(len(key), -1, -1), query, key.mT, alpha=scale)
                weights = logits.softmax(-1)  # (s, r, T)
                dvalue.baddbmm_(upper.mT, weights)
                dlogits = torch._softmax_backward_data(upper @ value.mT, weights, -1, weights.dtype)
                dkey.baddbmm_(query.mT, dlogits, alpha=scale)
                dq[some, j, part] = scale * (dlogits @ key)
                for each in dlogits:
                    dbias[j, part] += each
            dk[some, j], dv[some, j] = dkey.mT, dvalue.mT
    return dq, dk, dv, dbias.unsqueeze(0).to(bias.dtype)
