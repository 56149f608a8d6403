"""Images that come as arrays, with a library or from its download: digits, MNIST, Fashion-MNIST, CIFAR-10, STL-10."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from PIL import Image

from transgan.data.archives import Archive, obtain, unpack
from transgan.data.checking import fits, progress
from transgan.data.dataset import ImageDataset
from transgan.data.decode import to_image
from transgan.files import hash_of


class Pixels(Protocol):
    """Images by number: an array, or files mapped into memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


class Arrays(ImageDataset):
    """Base class of data sets whose images are arrays of one size. A subclass calls `take` once, with all of them."""

    pixels: Pixels | None
    indices: torch.Tensor

    def take(
        self,
        pixels: Pixels,
        labels: Sequence[int] | np.ndarray,
        class_names: Iterable[str],
        in_memory: bool | Literal["auto"] = True,
    ) -> None:
        """pixels[i]: uint8 (H, W) or (H, W, 3), in memory or in a file; labels: N integers."""
        chosen = self.chosen(labels)
        keep = fits(len(chosen) * self.channels * self.resolution**2) if in_memory == "auto" else in_memory
        height, width = pixels[0].shape[:2]
        self.pixels, self.indices, images = pixels, chosen, None
        if keep:
            every = progress((self.decode(i) for i in range(len(chosen))), len(chosen))
            images = torch.stack(list(every))
            self.pixels = None
        kept = torch.as_tensor(np.array(labels), dtype=torch.int64)[chosen]
        self.hold(images, kept, class_names, [(width, height)] * len(chosen))

    def decode(self, index: int) -> torch.Tensor:
        assert self.pixels is not None, "images in memory are not decoded"
        return to_image(Image.fromarray(self.pixels[int(self.indices[index])]), self.resolution, self.channels)

    def identity(self) -> tuple[str, str]:
        return self.name, hash_of(self.indices.numpy().tobytes())


class Digits(Arrays):
    """1,797 handwritten digits of 8x8 pixels and 17 grey levels, shipped with scikit-learn: no download."""

    def __init__(self, resolution: int = 8, channels: int = 1, limit: int | None = None) -> None:
        super().__init__("digits", resolution, channels, limit)
        from sklearn.datasets import load_digits  # imported late: it takes a second

        digits = load_digits()
        self.take(np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target, map(str, range(10)))


class Mnist(Arrays):
    """MNIST: 60,000 handwritten digits (train=False: the 10,000 test images), 28x28 grey, 10 classes.

    `path` is the folder of train-images-idx3-ubyte.gz and the other files, compressed or not, or of MNIST/raw, where
    torchvision keeps them. What is missing is downloaded into it.
    """

    source, title, size = "MNIST", "MNIST", "12 MB"

    def __init__(
        self,
        path: str | Path,
        resolution: int = 28,
        channels: int = 1,
        train: bool = True,
        download: bool = True,
        limit: int | None = None,
    ) -> None:
        name = self.source.lower()
        super().__init__(name if train else f"{name} test", resolution, channels, limit)
        from torchvision import datasets

        self.root, self.train = path, train
        source = getattr(datasets, self.source)
        images, labels = (self.read(source, kind, download) for kind in ("images-idx3", "labels-idx1"))
        self.take(images, labels, [name.split(" - ")[0] for name in source.classes])  # "0 - zero"

    def read(self, source: Any, kind: str, download: bool) -> np.ndarray:
        """The array of one IDX file: (N, H, W) images or (N,) labels. source: the data set's class in torchvision."""
        root = Path(self.root).expanduser().absolute()
        name = f"{'train' if self.train else 't10k'}-{kind}-ubyte"
        places = [folder / f for folder in (root, root / self.source / "raw") for f in (name, f"{name}.gz")]
        path = next((place for place in places if place.exists()), None)
        if path is None or path.suffix == ".gz":
            md5 = dict(source.resources)[f"{name}.gz"]
            archive = Archive(self.title, f"{name}.gz", md5, f"{source.mirrors[0]}{name}.gz", self.size)
            path = obtain(root if path is None else path.parent, archive, download)
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]  # IDX: 0, 0, type, axes
        if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * len(shape) + np.prod(shape):
            raise ValueError(f"{path} is incomplete or damaged: delete it, and start again.")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)

    def heldout(self) -> ImageDataset | None:
        return type(self)(self.root, self.resolution, self.channels, False, False) if self.train else None


class FashionMnist(Mnist):
    """Fashion-MNIST (Xiao et al., 2017): clothes in the format of MNIST."""

    source, title, size = "FashionMNIST", "Fashion-MNIST", "30 MB"


class Cifar10(Arrays):
    """CIFAR-10: 50,000 training images (train=False: the 10,000 test images), 32x32, 10 classes.

    `path` is the folder of cifar-10-batches-py, which is downloaded into it if it is missing.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int = 32,
        channels: int = 3,
        train: bool = True,
        download: bool = True,
        limit: int | None = None,
    ) -> None:
        super().__init__("cifar10" if train else "cifar10 test", resolution, channels, limit)
        from torchvision.datasets import CIFAR10

        self.root, self.train = path, train
        root = Path(path).expanduser().absolute()
        if not (root / CIFAR10.base_folder).exists():
            archive = Archive("CIFAR-10", CIFAR10.filename, CIFAR10.tgz_md5, CIFAR10.url, "170 MB")
            unpack(root, archive, CIFAR10.base_folder, download)
        try:
            source = CIFAR10(root, train=train)
        except RuntimeError as error:
            raise ValueError(
                f"{root / CIFAR10.base_folder} is incomplete or damaged: delete it, and start again to unpack it anew."
            ) from error
        self.take(source.data, source.targets, source.classes)

    def heldout(self) -> ImageDataset | None:
        return Cifar10(self.root, self.resolution, self.channels, train=False, download=False) if self.train else None


class Stl10(Arrays):
    """STL-10 (Coates et al., 2011), 96x96. split: train+unlabeled (105,000 images without labels, as in GAN papers),
    unlabeled (100,000), train (5,000 in 10 classes) or test (8,000 in 10 classes).

    `path` is the folder of stl10_binary, which is downloaded into it if it is missing.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int = 96,
        channels: int = 3,
        split: str = "train+unlabeled",
        download: bool = True,
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
    ) -> None:
        super().__init__(f"stl10 {split}", resolution, channels, limit)
        from torchvision.datasets import STL10

        if split not in STL10.splits:
            raise ValueError(f"split={split} is not possible: give one of {', '.join(STL10.splits)}.")
        self.root, self.split = path, split
        root = Path(path).expanduser().absolute()
        if not (root / STL10.base_folder).exists():
            archive = Archive("STL-10", STL10.filename, STL10.tgz_md5, STL10.url, "2.6 GB")
            unpack(root, archive, STL10.base_folder, download)
        folder = root / STL10.base_folder
        try:
            pixels = Rows([np.memmap(folder / f"{part}_X.bin", np.uint8, "r") for part in split.split("+")])
            labels, names = np.zeros(len(pixels), np.int64), list[str]()
            if "unlabeled" not in split:
                labels = np.fromfile(folder / f"{split}_y.bin", np.uint8).astype(np.int64) - 1
                names = (folder / STL10.class_names_file).read_text().split()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{folder} is incomplete or damaged: delete it, and start again to unpack it anew ({error})."
            ) from error
        if len(labels) != len(pixels):
            raise ValueError(f"{folder} is incomplete or damaged: delete it, and start again to unpack it anew.")
        self.take(pixels, labels, names, in_memory)

    def version(self) -> list[tuple[str, int, int]]:
        folder = Path(self.root).expanduser().absolute() / "stl10_binary"
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.bin"))]

    def heldout(self) -> ImageDataset | None:
        if self.split == "test":
            return None
        return Stl10(self.root, self.resolution, self.channels, "test", download=False, in_memory=self.in_memory)


class Rows:
    """STL-10's files one after another: 3 x 96 x 96 bytes an image, channel by channel and column by column."""

    def __init__(self, files: list[np.ndarray]) -> None:
        self.parts = [file.reshape(-1, 3, 96, 96) for file in files]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> np.ndarray:
        for part in self.parts:
            if index < len(part):
                return np.ascontiguousarray(part[index].transpose(2, 1, 0))
            index -= len(part)
        raise IndexError(index)
