"""What every source of images offers: uint8 images, integer labels, a fingerprint, and one line about itself."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from torch.utils.data import Dataset

from transgan.data.checking import in_order, recall, remember
from transgan.data.levels import Levels
from transgan.files import expanded

if TYPE_CHECKING:
    from hashlib import _Hash


class ImageDataset(Dataset):
    """Images of a path, as a data set for torch: the user's own folder, zip or npz. Also the base class of all sources.

        images = ImageDataset("photos/", resolution=64, channels=3)     # a Folder, Zip or Npz, with their arguments
        image, label = images[0]                                        # uint8 (C, H, W), int
        loader = DataLoader(images, batch_size=64, shuffle=True, collate_fn=images.collate)

    A subclass calls `hold` once; if it does not keep its images in memory, it also defines `decode` and, so that a
    fingerprint is not computed at every start, `identity` and `version`.

        class Noise(ImageDataset):
            def __init__(self, resolution: int, channels: int, count: int = 1000) -> None:
                super().__init__("noise", resolution, channels)
                images = torch.randint(256, (count, channels, resolution, resolution), dtype=torch.uint8)
                self.hold(images, labels=[0] * count, class_names=[], sizes=[(resolution, resolution)] * count)

    labels       int64 (N,), all 0 without classes             num_classes  0 without classes
    images       uint8 (N, C, H, W), or None when streamed     class_names  list of str
    skipped      list of (name, reason)                        ignored      number of files that are not images
    notes        sentences for the user                        limit        number of images to take, None for all
    hints        keys of `transgan train` that change it       levels       the white of files that do not state it
    labelled     where the classes come from                   others       the kinds of ignored files
    """

    images: torch.Tensor | None
    labels: torch.Tensor
    class_names: list[str]
    sizes: torch.Tensor
    levels: Levels | None = None
    labelled: str = ""
    others: str = ""

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """For ImageDataset itself an instance of the source that the path, the first argument, is of."""
        if cls is not ImageDataset:
            return super().__new__(cls)
        path = expanded(options.get("path", arguments[0] if arguments else ""))
        from transgan.data import Folder, Npz, Zip  # its subclasses

        suffix = path.suffix.lower()
        source = Npz if suffix == ".npz" else Zip if path.is_file() or suffix == ".zip" else Folder
        return super().__new__(cast(type[Self], source))

    def __init__(self, name: str, resolution: int, channels: int, limit: int | None = None) -> None:
        if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
            raise ValueError(f"resolution={resolution} is not possible: give a positive whole number of pixels.")
        if isinstance(channels, bool) or channels not in (1, 3):
            raise ValueError(f"channels={channels} is not possible: give 1 for grey or 3 for colour.")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit={limit} is not possible: give how many images to take, or null for all.")
        self.name, self.resolution, self.channels, self.limit = name, resolution, int(channels), limit
        self.ignored = 0
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.hints: list[str] = []

    def chosen(self, labels: Sequence[int] | np.ndarray | torch.Tensor) -> torch.Tensor:
        """The images that `limit` leaves of all N: ascending indices, balanced over the classes."""
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

    def hold(
        self,
        images: torch.Tensor | None,
        labels: Sequence[int] | np.ndarray | torch.Tensor,
        class_names: Iterable[str],
        sizes: Sequence[tuple[int, int]] | torch.Tensor,
    ) -> None:
        """images: uint8 (N, C, H, W) or None; labels: N integers; sizes: N pairs (width, height) of the originals."""
        self.images = images
        self.labels = torch.as_tensor(labels, dtype=torch.int64)
        self.class_names = list(class_names)
        self.sizes = torch.as_tensor(sizes, dtype=torch.int64).reshape(-1, 2)

    def decode(self, index: int) -> torch.Tensor:
        """One image from its source: uint8 (C, H, W). Not called while images are in memory."""
        raise NotImplementedError(f"{type(self).__name__} keeps no images in memory and defines no decode(index)")

    def identity(self) -> object | None:
        """A value with a stable repr that distinguishes this source without reading its pixels; None if there is none,
        as where all images are in memory."""
        return None

    def version(self) -> object | None:
        """Whatever else must be unchanged for the source to count as already read, such as the time of a file; None if
        only reading all of it can tell."""
        return None

    @property
    def in_memory(self) -> bool:
        return self.images is not None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """uint8 (C, H, W) and a label."""
        label = int(self.labels[index])  # first, for the IndexError that ends a for loop
        return (self.decode(index) if self.images is None else self.images[index].clone()), label

    @staticmethod
    def collate(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """For a DataLoader: `__getitems__` has returned a batch already."""
        return batch

    def __getitems__(self, indices: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (B, C, H, W) and int64 (B,). DataLoader calls this with the indices of one batch."""
        indices = list(indices)
        if self.images is not None:
            return self.images[indices], self.labels[indices]
        return torch.stack([self.decode(index) for index in indices]), self.labels[indices]

    @property
    def preparation(self) -> str:
        """What was done to the images of the source, in a few words."""
        done = [] if (self.sizes[:, 0] == self.sizes[:, 1]).all() else ["centre crop"]
        if (self.sizes.amin(1) != self.resolution).any():
            done.append(f"Lanczos to {self.resolution} px")
        return ", ".join(done) or "as they are"

    def heldout(self) -> "ImageDataset | None":
        """The data set's own held-out images, such as its test split; None if it has none."""
        return None

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the content, every label and pixel: the same in memory and streamed, wherever it is stored."""
        digest = self.begun()
        if self.images is not None:
            digest.update(self.images.contiguous().numpy().data)
            return digest.hexdigest()
        identity = self.fingerprint_identity()
        lasting = self.earlier_fingerprint is not None and self.version() is not None
        known = recall(identity) if lasting else None
        if not isinstance(known, str):
            for pixels in in_order(self.decode, range(len(self))):
                digest.update(pixels.contiguous().numpy().data)
            known = digest.hexdigest()
            if lasting:
                remember(identity, known)
        return known

    def fingerprint_identity(self) -> object:
        """The key of the fingerprint of streamed images in the cache, so that not every start reads all of them."""
        return "fingerprint", self.earlier_fingerprint, self.version(), self.levels and tuple(self.levels)

    def begun(self, labels: Sequence[int] | torch.Tensor | None = None) -> "_Hash":
        """The hash of a fingerprint before the pixels. labels: those of the data set, where they are not yet held."""
        labels = self.labels if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        shape = (len(labels), self.channels, self.resolution, self.resolution)
        digest = hashlib.sha256(repr(shape).encode())
        digest.update(labels.numpy().data)
        return digest

    @cached_property
    def earlier_fingerprint(self) -> str | None:
        """The fingerprint of streamed images of earlier versions: the list of files with their sizes and times (or
        checksums), the labels, and the pixels of 256 evenly spaced images. None without an `identity`."""
        identity = self.identity()
        if identity is None:
            return None
        head = (identity, self.resolution, self.channels)
        chosen = np.linspace(0, len(self) - 1, min(256, len(self))).round().astype(int).tolist()
        digest = hashlib.sha256(repr(head).encode("utf-8", "surrogateescape"))
        digest.update(self.labels.numpy().data)
        digest.update(self.__getitems__(chosen)[0].contiguous().numpy().data)
        return digest.hexdigest()

    def is_same(self, fingerprint: str | None) -> bool:
        """Whether a fingerprint stored by a run, of this version or an earlier one, is that of these images."""
        return fingerprint is not None and fingerprint in (self.fingerprint, self.earlier_fingerprint)

    def describe(self, hints: bool = True) -> str:
        """One line: how many images, which classes, what was done to them and what was left out, with `hints` at the
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
        parts.append(f"kept in memory ({readable(memory)})" if self.in_memory else self.streaming)
        said = [*self.notes, *(self.hints if hints else [])]
        return " ".join(["; ".join(parts), *(f"({note})" for note in said)])

    @property
    def streaming(self) -> str:
        """How images that are not in memory are read, for `describe`."""
        return "streamed from disk"

    def _classes(self) -> str:
        if not self.class_names:
            return "no labels"
        counts = torch.bincount(self.labels, minlength=self.num_classes).tolist()
        named = [f"{printable(name)} {count:,}" for name, count in zip(self.class_names, counts, strict=False)]
        rest = f" and {len(named) - 5:,} more" if len(named) > 5 else ""
        how = f" {self.labelled}" if self.labelled else ""
        return f"{len(named):,} class{'es' if len(named) != 1 else ''} ({', '.join(named[:5])}{rest}){how}"

    def _origin(self) -> str:
        same = bool((self.sizes == self.sizes[0]).all())
        width, height = self.sizes.median(0).values.tolist()
        if same and (width, height) == (self.resolution, self.resolution):
            return " as they are"
        crop = ", centre crop" if (self.sizes[:, 0] != self.sizes[:, 1]).any() else ""
        lanczos = ", Lanczos" if (self.sizes.amin(1) != self.resolution).any() else ""
        return f" from {width}x{height}{'' if same else ' median'}{crop}{lanczos}"


def evenly(labels: torch.Tensor, count: int) -> torch.Tensor:
    """Ascending indices of `count` images, balanced over the classes of labels (N,) as far as they go.

    They are the first of a fixed order, so a larger count only adds images.
    """
    generator, classes = torch.Generator().manual_seed(0), labels.unique()
    order = torch.empty_like(labels)  # first one image of every class, then a second one...
    for i, label in enumerate(classes):
        members = (labels == label).nonzero().flatten()
        places = torch.arange(len(members)) * len(classes) + i
        order[members[torch.randperm(len(members), generator=generator)]] = places
    return order.argsort()[:count].sort().values


def printable(name: str) -> str:
    """A name with control characters escaped, on one line."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def readable(size: int) -> str:
    """A number of bytes to read: 59 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}" if size < 10 * factor else f"{size / factor:,.0f} {unit}"
    return f"{size} bytes"
