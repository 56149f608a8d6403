"""Attention that is differentiated twice, by explicit matrices and closed forms of both derivatives.

Fused kernels have no second derivative. torch's explicit path has one, which autograd derives operator by operator,
with some sixty passes over matrices of T x T logits. The closed forms below need about twenty, and in half precision
they stay in half precision but for the softmax.

B batch times heads, T tokens, D head width, H heads.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from transgan.layers.derivatives import call, needed
from transgan.layers.precision import without_autocast


def product(a: Tensor, b: Tensor, scale: float = 1.0, out: Tensor | None = None) -> Tensor:
    """scale * a @ b of (B, T, M) and (B, M, D), in one kernel."""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale, out=out)


def softmax_gradient(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient of logits from that of their softmax."""
    return torch._softmax_backward_data(gradient, weights, -1, weights.dtype)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products along the last axis, which is kept."""
    return (a * b).sum(-1, keepdim=True)


def softmax_of_logits(q: Tensor, k: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """softmax(scale q k^T + bias) (B, T, T), in the type of q; the logits are float32."""
    if q.dtype in (torch.float16, torch.bfloat16):
        q, k, dtype = q.float(), k.float(), q.dtype
    else:
        dtype = q.dtype
    logits = product(q, k.mT, scale)
    if bias is not None:
        logits.unflatten(0, (-1, len(bias))).add_(bias)
    return logits.softmax(-1).to(dtype)


class Attend(torch.autograd.Function):
    """softmax(scale q k^T + bias) v for q and k as one tensor (2, B, T, D), v (B, T, D) and a bias (H, T, T) or None.

    Returns the weights, too, for the backward pass alone: they have no gradient.
    """

    @staticmethod
    def forward(qk: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
        with without_autocast(v):
            weights = softmax_of_logits(qk[0], qk[1], bias, scale)
            return weights @ v, weights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.scale = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return (None,) * 4
        sums = ctx.needs_input_grad[2] and needed(ctx, 2)
        dqk, dv, dbias, _ = call(AttendGradient, *ctx.saved_tensors, gradient, ctx.scale, sums)
        return dqk, dv, dbias, None


class AttendGradient(torch.autograd.Function):
    """The gradients of Attend with respect to qk, v and bias, whose weights (B, T, T) are a function of qk and bias.

    Returns the gradient of the logits (B, T, T), too, for the backward pass alone. That of the bias if `sums`.
    """

    @staticmethod
    def forward(
        qk: Tensor, v: Tensor, bias: Tensor | None, weights: Tensor, g: Tensor, scale: float, sums: bool
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        with without_autocast(v):
            s = softmax_gradient(g @ v.mT, weights)
            dqk = torch.empty_like(qk)
            product(s, qk[1], scale, out=dqk[0])
            product(s.mT, qk[0], scale, out=dqk[1])
            dbias = None if bias is None or not sums else s.unflatten(0, (-1, len(bias))).sum(0)
            return dqk, weights.mT @ g, dbias, s

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.scale, _ = inputs
        ctx.mark_non_differentiable(output[3])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, output[0], output[3])

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, uqk: Tensor | None, uv: Tensor | None, ubias: Tensor | None, _: Any
    ) -> tuple[Tensor | None, ...]:
        """With P the weights, S = P (g v^T - rowsum(P g v^T)), and products of (B, T, T) matrices elementwise:

        E, the gradient that reaches S, is scale (uq k^T + q uk^T) + ubias, and E' = E - rowsum(P E);
        the gradient of g v^T is P E', that of P contracted with g uv^T = G, and that of the logits
        P (G - rowsum(P G) - rowsum(E S)) + E' S. Most sums over rows are products with matrices of width D.
        """
        qk, v, bias, weights, g, dqk, s = ctx.saved_tensors
        scale, (q, k) = ctx.scale, qk
        uq, uk = torch.zeros_like(qk) if uqk is None else uqk
        uv = torch.zeros_like(v) if uv is None else uv
        with without_autocast(v):
            beside = torch.cat([k, uk, uv], -1)  # products with several matrices at once
            pk, puk, pv = (weights @ beside).chunk(3, -1)
            e = product(torch.cat([uq, q], -1), beside[..., : 2 * k.shape[-1]].mT, scale)
            out = torch.empty_like(qk)
            sk = product(s, uk, scale, out=out[0])
            rows = dot(g, pv).add_(dot(uq, dqk[0])).add_(dot(q, sk))
            if ubias is None:
                e.sub_(dot(uq, pk).add_(dot(q, puk)), alpha=scale)
            else:
                by_head = (-1, len(ubias))
                e.unflatten(0, by_head).add_(ubias)
                e.sub_(dot(weights, e))
                rows.unflatten(0, by_head).add_(dot(s.unflatten(0, by_head), ubias))
            w = weights * e
            dg, dv = torch.baddbmm(pv, w, v), w.mT @ g
            z = e.mul_(s).addcmul_(weights, (g @ uv.mT).sub_(rows))
            sk.baddbmm_(z, k, alpha=scale)
            product(s.mT, uq, scale, out=out[1]).baddbmm_(z.mT, q, alpha=scale)
            dbias = z.unflatten(0, (-1, len(bias))).sum(0) if ctx.needs_input_grad[2] else None
        return out, dv, dbias, None, dg, None, None
