"""Images in an npz file: what `transgan sample to=npz` writes, and the reference batches of ADM (arr_0)."""

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transgan.data.arrays import Arrays
from transgan.files import expanded

IMAGES, LABELS = ("images", "arr_0"), ("labels", "arr_1")
MOST = 1_000_000  # classes


def shapes(path: str | Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """{name: (shape, dtype)} of the arrays of an npz file, from their headers; {} for any other file."""
    found: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with zipfile.ZipFile(expanded(path)) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    if read := headers.get(np.lib.format.read_magic(file)):
                        shape, _, dtype = read(file)
                        found[name.removesuffix(".npy")] = shape, dtype
    except Exception:  # noqa: BLE001 - of many kinds: not a zip, truncated, not arrays
        return {}
    return found


def holds_images(path: str | Path) -> bool:
    """Whether an npz file has an array with the name and the shape of images, whatever else it has."""
    return any(name in IMAGES and len(shape) in (3, 4) for name, (shape, _) in shapes(path).items())


class Npz(Arrays):
    """The images of an npz file: uint8 N x H x W x C, or N x H x W, named images or arr_0, with optional labels (N,),
    named labels or arr_1 (-1: none), and class_names. Pickles are not read.

    resolution=None takes the images as they are, which must be square. channels=None: as many as they have.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int | None = None,
        channels: int | None = None,
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
    ) -> None:
        self.path = expanded(path)
        there = shapes(path)
        name = next((name for name in IMAGES if name in there and len(there[name][0]) in (3, 4)), None)
        if name is None:
            listed = ", ".join(f"{each} {shape}" for each, (shape, _) in there.items()) or "nothing that can be read"
            raise ValueError(
                f"{path} holds no images: they are an array images (or arr_0) of uint8 N x H x W x C, and "
                f"there is {listed}."
            )
        shape, dtype = there[name]
        depth = shape[3] if len(shape) == 4 else 1
        if dtype != np.uint8 or depth not in (1, 3) or 0 in shape:
            raise ValueError(
                f"{name} in {path} is {dtype} of shape {shape}: give uint8 N x H x W x C with 1 or 3 "
                "channels and values 0 to 255."
            )
        height, width = shape[1:3]
        if resolution is None and height != width:
            raise ValueError(
                f"the images in {path} are {width}x{height}: images are measured as they are, squares; "
                "save them as they were generated, or give resolution=."
            )
        try:
            with np.load(self.path, allow_pickle=False) as file:
                held = {each: file[each] for each in (name, *LABELS, "class_names") if each in there}
        except Exception as error:  # of many kinds: truncated, a pickle inside
            raise ValueError(
                f"{path} cannot be read as plain arrays ({' '.join(str(error).split())}): make it again with np.savez."
            ) from error
        pixels = held.pop(name)
        labels, class_names = classes(held, shape[0], path)
        super().__init__(self.path.name, resolution or width, channels or depth, limit)
        if {"mu", "sigma"} <= set(there) or {"mean", "cov"} <= set(there):
            self.notes.append(
                "its images are used; num_real=N uses its mean and covariance instead, which are of N images"
            )
        self.take(pixels.reshape(shape[:3]) if depth == 1 else pixels, labels, class_names, in_memory)


def classes(held: dict[str, Any], count: int, path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Labels (N,) and the names of the classes."""
    name = next((name for name in LABELS if name in held), None)
    if name is None:
        return np.zeros(count, np.int64), []
    labels = held[name]
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or 0 < (labels < 0).sum() < count:
        raise ValueError(
            f"{name} in {path} is {labels.dtype} of shape {labels.shape}: give a whole number, 0 or more, "
            f"for each of the {count:,} images, or leave it out."
        )
    if labels[0] < 0:
        return np.zeros(count, np.int64), []
    most = int(labels.max()) + 1
    if most > MOST:
        raise ValueError(
            f"{name} in {path} goes up to {most - 1:,}, and there can be {MOST:,} classes; number them "
            "from 0 on, or leave it out."
        )
    names = [str(each) for each in held["class_names"]] if "class_names" in held else [str(k) for k in range(most)]
    if len(names) < most:
        raise ValueError(f"class_names in {path} are {len(names)}, and its labels go up to {most - 1}.")
    return labels.astype(np.int64), names
