"""Images that come as arrays, with a library or from its download: digits and STL-10."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from PIL import Image

from transgan.data.archives import Archive, unpack
from transgan.data.checking import progress
from transgan.data.dataset import ImageDataset
from transgan.data.decode import to_image
from transgan.data.free_memory import fits
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
