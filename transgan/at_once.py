"""As many images at once as fit into memory: all of them, and where it is lacking half as many, and half of those."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from transgan.errors import is_out_of_memory

LANE = 8  # images at a time, or a multiple: fewer take another path through matrix products

Items = TypeVar("Items", list[int], Tensor)


class AtOnce:
    """Puts together what is made of each of several images; what an image gives does not depend on the parts.

    size: images at once, a multiple of LANE; None until memory was lacking. It stays for what is made later.
    """

    def __init__(self) -> None:
        self.size: int | None = None

    def of(self, count: int, make: Callable[[list[int]], Tensor]) -> Tensor:
        """Rows for `count` images. `make` returns those of the images with these indices, and is called for all of
        them, or for one part after the other; a part is filled. Raises what it raises for LANE images or fewer."""
        made: list[Tensor] = []
        first = 0
        while first < count or not made:
            part = list(range(first, min(first + (self.size or count), count)))
            try:
                made.append(make(part if len(part) == count else filled(part))[: len(part)])
                first += len(part)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(part) <= LANE:
                    raise
            self.size = -(-len(part) // (2 * LANE)) * LANE
            give_back()  # here, where what the error held is free
        return made[0] if len(made) == 1 else torch.cat(made)


def filled(items: Items) -> Items:
    """A list, or a tensor of several items, with the first one again until the count is a multiple of LANE."""
    missing = -len(items) % LANE
    if isinstance(items, Tensor):
        return torch.cat([items, items[:1].expand(missing, *items.shape[1:])])
    return items + items[:1] * missing


def give_back() -> None:
    """Gives memory that nothing uses any more back to the system and the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
