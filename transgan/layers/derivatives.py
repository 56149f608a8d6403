"""When layers use closed forms of their derivatives in place of those that autograd derives operator by operator."""

from typing import Any

import torch
from torch.autograd import forward_ad


def closed_forms() -> bool:
    """False in compiled graphs, which fuse the plain formulas themselves, and under forward differentiation."""
    return not torch.compiler.is_compiling() and forward_ad._current_level < 0


def call(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """The function of the inputs, to be differentiated; where no gradient is wanted, without the cost of it."""
    if not torch.is_grad_enabled():
        return function.forward(*inputs)
    if torch._C._are_functorch_transforms_active():
        return function.apply(*inputs)
    # what Function.apply calls after it has bound the arguments to names, which takes 50 us
    return super(torch.autograd.Function, function).apply(*inputs)  # type: ignore[misc]


def needed(ctx: Any, index: int) -> bool:
    """Whether the backward pass that runs wants the gradient of the tensor `index` among a function's inputs.

    `needs_input_grad` says whether any would: a gradient with respect to images alone needs none of the weights.
    """
    if not ctx.needs_input_grad[index]:
        return False
    try:
        return torch._C._will_engine_execute_node(ctx.next_functions[index][0])
    except (AttributeError, RuntimeError):  # inside torch.func
        return True
