"""A batch in parts, for a memory in which all of it does not fit: gradients are summed over the parts, then one step.

The sums are those of the complete batch where every value is a mean over images, as ours are. Parts are consecutive
images. The random numbers of all images are drawn first, so each image has those that it has without parts.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from transgan.at_once import give_back
from transgan.errors import is_out_of_memory
from transgan.protocols import Loss

T = TypeVar("T")


class MicroBatches:
    """How many images of a process go through the networks at once.

    size: so many, or None for all. obstacle: why a batch cannot be taken apart, as a sentence, or None. Raises
    ValueError for a size below 1, or if there is an obstacle to it.
    """

    def __init__(self, size: int | None = None, obstacle: Callable[[], str | None] = lambda: None):
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise ValueError(f"micro_batch must be at least 1 image, or null for all of a batch at once, not {size!r}")
        self.size, self.obstacle = size, obstacle
        if size is not None and (found := obstacle()):
            raise ValueError(f"micro_batch={size}: {found}")

    def of(self, n: int) -> list[slice]:
        """The parts of n images."""
        size = min(self.size or n, n) or 1
        return [slice(start, min(start + size, n)) for start in range(0, n, size)]

    def divides(self, n: int) -> bool:
        """Whether n images go through in several parts."""
        return self.size is not None and self.size < n

    def halve(self, n: int) -> bool:
        """Half as many from now on; False if they are no fewer then, or if nothing can be taken apart."""
        now = min(self.size or n, n)
        if now < 2 or self.obstacle():
            return False
        self.size = (now + 1) // 2
        return True

    def fitting(self, n: int, function: Callable[[], T], before: Callable[[], None] = lambda: None) -> T:
        """What `function` returns, which is called again for smaller parts while memory is lacking for those of now.

        before: called before it is called again.
        """
        while True:
            try:
                return function()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self.halve(n):
                    raise
            before()  # here, where what the error held is free
            give_back()


def part_of(values: Tensor, part: slice, n: int, dim: int = 0) -> Tensor:
    """Of what belongs to n images along `dim`, equally many to each, what belongs to those of the part."""
    each = values.shape[dim] // n
    return values.narrow(dim, each * part.start, each * (part.stop - part.start))


def pairwise(loss: Loss) -> bool:
    """Whether the value of each pair is a function of that pair alone."""
    real, fake = torch.tensor([0.3, -1.1, 0.8, 2.0]), torch.tensor([-0.6, 0.9, -2.0, 0.1])
    with torch.no_grad():
        for function in (loss.discriminator, loss.generator):
            parts = [function(real[i], fake[i]) for i in (slice(0, 2), slice(2, 4))]
            if not torch.allclose(function(real, fake), torch.cat(parts), atol=1e-5):
                return False
    return True


def needs_all(loss: Loss) -> str | None:
    """Why a loss has no value of a part of a batch, in a sentence; None if it has."""
    if pairwise(loss):
        return None
    return (
        f"{type(loss).__name__} compares with the mean over a batch, which a part of it does not know; use "
        "loss=relativistic, or a smaller batch_size and no micro_batch"
    )


def total(numbers: list[Tensor]) -> Tensor:
    """The sum of scalars."""
    return numbers[0] if len(numbers) == 1 else torch.stack(numbers).sum()
