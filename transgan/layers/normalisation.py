"""x / sqrt(mean(x^2) + eps) over the last axis, with closed forms of its first and its second derivative.

A discriminator under a gradient penalty differentiates every norm twice, and derived operator by operator the two
derivatives make some sixty passes over the tokens; here they make about thirty.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from transgan.layers.derivatives import call, closed_forms
from transgan.layers.precision import wide


def normalised(x: Tensor, eps: float, dtype: torch.dtype | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps), computed in float32 where x is in half precision; in `dtype`, or float32 at least."""
    if closed_forms():
        return call(Normalise, x, eps, dtype)[0]
    x = wide(x)
    return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)).to(dtype or x.dtype)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products along the last axis, which is kept, in float32 at least."""
    return (a * b).sum(-1, keepdim=True, dtype=torch.promote_types(a.dtype, torch.float32))


class Normalise(torch.autograd.Function):
    """h = r x with r = 1 / sqrt(mean(x^2) + eps) (..., 1). Returns both; the derivatives are written in terms of them.

    So x itself, which may be wider than h, need not be kept.
    """

    @staticmethod
    def forward(x: Tensor, eps: float, dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
        least = torch.promote_types(x.dtype, torch.float32)
        size = x.shape[-1]
        small, root = (torch.tensor(number, dtype=least, device="cpu") for number in ((size * eps) ** 0.5, size**0.5))
        rate = root / torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=least).hypot_(small)
        return torch.mul(x, rate, out=torch.empty_like(x, dtype=dtype or least)), rate

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.dtype = inputs[0].dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, of_rate: Tensor | None) -> tuple[Tensor | None, None, None]:
        h, rate = ctx.saved_tensors
        g = torch.zeros_like(h) if g is None else g
        return call(NormaliseGradient, g, h, rate, of_rate, ctx.dtype), None, None


class NormaliseGradient(torch.autograd.Function):
    """The gradient of x, in `dtype`: r (g - (h g / C) h) from that of h, where h g is an inner product, and
    -(r^2 / C) h from that of r, which may be None."""

    @staticmethod
    def forward(g: Tensor, h: Tensor, rate: Tensor, of_rate: Tensor | None, dtype: torch.dtype) -> Tensor:
        along = dot(h, g)
        if of_rate is not None:
            along.addcmul_(rate, of_rate)
        out = torch.mul(g, rate, out=torch.empty_like(h, dtype=dtype))
        return out.addcmul_(h, along.mul_(rate), value=-1 / h.shape[-1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:4])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        """With s the gradient of r and t = h g + r s: r (u - (h u / C) h) for g, -(r / C) (t u + (h u) g) for h,
        u g - (h u) (t + r s) / C for r, and -(r^2 / C) h u for s."""
        g, h, rate, of_rate = ctx.saved_tensors
        share, u = -1 / h.shape[-1], u.to(g.dtype)
        hu, t = dot(h, u), dot(h, g)
        dr, ds = dot(u, g), None
        if of_rate is not None:
            more = rate * of_rate
            t += more
            dr.addcmul_(hu, more, value=share)
            ds = (hu * rate).mul_(rate).mul_(share)
        dr.addcmul_(t, hu, value=share)
        hu.mul_(rate)
        dg = torch.mul(u, rate, out=torch.empty_like(g)).addcmul_(h, hu, value=share)
        dh = torch.mul(u, t.mul_(rate).mul_(share), out=torch.empty_like(h)).addcmul_(g, hu, value=share)
        return dg, dh, dr, ds, None
