"""torch.compile with matrix products by the library that is fastest here: see `product` of linear.py."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

from transgan.layers import linear

LIBRARY = torch.library.Library("transgan", "DEF")
LIBRARY.define("product(Tensor a, Tensor b, Tensor? bias) -> Tensor")


def shape_of_product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


LIBRARY.impl("product", lambda a, b, bias: linear.multiply(a, b.mT, bias).contiguous(), "CPU")  # a @ b + bias
torch.library.register_fake("transgan::product", shape_of_product, lib=LIBRARY)


class ByOneDNN(CustomGraphPass):
    """Replaces the products that inductor leaves to MKL, in a graph of forward and backward passes."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        aten, ours = torch.ops.aten, torch.ops.transgan.product.default
        for target in (aten.mm.default, aten.addmm.default):
            for node in graph.find_nodes(op="call_function", target=target):
                *bias, a, b = node.args
                if node.kwargs or not worth_it(a, b, *bias):
                    continue
                with graph.inserting_before(node):
                    new = graph.call_function(ours, (a, b, bias[0] if bias else None))
                new.meta.update(node.meta)
                node.replace_all_uses_with(new)
                graph.erase_node(node)

    def uuid(self) -> Any:
        return get_hash_for_files((__file__, linear.__file__))


def worth_it(a: Any, b: Any, bias: Any = None) -> bool:
    """Whether all is float32 on the CPU, of known shape, and large enough for the call."""
    a, b = a.meta["val"], b.meta["val"]
    if any(each.dtype != torch.float32 or each.device.type != "cpu" for each in (a, b)):
        return False
    if (
        bias is not None
        and bias.meta["val"].ndim != 1
        or not all(isinstance(side, int) for side in (*a.shape, *b.shape))
    ):
        return False
    return a.numel() * b.shape[1] >= linear.LEAST


def compiled(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    """`torch.compile`; by inductor on a CPU with AVX-512, products are by oneDNN, as they are without it."""
    if backend == "inductor" and linear.ONEDNN:
        return torch.compile(function, backend=backend, options={"post_grad_custom_post_pass": ByOneDNN()})
    return torch.compile(function, backend=backend)
