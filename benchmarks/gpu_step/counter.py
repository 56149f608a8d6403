"""Counts of operators: launches of kernels, bytes, floating-point operations, memory and waits."""

import weakref
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.gpu_step.fake import Engine

BANDWIDTH = 4.8e12  # bytes/s of an H200's memory
MATMUL = {torch.bfloat16: 790e12, torch.float16: 790e12, torch.float32: 50e12}  # FLOP/s; bfloat16 as measured
LAUNCH = 4e-6  # seconds from one kernel to the next where the processor cannot issue them faster

OTHER = 60e12  # FLOP/s of everything but products

aten = torch.ops.aten
FREE = {  # no kernel: new memory, or another view of old memory
    aten.empty.memory_format, aten.empty_strided.default, aten.empty_like.default, aten.new_empty.default,
    aten.new_empty_strided.default, aten._unsafe_view.default, aten._reshape_alias.default, aten.lift_fresh.default,
    torch.ops.prim.device.default, aten.sym_size.int, aten.is_same_size.default, aten.set_data.default,
}  # fmt: skip
SEVERAL = {  # kernels of operators that are more than one
    aten.convolution_backward.default: 3, aten.native_layer_norm_backward.default: 2,
    aten._fused_rms_norm_backward.default: 2,
    aten.native_group_norm_backward.default: 3, aten.embedding_dense_backward.default: 5, aten.index_put.default: 3,
    aten.index_put_.default: 3, aten._index_put_impl_.default: 3, aten.nonzero.default: 3, aten.sort.default: 2,
    aten.sort.stable: 2, aten._scaled_dot_product_flash_attention_backward.default: 3,
    aten._scaled_dot_product_efficient_attention_backward.default: 3,
}  # fmt: skip
OUT = {"out", "grad_input"}  # arguments that are written and not read
WAITS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default}


@dataclass
class Cost:
    launches: int = 0
    bytes: int = 0
    flops: int = 0
    seconds: float = 0.0  # by the roofline, without the time between kernels

    def add(self, other: "Cost", sign: int) -> None:
        for name in ("launches", "bytes", "flops", "seconds"):
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))


def touched(tensor: Tensor) -> int:
    """The bytes that reading or writing a tensor moves; what is expanded is one number in memory."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else min(size, 1)
    return count * tensor.element_size()


def cost_of(func: Any, read: list[Tensor], results: list[Tensor], args: Any, kwargs: Any, result: Any) -> Cost:
    """Of one operator on tensors without numbers."""
    name = func._schema.name
    written = results or read[:1]  # in place, without a result
    cost = Cost(SEVERAL.get(func, 1), sum(map(touched, written)))
    if not name.startswith(("aten::zero_", "aten::fill_", "aten::normal_", "aten::uniform_")):
        cost.bytes += sum(map(touched, read))
    if "_foreach_" in name or "_fused_adam" in name:  # many tensors at once, in chunks
        elements = [each.numel() for each in (results or read)]
        chunks = sum(ceil(count / 65536) for count in elements)
        cost.launches = max(1, ceil(len(elements) / 48), ceil(chunks / 320))
        if not results:
            cost.bytes += sum(map(touched, args[0][1:]))
    rate = OTHER
    if func._overloadpacket in flop_registry:
        cost.flops = flop_registry[func._overloadpacket](*args, **kwargs, out_val=result)
        rate = MATMUL.get(read[0].dtype, OTHER)
    cost.seconds = max(cost.bytes / BANDWIDTH, cost.flops / rate)
    return cost


@dataclass
class Counts:
    """What a step costs: in all, by operator, and by the class of the module whose forward pass it comes from."""

    total: Cost = field(default_factory=Cost)
    operators: dict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))
    modules: dict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))
    waits: int = 0
    peak: int = 0  # bytes

    def seconds(self) -> float:
        """Predicted: kernels one after another, each limited by memory or arithmetic, or all by their launches."""
        return max(self.total.seconds, self.total.launches * LAUNCH)


class Counter(TorchDispatchMode):
    """Counts what runs inside.

    An operator of a backward pass belongs to the module that the autograd node comes from, and so do the nodes that it
    makes itself, for a second derivative: nodes are numbered in the order in which they are made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()
        self.stack = ["Step"]
        self.numbers, self.labels = [0], ["Step"]
        self.live = 0
        self.known: set[int] = set()

    def label(self) -> str:
        node = Engine.node
        if node is None:
            return self.stack[-1]
        return self.labels[bisect_right(self.numbers, node._sequence_nr()) - 1]

    def mark(self, label: str) -> None:
        """Autograd nodes that are made from now on belong to `label`."""
        if label != self.labels[-1]:
            self.numbers.append(torch._C._autograd._get_sequence_nr())
            self.labels.append(label)

    def enter(self, module: nn.Module, _: Any) -> None:
        self.stack.append(type(module).__name__)
        self.mark(self.stack[-1])

    def leave(self, *_: Any) -> None:
        self.stack.pop()
        self.mark(self.stack[-1])

    def keep(self, tensor: Tensor) -> None:
        """Counts the memory of a new tensor until it is freed."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if tensor.device.type != "cuda" or key in self.known:
            return
        self.known.add(key)
        self.live += size
        self.counts.peak = max(self.counts.peak, self.live)

        def freed() -> None:
            self.known.discard(key)
            self.live -= size

        weakref.finalize(storage, freed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        label = self.label()
        self.mark(label)
        result = func(*args, **kwargs)
        read = {name: value for name, value in kwargs.items() if name not in OUT}
        before = [each for each in tree_leaves((args, read)) if isinstance(each, Tensor)]
        after = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        for each in (*before, *after):
            self.keep(each)
        devices = {each.device.type for each in (*before, *after)}
        if "cuda" not in devices:
            return result
        if func in WAITS or (func in (aten._to_copy.default, aten.copy_.default) and "cpu" in devices):
            self.counts.waits += 1
        undo = None
        if func not in FREE and not func.is_view and func._schema.name != "aten::detach":
            cost = cost_of(func, before, after, args, kwargs, result)
            undo = partial(self.book, cost, label, func._schema.name.removeprefix("aten::"), -1)
            self.book(cost, label, func._schema.name.removeprefix("aten::"))
        if Engine.journal is not None:
            Engine.journal.append((before, after, undo))
        return result

    def book(self, cost: Cost, label: str, name: str, sign: int = 1) -> None:
        for entry in (self.counts.total, self.counts.operators[name], self.counts.modules[label]):
            entry.add(cost, sign)

    @contextmanager
    def watching(self) -> Iterator["Counter"]:
        """Inside, operators are counted, under the names of the classes of modules."""
        before = register_module_forward_pre_hook(self.enter)
        after = register_module_forward_hook(self.leave, always_call=True)
        try:
            with torch.autograd.set_multithreading_enabled(False), self:
                yield self
        finally:
            before.remove()
            after.remove()
