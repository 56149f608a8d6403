"""A part of a data set: what is trained on, and what is kept out of training to measure against."""

import hashlib

import torch

from .dataset import ImageDataset


class Part(ImageDataset):
    """The images of `base` at `indices` (int64, ascending)."""

    def __init__(self, base, indices, name):
        super().__init__(name, base.resolution, base.channels)
        self.base, self.indices = None if base.in_memory else base, indices
        self.skipped, self.ignored, self.others, self.labelled = base.skipped, base.ignored, base.others, base.labelled
        self.notes, self.hints, self.levels = list(base.notes), list(base.hints), base.levels
        self.known = known(base) if base.in_memory else None
        images = base.images[indices] if base.in_memory else None
        self.hold(images, base.labels[indices], base.class_names, base.sizes[indices])

    def decode(self, index):
        return self.base.decode(int(self.indices[index]))

    def identity(self):
        known = self.known if self.base is None else self.base.identity()
        if known is None:
            raise NotImplementedError
        return known, hashlib.sha256(self.indices.numpy().tobytes()).hexdigest()

    def version(self):
        return () if self.base is None else self.base.version()


def known(base):
    """The identity of a data set, which needs none while it is held in memory."""
    try:
        return base.identity()
    except NotImplementedError:
        return None


def hold_out(dataset, share):
    """-> (training part, held-out part): `share` of every class, the same images whenever it is asked of this data.

    Where classes are so small that this gives fewer than two images, it is `share` of all of them, spread over the
    classes. Raises ValueError when either part would have fewer than two images.
    """
    if not 0 < share < 1:
        raise ValueError(f"holdout={share:g}: it takes a share of the images between 0 and 1, such as 0.1.")
    sizes = dataset.labels.bincount(minlength=1)
    counts = torch.tensor([round(share * int(size)) for size in sizes])
    if min(int(counts.sum()), len(dataset) - int(counts.sum())) < 2:
        counts = spread(sizes, round(share * len(dataset)))
    generator, out = torch.Generator().manual_seed(0), torch.zeros(len(dataset), dtype=torch.bool)
    for label in dataset.labels.unique():
        members = (dataset.labels == label).nonzero().flatten()
        out[members[torch.randperm(len(members), generator=generator)[: int(counts[label])]]] = True
    if min(int(out.sum()), int((~out).sum())) < 2:
        raise ValueError(
            f"holdout={share:g} of {len(dataset):,} images leaves fewer than two images on one side: "
            "give a share that leaves two on both, or more images."
        )
    kept, left = (~out).nonzero().flatten(), out.nonzero().flatten()
    train, heldout = Part(dataset, kept, dataset.name), Part(dataset, left, f"{dataset.name} held out")
    if dataset.num_classes:
        train.notes += unequal(sizes, counts, share)
    return train, heldout


def spread(sizes, total):
    """int64 (K,), images of every class -> how many of each to hold out, `total` of all: as large a share of each as
    there can be, the rest to those with the largest remainder, and if possible not the last image of a class."""
    share = total / max(1, int(sizes.sum()))
    counts = torch.tensor([int(share * int(size)) for size in sizes])
    order = sorted(
        range(len(sizes)),
        key=lambda i: (int(sizes[i] - counts[i]) < 2, -(share * int(sizes[i]) - int(counts[i])), shuffled(i)),
    )
    for i in [i for i in order if counts[i] < sizes[i]][: total - int(counts.sum())]:
        counts[i] += 1
    return counts


def shuffled(number):
    """An order in which neighbours do not follow each other, the same everywhere."""
    return hashlib.sha256(f"transgan holdout {number}".encode()).digest()


def unequal(sizes, counts, share):
    """Sentences about classes of which none is kept out, or all."""
    none, every = (sizes > 0) & (counts == 0), (sizes > 0) & (counts == sizes)
    said = []
    if none.any():
        largest = int(sizes[none].max())
        said.append(
            f"holdout={share:g} keeps no image out of {int(none.sum()):,} of {len(sizes):,} classes, those "
            f"of up to {largest} image{'s' if largest > 1 else ''}."
        )
    if every.any():
        said.append(
            f"holdout={share:g} leaves no image to train on of {int(every.sum()):,} class"
            f"{'es' if every.sum() > 1 else ''}."
        )
    return said
