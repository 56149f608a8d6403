"""A part of a data set: the images to train on, and those held out to measure against."""

import hashlib

import torch

from transgan.data.dataset import ImageDataset
from transgan.files import hash_of


class Part(ImageDataset):
    """The images of `base` at `indices` (int64, ascending)."""

    def __init__(self, base: ImageDataset, indices: torch.Tensor, name: str) -> None:
        super().__init__(name, base.resolution, base.channels)
        self.base, self.indices = base if base.images is None else None, indices
        self.skipped, self.ignored, self.others, self.labelled = base.skipped, base.ignored, base.others, base.labelled
        self.notes, self.hints, self.levels = list(base.notes), list(base.hints), base.levels
        self.known = None if base.images is None else base.identity()
        images = None if base.images is None else base.images[indices]
        self.hold(images, base.labels[indices], base.class_names, base.sizes[indices])

    def decode(self, index: int) -> torch.Tensor:
        assert self.base is not None, "images in memory are not decoded"
        return self.base.decode(int(self.indices[index]))

    def identity(self) -> object | None:
        known = self.known if self.base is None else self.base.identity()
        return None if known is None else (known, hash_of(self.indices.numpy().tobytes()))

    def version(self) -> object | None:
        return () if self.base is None else self.base.version()


def hold_out(dataset: ImageDataset, share: float) -> tuple[Part, Part]:
    """Splits into a training part and a held-out part with `share` of every class, always the same images.

    Where classes are so small that this leaves fewer than two images, `share` of all images is held out, spread over
    the classes. Raises ValueError if either part would have fewer than two images.
    """
    out, counts = held_out(dataset.labels, share)
    kept, left = (~out).nonzero().flatten(), out.nonzero().flatten()
    train, heldout = Part(dataset, kept, dataset.name), Part(dataset, left, f"{dataset.name} held out")
    if dataset.num_classes:
        train.notes += unequal(dataset.labels.bincount(minlength=1), counts, share)
    return train, heldout


def held_out(labels: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of N images `hold_out` holds out, bool (N,), and how many it meant to of each of K classes, int64 (K,).

    labels: int64 (N,). Raises ValueError as `hold_out` does.
    """
    if not 0 < share < 1:
        raise ValueError(f"holdout={share:g}: it takes a share of the images between 0 and 1, such as 0.1.")
    sizes = labels.bincount(minlength=1)
    counts = torch.tensor([round(share * int(size)) for size in sizes])
    if min(int(counts.sum()), len(labels) - int(counts.sum())) < 2:
        counts = spread(sizes, round(share * len(labels)))
    generator, out = torch.Generator().manual_seed(0), torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        out[members[torch.randperm(len(members), generator=generator)[: int(counts[label])]]] = True
    if min(int(out.sum()), int((~out).sum())) < 2:
        raise ValueError(
            f"holdout={share:g} of {len(labels):,} images leaves fewer than two images on one side: "
            "give a share that leaves two on both, or more images."
        )
    return out, counts


def spread(sizes: torch.Tensor, total: int) -> torch.Tensor:
    """How many images to hold out of each of K classes of these sizes, int64 (K,), `total` in all: an equal share of
    each, the rest by largest remainder, and if possible never the last image of a class."""
    share = total / max(1, int(sizes.sum()))
    counts = torch.tensor([int(share * int(size)) for size in sizes])
    order = sorted(
        range(len(sizes)),
        key=lambda i: (int(sizes[i] - counts[i]) < 2, -(share * int(sizes[i]) - int(counts[i])), shuffled(i)),
    )
    for i in [i for i in order if counts[i] < sizes[i]][: total - int(counts.sum())]:
        counts[i] += 1
    return counts


def shuffled(number: int) -> bytes:
    """The sorting key of a fixed pseudo-random order."""
    return hashlib.sha256(f"transgan holdout {number}".encode()).digest()


def unequal(sizes: torch.Tensor, counts: torch.Tensor, share: float) -> list[str]:
    """Sentences about classes of which no image, or every image, is held out."""
    none, every = (sizes > 0) & (counts == 0), (sizes > 0) & (counts == sizes)
    said = []
    if none.any():
        largest = int(sizes[none].max())
        said.append(
            f"holdout={share:g} holds out no image of {int(none.sum()):,} of {len(sizes):,} classes, those "
            f"of up to {largest} image{'s' if largest > 1 else ''}."
        )
    if every.any():
        said.append(
            f"holdout={share:g} leaves no training image of {int(every.sum()):,} class"
            f"{'es' if every.sum() > 1 else ''}."
        )
    return said
