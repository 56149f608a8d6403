"""Linear layers: their initialisation, and scales of their input and output taken into their weights."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.derivatives import call, closed_forms, needed
from transgan.layers.precision import matmul_dtype


class Scaled:
    """Marks a residual branch whose `forward` takes `scale` and `gate`, by `linear` in its first and last layer."""


def linear(x: Tensor, layer: nn.Linear, scale: Tensor | None = None, gate: Tensor | None = None) -> Tensor:
    """layer(x * scale) * gate for a scale and a gate per channel, which multiply the weights and no token."""
    weight: Tensor = layer.weight
    bias: Tensor | None = layer.bias
    if scale is not None:
        weight = times(weight, scale)
    if gate is not None:
        weight, bias = times(weight, gate.unsqueeze(1)), None if bias is None else times(bias, gate)
    return product(x, weight, bias)


def times(weight: Tensor, factor: Tensor) -> Tensor:
    """weight * factor, in the type in which a product reads it."""
    dtype = matmul_dtype(weight)
    return weight * factor if dtype is None or not closed_forms() else call(Times, weight, factor, dtype)


class Times(torch.autograd.Function):
    """weight * factor of float32 in half precision, without an intermediate in float32."""

    @staticmethod
    def forward(weight: Tensor, factor: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.mul(weight, factor, out=torch.empty_like(weight, dtype=dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, factor = ctx.saved_tensors
        to_weight = gradient * factor if needed(ctx, 0) else None
        return to_weight, (gradient * weight).sum_to_size(factor.shape) if needed(ctx, 1) else None, None


# Of the libraries in torch for the CPU, MKL uses AVX-512 on Intel's processors alone, and oneDNN wherever it exists:
# on others it is twice as fast. Small products are not worth the call.
ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
LEAST = 2**22  # multiplications


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight^T + bias for x (..., K) and weight (N, K)."""
    if not ONEDNN or x.device.type != "cpu" or not closed_forms() or x.numel() * len(weight) < LEAST:
        return F.linear(x, weight, bias)
    if not x.dtype == weight.dtype == torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    return call(Product, x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


def multiply(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """a @ b^T + bias by oneDNN, without a derivative; in a graph that is compiled, in the terms that it knows."""
    if torch.compiler.is_compiling():  # where the graph around it breaks, dynamo compiles this by itself
        return F.linear(a, b, bias)
    # the first one is copied unless it is contiguous
    if bias is None and not a.is_contiguous() and (b.is_contiguous() or len(b) < len(a)):
        return torch.ops.mkldnn._linear_pointwise(b, a, None, "none", [], "").mT
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


class Product(torch.autograd.Function):
    """a @ b^T + bias of float32 matrices a (M, K), b (N, K) and bias (N,) or None, by oneDNN.

    Its derivatives are such products, too, of any order.
    """

    @staticmethod
    def forward(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        return multiply(a, b, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[0], inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        da = call(Product, gradient, b.mT, None) if needed(ctx, 0) else None
        db = call(Product, gradient.mT, a.mT, None) if needed(ctx, 1) else None
        return da, db, gradient.sum(0) if ctx.needs_input_grad[2] and needed(ctx, 2) else None


def xavier(network: nn.Module, leave: Collection[nn.Module] = ()) -> None:
    """Xavier-uniform weights (Glorot and Bengio, 2010) and zero biases in every linear layer but those in `leave`."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and module not in leave:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
