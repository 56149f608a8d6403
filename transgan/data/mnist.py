"""MNIST and Fashion-MNIST: their IDX files, compressed or not, also in an archive, or their images one by one."""

import gzip
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transgan.data.archives import Archive, obtain
from transgan.data.forms import AnyForm, Content
from transgan.data.members import Member, first, members

KINDS = ("images-idx3", "labels-idx1")


class Mnist(AnyForm):
    """MNIST: 60,000 handwritten digits (train=False: the 10,000 test images), 28x28 grey, 10 classes.

    path: the folder of train-images-idx3-ubyte.gz and the other files, compressed or not, or of MNIST/raw, where
    torchvision keeps them; an archive of them; or a folder or zip of images with a folder per class. What is missing is
    downloaded to it.
    """

    source, title, size = "MNIST", "MNIST", "12 MB"
    side, depth, counts, names = 28, 1, (60_000, 10_000), tuple("0123456789")
    aliases: ClassVar[dict[str, int]] = {
        word: k for k, word in enumerate("zero one two three four five six seven eight nine".split())
    }
    ways = (
        "data.path= takes the folder or an archive of train-images-idx3-ubyte.gz and the other files, or a folder or "
        "zip of its images as they are, with a folder per class"
    )

    def __init__(
        self,
        path: str | Path,
        resolution: int = 28,
        channels: int = 1,
        train: bool = True,
        download: bool = True,
        limit: int | None = None,
        order: str | None = None,
    ) -> None:
        super().__init__(self.source.lower(), path, resolution, channels, train, download, limit, order)

    @property
    def folders(self) -> tuple[str, ...]:
        """Where the files are below a folder."""
        return f"{self.source}/raw", "raw"

    def files(self, kind: str) -> list[str]:
        """The names that a file goes by."""
        part = "train" if self.train else "t10k"
        return [f"{part}-{kind}-ubyte", f"{part}-{kind}-ubyte.gz", *self.others_of(part, kind)]

    @staticmethod
    def others_of(part: str, kind: str) -> list[str]:
        name, number = kind.split("-")
        return [f"{part}-{name}.{number}-ubyte", f"{part}-{name}.{number}-ubyte.gz"]

    def published(self, root: Path) -> Content | None:
        if root.is_file() and "-ubyte" in root.name:
            root = root.parent
        wanted = [self.files(kind) for kind in KINDS]
        found = members(root, wanted, self.folders)
        if not any(found):
            return None
        if not all(found):
            if root.is_dir():
                return self.fetched(root, self.download)
            missing = [names[1] for names, member in zip(wanted, found, strict=True) if member is None]
            raise ValueError(f"{root} is incomplete ({', '.join(missing)} is missing): fetch it again.")
        return self.content(*(self.array(member) for member in found if member is not None))

    def fetched(self, root: Path, download: bool) -> Content:
        arrays = []
        for kind in KINDS:
            places = [
                folder / name for folder in (root, *(root / f for f in self.folders)) for name in self.files(kind)
            ]
            member = first(places)
            if member is None:
                path = obtain(root, self.archive(kind), download)
                member = Member(str(path), path.read_bytes())
            arrays.append(self.array(member))
        return self.content(*arrays)

    def archive(self, kind: str) -> Archive:
        name, source = f"{'train' if self.train else 't10k'}-{kind}-ubyte.gz", self.torchvision
        return Archive(self.title, name, dict(source.resources)[name], f"{source.mirrors[0]}{name}", self.size)

    @property
    def torchvision(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, self.source)

    @staticmethod
    def array(member: Member) -> np.ndarray:
        """The array of one IDX file: (N, H, W) images or (N,) labels."""
        data = member.data
        if data[:2] == b"\x1f\x8b" or member.place.split(" in ")[0].endswith(".gz"):
            try:
                data = gzip.decompress(data)
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(f"{member.place} is damaged ({error}): delete it, or fetch it again.") from error
        shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])] if len(data) > 3 else []
        head = 4 + 4 * len(shape)
        if data[:3] != b"\0\0\x08" or not shape or len(data) != head + np.prod(shape):  # 0, 0, type, number of axes
            raise ValueError(f"{member.place} is incomplete or damaged: delete it, and start again.")
        return np.frombuffer(data, np.uint8, offset=head).reshape(shape)

    def content(self, pixels: np.ndarray, labels: np.ndarray) -> Content:
        if pixels.shape != (len(labels), 28, 28) or labels.ndim != 1 or not len(labels) or labels.max() > 9:
            raise ValueError(
                f"{self.root} holds images {pixels.shape} with labels {labels.shape}, so it is not {self.title}: "
                f"{self.ways}."
            )
        return Content(pixels, labels.astype(np.int64), list(self.names))


class FashionMnist(Mnist):
    """Fashion-MNIST (Xiao et al., 2017): clothes in the format of MNIST."""

    source, title, size = "FashionMNIST", "Fashion-MNIST", "30 MB"
    names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    digests = (
        "0c69d5cdeb902b69084012f812f066de080317bb3c64f43ca87f910d8ec86906",
        "90c92c0507755a7d443edde8297ce4d0f131e42884e2e87e7fc9b81ffe215258",
    )
    aliases: ClassVar[dict[str, int]] = {"tshirt": 0, "top": 0, "trousers": 1, "boot": 9}
