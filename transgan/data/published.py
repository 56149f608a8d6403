"""Data sets that are published as files, in torchvision's folder layout: CelebA, ImageNet and LSUN."""

import os
import re
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from transgan.data.archives import Archive, obtain, unpack
from transgan.data.dataset import ImageDataset
from transgan.data.file import File
from transgan.data.files import Files
from transgan.data.folder import Folder, stamp


class CelebA(Folder):
    """CelebA (Liu et al., 2015): aligned faces, 178x218, without labels, cropped to the centre and resized.

    split: train (162,770 images), valid (19,867), test (19,962) or all, by list_eval_partition.txt. `path` is the
    folder of img_align_celeba and that list, or of a folder `celeba` with both; what is missing is downloaded into it.
    """

    PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    IMAGES, LIST = "img_align_celeba", "list_eval_partition.txt"

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        channels: int = 3,
        split: str = "train",
        download: bool = True,
        on_error: str = "raise",
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
    ) -> None:
        splits = ("train", "valid", "test", "all")
        if split not in splits:
            raise ValueError(f"split={split} is not possible: give one of {', '.join(splits)}.")
        self.root, self.split = path, split
        root = Path(path).expanduser().absolute()
        root = root / "celeba" if (root / "celeba").is_dir() else root
        if not (root / self.IMAGES).exists():
            unpack(root, self.archive(f"{self.IMAGES}.zip"), self.IMAGES, download)
        self.names = None if split == "all" else self.names_of(splits.index(split), root, download)
        super().__init__(root / self.IMAGES, resolution, channels, on_error, in_memory, limit, labels="none")
        self.name = f"celeba {split}"

    def archive(self, filename: str) -> Archive:
        from torchvision.datasets import CelebA as Source

        drive, md5 = next((drive, md5) for drive, md5, name in Source.file_list if name == filename)
        if filename == self.LIST:
            return Archive("CelebA", filename, md5, self.PAGE, "3 MB", drive)
        return Archive("CelebA", filename, md5, f"{self.PAGE}, where {self.LIST} is, too", "1.4 GB", drive)

    def names_of(self, number: int, root: Path, download: bool) -> set[str]:
        """The file names of a split: 0 train, 1 valid, 2 test."""
        path = root / "list_eval_partition.csv"  # as Kaggle has it
        if not path.exists():
            path = obtain(root, self.archive(self.LIST), download)
        lines = (re.split(r"[\s,]+", line.strip()) for line in path.read_text().splitlines())
        return {line[0] for line in lines if line[1:] == [str(number)]}

    def find(self) -> list[File]:
        files = super().find()
        if self.names is None:
            return files
        files = [file for file in files if os.path.basename(file[0]) in self.names]
        if len(files) != len(self.names):
            raise ValueError(
                f"{self.path} has {len(files):,} of the {len(self.names):,} images of CelebA's {self.split} split: "
                f"unpack {self.IMAGES}.zip anew, or take what there is with data.split=all."
            )
        return files

    def heldout(self) -> ImageDataset | None:
        if self.split != "train":
            return None
        return CelebA(self.root, self.resolution, self.channels, "test", False, in_memory=self.in_memory)


class ImageNet(Folder):
    """ImageNet (ILSVRC 2012): 1,281,167 photographs (train=False: the 50,000 of the validation split) in 1,000 classes.

    `path` is the folder of train and val, each with a folder per class such as n01440764; a subset of classes suffices.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        channels: int = 3,
        train: bool = True,
        on_error: str = "raise",
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
    ) -> None:
        self.root, self.train = path, train
        root = Path(path).expanduser().absolute()
        split = "train" if train else "val"
        folder = root / split
        if not folder.is_dir() or not any(is_synset(entry.name) for entry in os.scandir(folder)):
            raise FileNotFoundError(
                f"ImageNet is not in {folder}: get ILSVRC2012_img_{split}.tar from "
                "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php (it asks for an account) and unpack it "
                "there, with a folder per class such as n01440764; data.path=<path> names another place."
            )
        super().__init__(folder, resolution, channels, on_error, in_memory, limit, labels="folders")
        self.name = "imagenet" if train else "imagenet val"

    def heldout(self) -> ImageDataset | None:
        if not self.train or not (Path(self.root).expanduser() / "val").is_dir():
            return None
        return ImageNet(self.root, self.resolution, self.channels, False, in_memory=self.in_memory)


def is_synset(name: str) -> bool:
    return re.fullmatch(r"n\d{8}", name) is not None


class Lsun(Files):
    """LSUN (Yu et al., 2015): photographs of one category, such as church_outdoor (126,227) or bedroom (3,033,042),
    read in place from a database (train=False: the 300 of the validation split).

    `path` is the folder of church_outdoor_train_lmdb and the like. Requires the package lmdb.
    """

    kind = "folder"

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        channels: int = 3,
        category: str = "church_outdoor",
        train: bool = True,
        on_error: str = "raise",
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
    ) -> None:
        self.root, self.category, self.train = path, category, train
        name = f"{category}_{'train' if train else 'val'}_lmdb"
        folder = Path(path).expanduser().absolute() / name
        if not (folder / "data.mdb").is_file():
            raise FileNotFoundError(
                f"LSUN is not in {folder}: get http://dl.yf.io/lsun/scenes/{name}.zip and unpack it so that "
                f"{folder / 'data.mdb'} exists; data.category and data.path=<path> name others."
            )
        super().__init__(folder, resolution, channels, on_error, in_memory, limit, labels="none")
        self.name = f"lsun {category}" if train else f"lsun {category} val"

    def find(self) -> list[File]:
        with database(self.path).begin() as reader:
            return [File(key.decode(), key, None) for key in reader.cursor().iternext(values=False)]

    def images_among(self, files: list[File]) -> list[File]:
        return files

    def version(self) -> object | None:
        return stamp(self.path / "data.mdb")

    def read(self, place: bytes) -> bytes:
        with database(self.path).begin() as reader:
            return reader.get(place) or b""

    def heldout(self) -> ImageDataset | None:
        folder = Path(self.root).expanduser() / f"{self.category}_val_lmdb"
        if not self.train or not folder.is_dir():
            return None
        return Lsun(self.root, self.resolution, self.channels, self.category, False, in_memory=self.in_memory)


OPEN: dict[
    Path, tuple[int, Any]
] = {}  # path: (process, database); lmdb opens a path once per process, not across forks
LOCK = Lock()


def database(path: Path) -> Any:
    """The LMDB at a path, opened for reading."""
    try:
        import lmdb
    except ImportError as error:
        raise ValueError("LSUN is a database that requires the package lmdb: pip install lmdb") from error
    with LOCK:
        process, base = OPEN.get(path, (None, None))
        if process != os.getpid():
            if base is not None:
                base.close()
            try:
                base = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_readers=512)
            except lmdb.Error as error:
                raise ValueError(f"{path} is not a database that lmdb can read ({error}): unpack it anew.") from error
            OPEN[path] = os.getpid(), base
        return base
