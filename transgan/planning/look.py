"""A look at a folder or zip of images before training: names, and the first bytes of a few hundred files."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from transgan.cores import cores
from transgan.data.checking import quiet
from transgan.data.decode import flatten
from transgan.data.listed import listed
from transgan.metrics.extractors.efficientnet_lite0 import installed
from transgan.metrics.extractors.inception import on_this_machine
from transgan.planning.facts import Facts

LOOKED_AT, COLOURS = 200, 64  # files whose size is read, and whose pixels are
TINGE = 4  # of 255: less between red, green and blue is no colour


def facts_of(
    path: str | Path, labels: str | None, limit: int | None, holdout: float, device: str, minutes: float | None
) -> Facts:
    """What choices depend on. labels, limit, holdout: as data.labels, data.limit and holdout of the configuration;
    device: cpu, cuda or mps. Raises ValueError or OSError where `path` holds no image, as training does."""
    source = listed(path, 1, 3, labels)
    found = source.classes_of(source.files)
    counts = np.bincount(found.labels, minlength=len(found.names)).tolist() if found.names else []
    count = len(source.files)
    if limit is not None and limit < count:
        counts, count = [max(1, each * limit // count) for each in counts], limit
    kept = 1 - holdout
    chosen = np.linspace(0, len(source.files) - 1, min(LOOKED_AT, len(source.files))).astype(int).tolist()
    looks = [look(source, i, position < COLOURS) for position, i in enumerate(spread(chosen))]
    sides = sorted(each[0] for each in looks if each is not None)
    colours = [each[1] for each in looks if each is not None and each[1] is not None]
    return Facts(
        count=max(1, round(kept * count)), side=sides[len(sides) // 2] if sides else 0,
        grey=bool(colours) and all(colours), classes=tuple(round(kept * each) for each in counts), device=device,
        cores=cores(), inception=on_this_machine(), installed=installed() is not None, minutes=minutes,
        coloured=len(colours) if len(colours) < len(source.files) else 0,
    )  # fmt: skip


def spread(indices: list[int]) -> list[int]:
    """The same, so that the first ones are from everywhere."""
    return [i for start in range(4) for i in indices[start::4]]


def look(source: Any, index: int, pixels: bool) -> tuple[int, bool | None] | None:
    """-> (pixels of the short side, whether it is grey, or None where only the size was looked at); None for what
    cannot be read, of which training will say more."""
    try:
        data = source.read(source.files[index].place)
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                side = min(image.size)
                if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;"):
                    return side, True
                if not pixels:
                    return side, None
                image.draft("RGB", (64, 64))
                small = np.asarray(flatten(image, 3).resize((32, 32), Image.Resampling.BOX), np.int16)
                return side, bool(np.ptp(small, axis=2).max() <= TINGE)
    except Exception:  # noqa: BLE001 - of a damaged file Pillow raises many kinds
        return None
