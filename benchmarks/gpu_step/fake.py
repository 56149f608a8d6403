"""A GPU that does not exist: fake tensors on it, and what of torch would ask its driver, replaced."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses import FakeTensor, FakeTensorMode

aten = torch.ops.aten
plain_attention = torch.nn.functional.scaled_dot_product_attention


class NoGPU(FakeTensorMode):
    """Fake tensors on a GPU that is never asked for anything."""

    avoid_device_init = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else 1  # "is it finite?"
        return super().__torch_dispatch__(func, types, args, kwargs)


class Engine:
    """torch's engine of backward passes, for fake tensors: its own asks the GPU's driver for streams.

    Like that one it leaves out what the wanted gradients do not need. It cannot tell a node so, as that one does, so it
    takes back what the node has run: `journal` holds (tensors read, tensors written, how to take it back).
    """

    node: ClassVar[Any] = None  # that is running
    journal: ClassVar[list[tuple[list[Tensor], list[Tensor], Any]] | None] = None

    def __init__(self, inputs: Sequence[Tensor]):
        self.wanted = [edge_of(each) for each in inputs]
        self.found: list[Tensor | None] = [None] * len(inputs)
        self.pending: dict[Any, dict[int, Tensor]] = defaultdict(dict)  # node: gradients of its outputs
        self.waiting: dict[Any, int] = defaultdict(int)  # node: edges that will still bring a gradient
        self.leading: set[Any] = set()  # nodes from which a wanted one is reached

    def run(self, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        roots = [edge_of(each) for each in outputs]
        self.look([node for node, _ in roots])
        for edge, gradient in zip(roots, gradients, strict=True):
            self.bring(edge, gradient)
        ready = [
            (-node._sequence_nr(), id(node), node) for node in {node for node, _ in roots} if not self.waiting[node]
        ]
        heapify(ready)
        while ready:
            *_, node = heappop(ready)
            for edge, gradient in zip(node.next_functions, self.through(node), strict=False):
                if edge[0] is None:
                    continue
                self.bring(edge, gradient)
                self.waiting[edge[0]] -= 1
                if not self.waiting[edge[0]]:
                    heappush(ready, (-edge[0]._sequence_nr(), id(edge[0]), edge[0]))
        Engine.node = None

    def look(self, roots: list[Any]) -> None:
        seen, stack = [], list(roots)
        known = set(roots)
        while stack:
            node = stack.pop()
            seen.append(node)
            for following, _ in node.next_functions:
                if following is not None:
                    self.waiting[following] += 1
                    if following not in known:
                        known.add(following)
                        stack.append(following)
        self.leading = {node for node, _ in self.wanted}
        for node in sorted(seen, key=lambda node: node._sequence_nr()):  # made after those that it leads to
            if any(following in self.leading for following, _ in node.next_functions):
                self.leading.add(node)

    def bring(self, edge: tuple[Any, int], gradient: Tensor | None) -> None:
        """Adds a gradient to those of a node's output, in the shape and type of the output."""
        if gradient is None:
            return
        node, slot = edge
        meta = node._input_metadata[slot]
        gradient = gradient if gradient.shape == meta.shape else gradient.sum_to_size(meta.shape)
        gradient, before = gradient.to(meta.dtype), self.pending[node].get(slot)
        self.pending[node][slot] = gradient if before is None else before + gradient

    def through(self, node: Any) -> Sequence[Tensor | None]:
        """The gradients of a node's inputs."""
        edges = node.next_functions
        nothing = [None] * len(edges)
        got = self.pending.pop(node, {})
        for i, (each, slot) in enumerate(self.wanted):
            if each is node:
                self.found[i] = got.get(slot)
        if not got:
            return nothing
        if node.name().endswith("AccumulateGrad"):
            if not self.wanted:
                accumulate(node.variable, got[0])
            return nothing
        partly = self.wanted and any(each is not None and each not in self.leading for each, _ in edges)
        Engine.node, Engine.journal = node, [] if partly else None
        arguments = [got.get(i) for i in range(len(node._input_metadata))]
        results = node.apply(*arguments) if hasattr(node, "apply") else node(*arguments)
        results = list(results) if isinstance(results, tuple) else [results]
        if partly:
            results = [
                each if following in self.leading else None
                for each, (following, _) in zip(results, edges, strict=False)
            ]
            self.take_back(results)
            Engine.journal = None
        return results

    def take_back(self, needed: list[Tensor | None]) -> None:
        known = {id(each) for each in needed if each is not None}
        for read, written, undo in reversed(Engine.journal or []):
            if any(id(each) in known for each in written):
                known.update(map(id, read))
            elif undo is not None:
                undo()


def accumulate(parameter: Tensor, gradient: Tensor) -> None:
    if parameter.grad is not None:
        parameter.grad += gradient
    else:
        parameter.grad = gradient if gradient.stride() == parameter.stride() else gradient.contiguous()


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    keep_graph: bool,
    create_graph: bool,
    inputs: Sequence[Tensor] = (),
    allow_unreachable: bool = False,
    accumulate_grad: bool = False,
) -> tuple[Tensor | None, ...]:
    engine = Engine(inputs)
    with torch.set_grad_enabled(create_graph):
        engine.run(outputs, gradients)
    return tuple(engine.found)


def edge_of(tensor: Tensor) -> tuple[Any, int]:
    edge = torch.autograd.graph.get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, is_causal: bool = False, **more: Any) -> Tensor:
    """The fused kernel that a GPU would choose; asked without one, torch chooses the explicit path."""
    if not torch.backends.cuda.flash_sdp_enabled():
        return plain_attention(q, k, v, attn_mask=attn_mask, is_causal=is_causal, **more)
    if attn_mask is None and q.dtype != torch.float32:
        return aten._scaled_dot_product_flash_attention(q, k, v, 0.0, is_causal, **more)[0]
    mask, grad = None if attn_mask is None else attn_mask.expand(*q.shape[:-1], k.shape[-2]), torch.is_grad_enabled()
    return aten._scaled_dot_product_efficient_attention(q, k, v, mask, grad, 0.0, is_causal, **more)[0]


@contextmanager
def fake_gpu() -> Iterator[torch.device]:
    """Inside, there is a GPU, of fake tensors."""
    generator = torch.Generator

    def on_cpu(device: Any = "cpu") -> torch.Generator:
        return generator("cpu")

    with ExitStack() as stack:
        stack.enter_context(mock.patch("torch.autograd._engine_run_backward", run_backward))
        stack.enter_context(mock.patch("torch.amp.autocast_mode.torch.cuda.is_available", return_value=True))
        stack.enter_context(mock.patch("torch.cuda.is_bf16_supported", return_value=True))
        stack.enter_context(mock.patch("torch.cuda._lazy_init"))
        stack.enter_context(mock.patch("torch.nn.functional.scaled_dot_product_attention", attention))
        stack.enter_context(mock.patch("torch.optim.optimizer._foreach_supported_types", [FakeTensor]))
        stack.enter_context(mock.patch("torch.nn.utils.clip_grad._has_foreach_support", return_value=True))
        stack.enter_context(mock.patch("torch.Generator", on_cpu))
        stack.enter_context(NoGPU(allow_non_fake_inputs=True))
        yield torch.device("cuda", 0)
