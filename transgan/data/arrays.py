"""Images that come as arrays, with a library or from its download: digits, MNIST, Fashion-MNIST, CIFAR-10, STL-10."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .archives import Archive, obtain, unpack
from .checking import fits, progress
from .dataset import ImageDataset
from .decode import to_image


class Arrays(ImageDataset):
    """Base class. A subclass calls `take` once with all its images, as many as there are labels."""

    def take(self, pixels, labels, class_names, in_memory=True):
        """pixels[i]: uint8 (H, W) or (H, W, 3), all of one size, here or in a file; labels: N integers."""
        chosen = self.chosen(labels)
        keep = fits(len(chosen) * self.channels * self.resolution**2) if in_memory == "auto" else in_memory
        height, width = pixels[0].shape[:2]
        self.pixels, self.indices, images = pixels, chosen, None
        if keep:
            every = progress((self.decode(i) for i in range(len(chosen))), len(chosen))
            images = torch.stack(list(every))
            self.pixels = None
        labels = torch.as_tensor(np.array(labels), dtype=torch.int64)[chosen]
        self.hold(images, labels, class_names, [(width, height)] * len(chosen))

    def decode(self, index):
        return to_image(Image.fromarray(self.pixels[int(self.indices[index])]), self.resolution, self.channels)

    def identity(self):
        return self.name, hashlib.sha256(self.indices.numpy().tobytes()).hexdigest()


class Digits(Arrays):
    """1,797 handwritten digits of 8x8 pixels and 16 grays, part of scikit-learn: no download, for first steps."""

    def __init__(self, resolution=8, channels=1, limit=None):
        super().__init__("digits", resolution, channels, limit)
        from sklearn.datasets import load_digits  # here, because it takes a second

        digits = load_digits()
        self.take(np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target, map(str, range(10)))


class Mnist(Arrays):
    """MNIST: 60,000 handwritten digits (train=False: 10,000 others), 28x28 gray, 10 classes.

    `path` is the folder that holds, or will hold, train-images-idx3-ubyte.gz and the like, packed or not; MNIST/raw
    below it, where torchvision puts them, will do.
    """

    source, title, size = "MNIST", "MNIST", "12 MB"

    def __init__(self, path, resolution=28, channels=1, train=True, download=True, limit=None):
        name = self.source.lower()
        super().__init__(name if train else f"{name} test", resolution, channels, limit)
        from torchvision import datasets

        self.root, self.train = path, train
        source = getattr(datasets, self.source)
        images, labels = (self.read(source, kind, download) for kind in ("images-idx3", "labels-idx1"))
        self.take(images, labels, [name.split(" - ")[0] for name in source.classes])  # "0 - zero"

    def read(self, source, kind, download):
        """The numbers of one file: three dimensions of images, or one of labels."""
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

    def heldout(self):
        return type(self)(self.root, self.resolution, self.channels, False, False) if self.train else None


class FashionMnist(Mnist):
    """Fashion-MNIST (Xiao et al., 2017): clothes in the format of MNIST."""

    source, title, size = "FashionMNIST", "Fashion-MNIST", "30 MB"


class Cifar10(Arrays):
    """CIFAR-10: 50,000 images to train on (train=False: 10,000 others), 32x32, 10 classes.

    `path` is the folder that holds, or will hold, cifar-10-batches-py.
    """

    def __init__(self, path, resolution=32, channels=3, train=True, download=True, limit=None):
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

    def heldout(self):
        return Cifar10(self.root, self.resolution, self.channels, train=False, download=False) if self.train else None


class Stl10(Arrays):
    """STL-10 (Coates et al., 2011), 96x96. split: train+unlabeled (105,000 images without labels, what GAN papers train
    on), unlabeled (100,000), train (5,000 in 10 classes) or test (8,000 in 10 classes).

    `path` is the folder that holds, or will hold, stl10_binary.
    """

    def __init__(
        self, path, resolution=96, channels=3, split="train+unlabeled", download=True, in_memory="auto", limit=None
    ):
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
            labels, names = np.zeros(len(pixels), np.int64), []
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

    def version(self):
        folder = Path(self.root).expanduser().absolute() / "stl10_binary"
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.bin"))]

    def heldout(self):
        if self.split == "test":
            return None
        return Stl10(self.root, self.resolution, self.channels, "test", download=False, in_memory=self.in_memory)


class Rows:
    """STL-10's files in a row: 3 x 96 x 96 bytes an image, colour by colour and column by column."""

    def __init__(self, files):
        self.parts = [file.reshape(-1, 3, 96, 96) for file in files]

    def __len__(self):
        return sum(map(len, self.parts))

    def __getitem__(self, index):
        for part in self.parts:
            if index < len(part):
                return np.ascontiguousarray(part[index].transpose(2, 1, 0))
            index -= len(part)
        raise IndexError(index)
