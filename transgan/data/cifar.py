"""CIFAR-10: its archive for Python or its binary one, unpacked or not, or its images one by one."""

import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from transgan.data.archives import Archive, unpack
from transgan.data.forms import AnyForm, Content
from transgan.data.members import Member, members

BINARY, BINARY_FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"


class Cifar10(AnyForm):
    """CIFAR-10 (Krizhevsky, 2009): 50,000 training images (train=False: the 10,000 test images), 32x32, 10 classes.

    path: cifar-10-python.tar.gz or cifar-10-binary.tar.gz, the folder of either, unpacked or not, or a folder or zip of
    images with a folder per class. Where there is nothing, the archive is downloaded to it.
    """

    title, side, depth, counts = "CIFAR-10", 32, 3, (50_000, 10_000)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    aliases: ClassVar[dict[str, int]] = {"plane": 0, "aeroplane": 0, "car": 1, "auto": 1}
    digests = (
        "d59acf989e068e709ce686cda292672c7b212c08d29d3d3e6d8c3aa99eba6a85",
        "899683d46c3a8c66fd56e1af12202e69fe5a4517be10b0f68e04c78fe585c57c",
    )
    ways = (
        "data.path= takes cifar-10-python.tar.gz, the folder that is in it, or a folder or zip of its images as they "
        "are, with a folder per class"
    )

    def __init__(
        self,
        path: str | Path,
        resolution: int = 32,
        channels: int = 3,
        train: bool = True,
        download: bool = True,
        limit: int | None = None,
        order: str | None = None,
    ) -> None:
        super().__init__("cifar10", path, resolution, channels, train, download, limit, order)

    def published(self, root: Path) -> Content | None:
        from torchvision.datasets import CIFAR10

        files = [entry[0] for entry in (CIFAR10.train_list if self.train else CIFAR10.test_list)]
        for names, meta, folder, parse in (
            (files, CIFAR10.meta["filename"], CIFAR10.base_folder, pickled),
            ([f"{name}.bin" for name in files], "batches.meta.txt", BINARY_FOLDER, binary),
        ):
            place = root / BINARY if parse is binary and (root / BINARY).is_file() else root
            *batches, described = members(place, [[name] for name in [*names, meta]], [folder])
            missing = [name for name, batch in zip(names, batches, strict=True) if batch is None]
            if len(missing) == len(names) and described is None and not (root / folder).is_dir():
                continue
            if missing or described is None:
                where = root / folder if (root / folder).is_dir() else root
                raise ValueError(
                    f"{where} is incomplete or damaged ({', '.join(missing) or meta} is missing): "
                    f"{'delete it, and start again to unpack it anew' if root.is_dir() else 'fetch it again'}."
                )
            parts = [parse(batch) for batch in batches if batch is not None]
            pixels = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            return Content(pixels, np.concatenate([labels for _, labels in parts]), class_names(described))
        if root.is_dir() and (root / CIFAR10.filename).is_file():
            return self.fetched(root, download=False)
        return None

    def fetched(self, root: Path, download: bool) -> Content:
        from torchvision.datasets import CIFAR10

        archive = Archive("CIFAR-10", CIFAR10.filename, CIFAR10.tgz_md5, CIFAR10.url, "170 MB")
        unpack(root, archive, CIFAR10.base_folder, download)
        content = self.published(root)
        assert content is not None, "the archive was verified"
        return content


def pickled(member: Member) -> tuple[np.ndarray, np.ndarray]:
    """A batch of the archive for Python: uint8 (N, 3072) and int64 (N,)."""
    batch = unpickled(member)
    data, labels = np.asarray(batch.get("data")), np.asarray(batch.get("labels", batch.get("fine_labels")))
    return checked(data, labels, member)


def binary(member: Member) -> tuple[np.ndarray, np.ndarray]:
    """A batch of the binary archive: a byte for the label and 3072 for the pixels of each image."""
    if not member.data or len(member.data) % 3073:
        raise ValueError(f"{member.place} is incomplete or damaged: fetch it again.")
    rows = np.frombuffer(member.data, np.uint8).reshape(-1, 3073)
    return checked(rows[:, 1:], rows[:, 0], member)


def checked(data: np.ndarray, labels: np.ndarray, member: Member) -> tuple[np.ndarray, np.ndarray]:
    fits = (
        data.dtype == np.uint8 and labels.dtype.kind in "iu" and labels.ndim == 1 and data.shape == (len(labels), 3072)
    )
    if not fits or not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"{member.place} is incomplete or damaged, or of another data set: it is no batch of CIFAR-10."
        )
    return data, labels.astype(np.int64)


def class_names(member: Member) -> list[str]:
    """As they are published, in batches.meta or batches.meta.txt."""
    if member.place.split(" in ")[0].endswith(".txt"):
        names = member.data.decode("utf-8", "replace").split()
    else:
        given = unpickled(member).get("label_names", [])
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in given]
    if len(names) != 10:
        raise ValueError(f"{member.place} is incomplete or damaged: it names {len(names)} classes instead of 10.")
    return names


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, texts and numbers, and makes nothing else: a file that is given may hold anything."""

    NEEDED: ClassVar[set[tuple[str, str]]] = {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.NEEDED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def unpickled(member: Member) -> dict[str, Any]:
    try:
        found = ArrayUnpickler(io.BytesIO(member.data), encoding="latin1").load()  # the published ones are of Python 2
    except Exception as error:  # noqa: BLE001 - of many kinds
        raise ValueError(f"{member.place} is incomplete or damaged ({error}): fetch it again.") from error
    if not isinstance(found, dict):
        raise ValueError(f"{member.place} is incomplete or damaged, or of another data set: fetch it again.")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in found.items()}
