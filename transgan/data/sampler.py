"""Endless shuffled batches as a pure function of (seed, position): no state to save, any run can be resumed.

Position p, counted in images shown, lies in epoch e = p // length and shows image permutation_e[p % length].
permutation_e is torch.randperm(length) from a CPU generator seeded with the first 63 bits of
SHA-256("transgan sampler <seed> <e>"): the same on every machine, and independent between neighbouring seeds.

With `images_per_class` an epoch has the same images in another order, in which so many of a class stand beside each
other: for losses that compare the images of a class in a batch, however many classes there are.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import torch


@lru_cache(maxsize=2)  # a batch spans one epoch, or two at a boundary
def permutation(length: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of one epoch: int64 (length,)."""
    digest = hashlib.sha256(f"transgan sampler {seed} {epoch}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randperm(length, generator=generator)


def beside_each_other(order: torch.Tensor, labels: torch.Tensor, images_per_class: int) -> torch.Tensor:
    """`order` (N,) of images with `labels` (N,), rearranged into blocks of `images_per_class` of one class.

    Blocks stand where their first image stood, so that a shuffled order has every class early and late. The last
    block of a class has what is left of it.
    """
    own = labels[order]
    places = own.argsort(stable=True)  # of `order`, class by class
    classes = own[places]
    within = torch.arange(len(order)) - torch.searchsorted(classes, classes)
    begins = within % images_per_class == 0
    first = places[begins][begins.cumsum(0) - 1]
    return order[places[first.argsort(stable=True)]]


class EndlessSampler:
    """An endless batch sampler: yields lists of image indices, across epoch boundaries.

    `batch_size` is the total over all ranks and `start` the number of images already shown. Batch k covers the
    positions from start + k * batch_size on, and every rank takes a contiguous slice of them. So the images shown at
    a position depend neither on the number of ranks nor on when the run was last resumed.

    `images_per_class` with `labels` (length,): so many images of a class stand beside each other.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
        images_per_class: int | None = None,
        labels: torch.Tensor | None = None,
    ) -> None:
        if length < 1:
            raise ValueError("There are no images to show: the data set is empty.")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"batch_size={batch_size} cannot be shared equally by {world_size} processes: "
                f"it is the total over all of them, give a positive multiple of {world_size}."
            )
        if not 0 <= rank < world_size or start < 0:
            raise ValueError(f"rank={rank} of {world_size} starting at image {start} is not possible.")
        self.length, self.batch_size, self.seed, self.start = length, batch_size, seed, start
        self.rank, self.local_batch_size = rank, batch_size // world_size
        self.images_per_class, self.labels = images_per_class, labels
        self.ordered: dict[int, torch.Tensor] = {}

    def order(self, epoch: int) -> torch.Tensor:
        """The images of one epoch: int64 (length,)."""
        shuffled = permutation(self.length, self.seed, epoch)
        if self.images_per_class is None or self.labels is None:
            return shuffled
        if epoch not in self.ordered:
            kept = {known: order for known, order in self.ordered.items() if known == epoch - 1}
            self.ordered = kept | {epoch: beside_each_other(shuffled, self.labels, self.images_per_class)}
        return self.ordered[epoch]

    def indices(self, position: int, count: int) -> list[int]:
        """The images shown at positions position ... position + count - 1, independent of the batches."""
        result: list[int] = []
        while count > 0:
            epoch, offset = divmod(position, self.length)
            piece = self.order(epoch)[offset : offset + count].tolist()
            result += piece
            position, count = position + len(piece), count - len(piece)
        return result

    def __iter__(self) -> Iterator[list[int]]:
        position = self.start + self.rank * self.local_batch_size
        while True:
            yield self.indices(position, self.local_batch_size)
            position += self.batch_size
