"""The processes that share an evaluation: what the evaluator asks of them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from torch import Tensor


class Context(Protocol):
    """`gather(tensor)` is called by every process with a tensor of the same shape, on the device of the evaluator, and
    returns those of all of them in the order of the ranks. Inside of `together()` an error on one process becomes one
    on every process, before any of them goes on: else the others would wait in `gather` for ever."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    def gather(self, rows: Tensor, /) -> Sequence[Tensor]: ...

    def together(self) -> AbstractContextManager[object]: ...


class Alone:
    """The context of a single process."""

    rank, world_size = 0, 1

    def gather(self, rows: Tensor, /) -> list[Tensor]:
        return [rows]

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()
