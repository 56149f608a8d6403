"""A published data set of small images in whichever form it is at hand: its own files, unpacked or in an archive, or a
folder or zip of single images with a folder per class."""

import hashlib
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from transgan.data.arrays import Arrays
from transgan.data.dataset import ImageDataset
from transgan.data.file import NothingThere
from transgan.data.files import Files
from transgan.data.folder import Folder
from transgan.data.listing import image_suffixes, is_hidden, is_image
from transgan.data.members import PACKED
from transgan.data.zip import Zip
from transgan.files import expanded


class Content(NamedTuple):
    """All images of one split. pixels: uint8 (N, H, W) or (N, H, W, 3); labels: int64 (N,)."""

    pixels: np.ndarray
    labels: np.ndarray
    class_names: list[str]


class AnyForm(Arrays):
    """Base class. A subclass says what is published, and defines `published` and, where it can, `fetched`.

    path: of the published archive, of its unpacked folder or of a folder that holds either, or of a folder or zip of
    images with a folder per class, also below train and test; where there is nothing, the data set is downloaded to it.
    order: of the images. content: by their pixels, the same for every form, so that equal images are the same data set;
    published: as in the published files, which single images do not tell. None: published where it is known.
    """

    title: ClassVar[str]
    side: ClassVar[int]  # pixels of the images
    depth: ClassVar[int]  # channels
    counts: ClassVar[tuple[int, int]]  # of the training and the test images
    names: ClassVar[tuple[str, ...]]  # of the classes
    aliases: ClassVar[dict[str, int]] = {}  # other names in use, in lower case
    digests: ClassVar[tuple[str, ...]] = ()  # of the pixels and labels of each split, see `ranked`
    ways: ClassVar[str]  # which forms there are, for errors

    def __init__(
        self,
        name: str,
        path: str | Path,
        resolution: int,
        channels: int,
        train: bool,
        download: bool,
        limit: int | None,
        order: str | None,
    ) -> None:
        super().__init__(name if train else f"{name} test", resolution, channels, limit)
        if order not in (None, "content", "published"):
            raise ValueError(f"data.order={order} is not possible: give content or published.")
        self.root, self.train, self.download, self.order = path, train, download, order
        root = expanded(path).absolute()
        if root.suffix.lower() in PACKED and not root.exists():
            raise NothingThere(f"There is nothing at '{path}': ", {"data.path": self.ways})
        root = self._zip_in(root) or root
        content = self.published(root) if root.exists() else None
        single = content is None and root.exists() and (root.is_file() or has_images(root))
        if content is None:
            content = self.single(root) if single else self.fetched(root, download)
        ranks, digest = ranked(content.pixels, content.labels)
        if single and order == "published":
            raise ValueError(
                f"data.order=published is not possible: single images as in {path} do not tell it; leave it out."
            )
        if single or order == "content":
            content = content._replace(pixels=content.pixels[ranks], labels=content.labels[ranks])
        self._compare(len(content.labels), digest)
        self.take(*content)

    def _zip_in(self, root: Path) -> Path | None:
        """A zip of this data set by its name, such as cifar10-train.zip, in a folder; None without one."""
        known = re.sub(r"[^a-z0-9]", "", self.title.lower())
        names = {re.sub(r"[^a-z0-9]", "", path.stem.lower()): path for path in sorted(root.glob("*.zip"))}
        return names.get(f"{known}train", names.get(known)) if root.is_dir() else None

    def published(self, root: Path) -> Content | None:
        """What the published files hold in a folder or an archive; None without any of them. Raises ValueError if some
        of them are missing or damaged, or if a file is no archive."""
        raise NotImplementedError(f"{type(self).__name__} defines no published(root)")

    def fetched(self, root: Path, download: bool) -> Content:
        """The published files after a download to a folder. Raises FileNotFoundError if that is not allowed."""
        raise NotImplementedError(f"{type(self).__name__} defines no fetched(root, download)")

    def single(self, root: Path) -> Content:
        """Single images of a folder or a zip. Raises ValueError if they are those of another data set."""
        source = self._part(root)
        wrong = (source.sizes != self.side).any(1).nonzero().flatten().tolist()
        found = [self._classes_of(source)] if source.class_names else ["has no folder per class"]
        if wrong:
            width, height = source.sizes[wrong[0]].tolist()
            found.append(
                f"has {len(wrong):,} of {len(source):,} images that are not {self.side}x{self.side} (the first, "
                f"{source.files[wrong[0]].name}, is {width}x{height})"
            )
        if found := [each for each in found if each]:
            raise ValueError(
                f"{source.path} {' and '.join(found)}, so it is not {self.title}: {self.ways}; images of any size and "
                f"classes are for data={'zip' if isinstance(source, Zip) else 'folder'}."
            )
        self.ignored, self.others, self.notes = source.ignored, source.others, list(source.notes)
        assert source.images is not None
        pixels = source.images.permute(0, 2, 3, 1).numpy()
        numbers = np.array([self._number(name) for name in source.class_names])
        return Content(pixels[..., 0] if self.depth == 1 else pixels, numbers[source.labels.numpy()], list(self.names))

    def _classes_of(self, source: Files) -> str:
        """What is wrong with the classes, as the end of a sentence; "" if they are those of this data set."""
        names = source.class_names
        numbers = {name: self._number(name) for name in names}
        unknown = [name for name in names if numbers[name] is None]
        missing = [name for k, name in enumerate(self.names) if k not in numbers.values()]
        twice = [
            name for name in names if numbers[name] is not None and list(numbers.values()).count(numbers[name]) > 1
        ]
        said = [f"other classes ({listed(unknown)})"] if unknown else []
        said += [f"no class {listed(missing)}"] if missing else []
        said += [f"a class twice ({listed(twice)})"] if twice else []
        return "has " + " and ".join(said) if said else ""

    def _number(self, folder: str) -> int | None:
        """The class that a folder is named after: airplane, 0, 0_airplane or 0 - Airplane."""
        digits, word = re.sub(r"\D.*", "", folder), re.sub(r"[^a-z]", "", folder.lower())
        known = {re.sub(r"[^a-z]", "", name.lower()): k for k, name in enumerate(self.names)} | self.aliases
        known.pop("", None)
        if word:
            return known.get(word)
        return int(digits) if digits == folder and int(digits) < len(self.names) else None

    def _part(self, root: Path) -> Files:
        """The single images of this split: below train or test, or beside each other as x-train and x-test."""

        def source(path: Path, folder: type[Files] = Folder, archive: type[Files] = Zip) -> Files:
            return (folder if path.is_dir() else archive)(path, self.side, self.depth, in_memory=True)

        if root.is_file() and not zipfile.is_zipfile(root):
            raise ValueError(f"{root} holds no file of {self.title}: {self.ways}.")
        if self.train:
            return source(root)
        try:
            return source(root, TestFolder, TestZip)
        except NoTestPart:
            beside = root.with_name(re.sub("(?i)train(ing)?", "test", root.name))
            if not beside.exists() or beside == root and not re.search("(?i)test", root.name):
                raise
            return source(beside)

    def _compare(self, count: int, digest: str) -> None:
        """Notes where the images are not all of those published, or others."""
        split, expected = ("training" if self.train else "test"), self.counts[not self.train]
        if count != expected:
            self.notes.append(f"{self.title} has {expected:,} {split} images, and here are {count:,}.")
        elif self.digests and digest != self.digests[not self.train]:
            self.notes.append(
                f"The pixels are not those that {self.title} was published with: changed, or saved with loss."
            )

    def heldout(self) -> ImageDataset | None:
        """The test split, under the same order; None where it is not there."""
        if not self.train:
            return None
        options = {"train": False, "download": self.download, "order": self.order}
        try:
            return type(self)(self.root, self.resolution, self.channels, **options)  # type: ignore[arg-type]
        except OSError:
            return None


class NoTestPart(FileNotFoundError):
    """A folder or zip of images has no part to test on."""


class TestPart(Files):
    """Takes the part to test on."""

    __test__ = False

    def _take_training_part(self) -> None:
        super()._take_training_part()
        folder = self.test_part()
        if folder is None:
            raise NoTestPart(f"{self.path} has no part named test, and there is none beside it.")
        self.files, self.notes, self.hints = self.left[folder], [], []


class TestFolder(TestPart, Folder):
    """Of a folder."""


class TestZip(TestPart, Zip):
    """Of a zip."""


def has_images(folder: Path) -> bool:
    """Whether there is an image below a folder."""
    suffixes = image_suffixes()
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if not is_hidden(name)]
        if any(is_image(name, suffixes) and not is_hidden(name) for name in names):
            return True
    return False


def ranked(pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, str]:
    """The order of N images by content, int64 (N,), and the hex SHA-256 of all of them, whatever their order."""
    hashes = [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for label, image in zip(labels.tolist(), pixels, strict=True)
    ]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return np.array(order, np.int64), hashlib.sha256(b"".join(hashes[i] for i in order)).hexdigest()


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
