"""Images of a data set's own part to measure against that are also trained on, for the beginning of training."""

import hashlib
from collections.abc import Collection
from typing import Any

import torch

from transgan.data.checking import in_order
from transgan.data.dataset import ImageDataset, printable
from transgan.data.decode import decode
from transgan.data.file import File
from transgan.data.files import Files, Zipped

FEW = 2_000  # images of a part that are decoded; of more, and where training streams, files are compared
READ = 2**30  # bytes to read at most


def leaks(dataset: ImageDataset, known: Collection[bytes]) -> list[str]:
    """A sentence on those images, or none. known: digests of all images to train on, where they are in memory.

    By pixels, or else by the bytes of files that have the same size, where they are not too large to read.
    """
    folder = dataset.test_part() if isinstance(dataset, Files) else None
    if folder is None or not isinstance(dataset, Files):
        return []
    part = dataset.left[folder]
    if known and len(part) <= FEW:
        both = sum(each in known for each in in_order(lambda file: pixels_of(dataset, file), part))
    else:
        both = same_files(dataset, part)
    return [also_trained_on(both, len(part), f"images in {printable(folder)}")] if both else []


def also_trained_on(both: int, count: int, what: str) -> str:
    return f"{both:,} of {count:,} {what} {'are' if both > 1 else 'is'} also trained on"


def digest(image: torch.Tensor) -> bytes:
    return hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()


def pixels_of(dataset: Files, file: File) -> bytes | None:
    """The digest of an image as training would see it; None of one that cannot be read."""
    try:
        data = dataset.read(file.place)
        return digest(decode(data, dataset.resolution, dataset.channels, dataset.levels)[0])
    except Exception:  # noqa: BLE001 - of damaged files many kinds, which `data check` names
        return None


def same_files(dataset: Files, part: list[File]) -> int:
    """How many files of a part have the bytes of one to train on. A zip lists checksums; of a folder sizes alone are
    known before."""

    def key(file: File) -> Any:
        return file.stamp if dataset.kind == Zipped else size(file)

    def content(file: File) -> bytes | None:
        try:
            return hashlib.blake2b(dataset.read(file.place), digest_size=16).digest()
        except Exception:  # noqa: BLE001 - as above
            return None

    both = {key(file) for file in dataset.files} & {key(file) for file in part}
    own, others = ([file for file in files if key(file) in both] for files in (dataset.files, part))
    if sum(map(size, [*own, *others])) > READ:
        return 0
    known = set(in_order(content, own)) - {None}
    return sum(each in known for each in in_order(content, others))


def size(file: File) -> int:
    """In bytes, as it is listed; 0 of a link to nowhere."""
    stamp: Any = file.stamp
    return stamp[0] if stamp else 0
