"""What every source of images offers: uint8 images, integer labels, a fingerprint, and one line about itself."""

import hashlib
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from .checking import in_order, recall, remember


class ImageDataset(Dataset):
    """Base class. A subclass calls `hold` once; if it keeps no images in memory, it also defines `decode(index)`
    and `identity()`.

    labels       int64 (N,), all 0 when there are none         num_classes  0 when there are none
    images       uint8 (N, C, H, W), or None when streamed     class_names  list of str
    skipped      list of (name, reason)                        ignored      number of files that are no images
    notes        sentences a person should read                limit        how many images are wanted, None for all
    hints        keys of `transgan train` that say otherwise   levels       what is white where files do not say it
    labelled     by what there are classes                     others       which kinds of files are ignored
    """

    levels, labelled, others = None, "", ""

    def __init__(self, name, resolution, channels, limit=None):
        if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
            raise ValueError(f"resolution={resolution} is not possible: give a positive whole number of pixels.")
        if isinstance(channels, bool) or channels not in (1, 3):
            raise ValueError(f"channels={channels} is not possible: give 1 for gray or 3 for colour.")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit={limit} is not possible: give how many images to take, or null for all.")
        self.name, self.resolution, self.channels, self.limit = name, resolution, int(channels), limit
        self.skipped, self.ignored, self.notes, self.hints = [], 0, [], []

    def chosen(self, labels):
        """Which of all N images `limit` leaves: ascending indices, every class as often as every other."""
        labels = torch.as_tensor(np.array(labels), dtype=torch.int64)
        if self.limit is None:
            return torch.arange(len(labels))
        classes = len(labels.unique())
        if not classes <= self.limit <= len(labels):
            raise ValueError(
                f"limit={self.limit} is not possible: there are {len(labels):,} images in {classes:,} "
                f"class{'es' if classes != 1 else ''}; give a number between the two, or null for all."
            )
        self.notes.append(f"limit: {self.limit:,} of {len(labels):,} images.")
        return evenly(labels, self.limit)

    def hold(self, images, labels, class_names, sizes):
        """images: uint8 (N, C, H, W) or None; labels: N integers; sizes: N pairs (width, height) of the originals."""
        self.images = images
        self.labels = torch.as_tensor(labels, dtype=torch.int64)
        self.class_names = list(class_names)
        self.sizes = torch.as_tensor(sizes, dtype=torch.int64).reshape(-1, 2)

    def decode(self, index):
        """One image from its source: uint8 (C, H, W)."""
        raise NotImplementedError  # for subclasses

    def identity(self):
        """What tells this source from another one without reading all its pixels; any value with a stable repr."""
        raise NotImplementedError  # for subclasses

    def version(self):
        """Whatever else must be unchanged for the source to count as the same one that was looked at before; None if
        that cannot be told without reading all of it."""
        return None

    @property
    def in_memory(self):
        return self.images is not None

    @property
    def num_classes(self):
        return len(self.class_names)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """-> uint8 (C, H, W), int"""
        label = int(self.labels[index])  # first, for the IndexError that ends a for loop
        return (self.images[index].clone() if self.in_memory else self.decode(index)), label

    def __getitems__(self, indices):
        """-> uint8 (B, C, H, W), int64 (B,). DataLoader calls this with one batch of indices."""
        indices = list(indices)
        if self.in_memory:
            return self.images[indices], self.labels[indices]
        return torch.stack([self.decode(index) for index in indices]), self.labels[indices]

    @property
    def preparation(self):
        """What was done to the images of the source, in a few words."""
        done = [] if (self.sizes[:, 0] == self.sizes[:, 1]).all() else ["centre crop"]
        if (self.sizes.amin(1) != self.resolution).any():
            done.append(f"Lanczos to {self.resolution} px")
        return ", ".join(done) or "as they are"

    def heldout(self):
        """The data set's own images that are not for training, as another ImageDataset; None if it has none."""
        return None

    @cached_property
    def fingerprint(self):
        """Hex SHA-256 of the content: every label and pixel. The same in memory and streamed, wherever it lies."""
        digest = self.begun()
        if self.in_memory:
            digest.update(self.images.contiguous().numpy())
            return digest.hexdigest()
        identity = self.fingerprint_identity()
        lasting = self.earlier_fingerprint is not None and self.version() is not None
        known = recall(identity) if lasting else None
        if not isinstance(known, str):
            for pixels in in_order(self.decode, range(len(self))):
                digest.update(pixels.numpy())
            known = digest.hexdigest()
            if lasting:
                remember(identity, known)
        return known

    def fingerprint_identity(self):
        """Under which the fingerprint of streamed images is remembered, so that not every start reads all of them."""
        return "fingerprint", self.earlier_fingerprint, self.version(), self.levels and tuple(self.levels)

    def begun(self, labels=None):
        """The hash that a fingerprint is, before the pixels; labels: the data set's own where they are not yet held."""
        labels = self.labels if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        shape = (len(labels), self.channels, self.resolution, self.resolution)
        digest = hashlib.sha256(repr(shape).encode())
        digest.update(labels.numpy())
        return digest

    @cached_property
    def earlier_fingerprint(self):
        """What earlier versions took for the fingerprint of streamed images: the list of files with their sizes and
        times (or checksums), the labels, and the pixels of 256 images spread evenly. None if it cannot be said."""
        try:
            head = (self.identity(), self.resolution, self.channels)
        except NotImplementedError:
            return None
        chosen = np.linspace(0, len(self) - 1, min(256, len(self))).round().astype(int).tolist()
        digest = hashlib.sha256(repr(head).encode("utf-8", "surrogateescape"))
        digest.update(self.labels.numpy())
        digest.update(self.__getitems__(chosen)[0].contiguous().numpy())
        return digest.hexdigest()

    def is_same(self, fingerprint):
        """Whether a fingerprint that a run has kept, of this version or an earlier one, is of these images."""
        return fingerprint is not None and fingerprint in (self.fingerprint, self.earlier_fingerprint)

    def describe(self, hints=True):
        """One line for a person: how many, which classes, what was done to them, what was left out; and, as hints, the
        keys of `transgan train` that change it."""
        resolution, memory = self.resolution, len(self) * self.channels * self.resolution**2
        images = f"{len(self):,} image{'s' if len(self) != 1 else ''}"
        parts = [f"{self.name}: {images}, {self._classes()}", f"{resolution}x{resolution}{self._origin()}"]
        if smaller := int((self.sizes.amin(1) < resolution).sum()):
            parts.append(f"{smaller:,} smaller than {resolution} px enlarged")
        if self.skipped:
            parts.append(f"skipped {len(self.skipped):,} unreadable")
        if self.ignored:
            kinds = f" ({self.others})" if self.others else ""
            parts.append(f"ignored {self.ignored:,} other file{'s' if self.ignored != 1 else ''}{kinds}")
        parts.append(f"kept in memory ({readable(memory)})" if self.in_memory else "streamed from disk")
        said = [*self.notes, *(self.hints if hints else [])]
        return " ".join(["; ".join(parts), *(f"({note})" for note in said)])

    def _classes(self):
        if not self.class_names:
            return "no labels"
        counts = torch.bincount(self.labels, minlength=self.num_classes).tolist()
        named = [f"{printable(name)} {count:,}" for name, count in zip(self.class_names, counts, strict=False)]
        rest = f" and {len(named) - 5:,} more" if len(named) > 5 else ""
        how = f" {self.labelled}" if self.labelled else ""
        return f"{len(named):,} class{'es' if len(named) != 1 else ''} ({', '.join(named[:5])}{rest}){how}"

    def _origin(self):
        same = bool((self.sizes == self.sizes[0]).all())
        width, height = self.sizes.median(0).values.tolist()
        if same and (width, height) == (self.resolution, self.resolution):
            return " as they are"
        crop = ", centre crop" if (self.sizes[:, 0] != self.sizes[:, 1]).any() else ""
        lanczos = ", Lanczos" if (self.sizes.amin(1) != self.resolution).any() else ""
        return f" from {width}x{height}{'' if same else ' median'}{crop}{lanczos}"


def evenly(labels, count):
    """int64 (N,) -> ascending indices of `count` images: as many of every class, while it lasts.

    They are the first of one fixed order, so that a larger count adds images and takes none away.
    """
    generator, classes = torch.Generator().manual_seed(0), labels.unique()
    order = torch.empty_like(labels)  # first one image of every class, then a second one...
    for i, label in enumerate(classes):
        members = (labels == label).nonzero().flatten()
        places = torch.arange(len(members)) * len(classes) + i
        order[members[torch.randperm(len(members), generator=generator)]] = places
    return order.argsort()[:count].sort().values


def printable(name):
    """A name in one line."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def readable(size):
    """Bytes as a person says them: 59 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}" if size < 10 * factor else f"{size / factor:,.0f} {unit}"
    return f"{size} bytes"
