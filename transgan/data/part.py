"""A part of a data set: what is trained on, and what is kept out of training to measure against."""

import hashlib

import torch

from .dataset import ImageDataset


class Part(ImageDataset):
    """The images of `base` at `indices` (int64, ascending)."""

    def __init__(self, base, indices, name):
        super().__init__(name, base.resolution, base.channels)
        self.base, self.indices = None if base.in_memory else base, indices
        self.skipped, self.ignored, self.notes = base.skipped, base.ignored, base.notes
        images = base.images[indices] if base.in_memory else None
        self.hold(images, base.labels[indices], base.class_names, base.sizes[indices])

    def decode(self, index):
        return self.base.decode(int(self.indices[index]))

    def identity(self):
        return self.base.identity(), hashlib.sha256(self.indices.numpy().tobytes()).hexdigest()


def hold_out(dataset, share):
    """-> (training part, held-out part): `share` of every class, the same images whenever it is asked of this data.

    Raises ValueError when either part would have fewer than two images.
    """
    if not 0 < share < 1:
        raise ValueError(f"holdout={share:g}: it takes a share of the images between 0 and 1, such as 0.1.")
    generator, chosen = torch.Generator().manual_seed(0), []
    for label in dataset.labels.unique():
        members = (dataset.labels == label).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: round(share * len(members))]])
    out = torch.zeros(len(dataset), dtype=torch.bool)
    out[torch.cat(chosen)] = True
    if min(int(out.sum()), int((~out).sum())) < 2:
        raise ValueError(f"holdout={share:g} of {len(dataset):,} images leaves fewer than two images on one side.")
    kept, left = (~out).nonzero().flatten(), out.nonzero().flatten()
    return Part(dataset, kept, dataset.name), Part(dataset, left, f"{dataset.name} held out")
