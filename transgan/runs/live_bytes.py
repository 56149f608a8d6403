"""How many bytes of tensors are alive at once, counted as they are made and freed; on any device."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """A context in which every new storage is counted, once, until it is freed: `peak` is the most at any moment.

    What was there before, such as parameters, does not count. An operation's own workspace is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in tree_iter(made):
            if isinstance(each, torch.Tensor):
                self.count(each.untyped_storage())
        return made

    def count(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata
        if place in self.known:
            return
        size = storage.nbytes()
        self.known.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)

        def freed() -> None:
            self.known.discard(place)
            self.now -= size

        weakref.finalize(storage, freed)
