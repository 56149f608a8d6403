"""Feed-forward layers of a block: Mlp and SwiGLU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from transgan.layers.derivatives import call, closed_forms
from transgan.layers.linear import Scaled, linear


class Mlp(nn.Module, Scaled):
    """Linear, activation, Linear; the input times `scale` and the output times `gate`, both (C,)."""

    def __init__(self, dim: int, hidden_dim: int, act_layer: type[nn.Module] = nn.GELU):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor, scale: Tensor | None = None, gate: Tensor | None = None) -> Tensor:
        return linear(self.act(linear(x, self.fc1, scale)), self.fc2, gate=gate)


class SwiGLU(nn.Module, Scaled):
    """fc2(silu(gate) * value) (Shazeer, 2020), 2/3 of `hidden_dim` wide, so that it costs as much as Mlp.

    The input times `scale` and the output times `gate`, both (C,).
    """

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        hidden_dim = max(1, 2 * hidden_dim // 3)
        self.fc1 = nn.Linear(dim, 2 * hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor, scale: Tensor | None = None, gate: Tensor | None = None) -> Tensor:
        return linear(gated_silu(linear(x, self.fc1, scale)), self.fc2, gate=gate)


def gated_silu(x: Tensor) -> Tensor:
    """silu(gate) * value for (gate, value) beside each other: (..., 2 D) to (..., D)."""
    if closed_forms():
        return call(GatedSiLU, x)
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


class GatedSiLU(torch.autograd.Function):
    """See gated_silu. Its gradients come beside each other, too, so that no half of them is copied."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate).mul_(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return call(GatedSiLUGradient, gradient, *ctx.saved_tensors)


class GatedSiLUGradient(torch.autograd.Function):
    """(g value silu'(gate), g silu(gate)) for g (..., D) and (gate, value) (..., 2 D)."""

    @staticmethod
    def forward(g: Tensor, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        (gate, value), (to_gate, to_value) = x.chunk(2, dim=-1), out.chunk(2, dim=-1)
        torch.mul(F.silu(gate), g, out=to_value)
        torch.ops.aten.silu_backward.grad_input(g * value, gate, grad_input=to_gate)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor]:
        """With s = sigmoid(a) and y = silu(a) = a s: y'' = s (1 - s) (2 + a - 2 y)."""
        g, x = ctx.saved_tensors
        out = torch.empty_like(x)
        (a, value), (to_a, to_value), (u_a, u_value) = (each.chunk(2, dim=-1) for each in (x, out, u))
        s = a.sigmoid()
        y = F.silu(a)
        both = torch.ops.aten.sigmoid_backward(torch.sub(a, y, alpha=2).add_(2), s).mul_(value).mul_(u_a)
        torch.mul(both.add_(torch.ops.aten.silu_backward(u_value, a)), g, out=to_a)
        first = torch.ops.aten.silu_backward(u_a, a)
        torch.mul(first, g, out=to_value)
        return first.mul_(value).addcmul_(u_value, y), out
