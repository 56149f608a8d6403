"""Images as the networks will see them, side by side."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from transgan.data.checking import quiet
from transgan.data.decode import flatten, square, upright
from transgan.data.levels import Levels, decide
from transgan.data.listed import Listed

GAP, LEAST = 2, 48  # pixels between images; smaller images are enlarged by whole factors to this


def seen(source: Listed, names: Sequence[str]) -> list[np.ndarray]:
    """Files by their names, as training sees them: uint8 (H, W, C) each; those that cannot be read are left out."""
    parts = [source.files, *source.left.values()]
    places = {file.name: file.place for part in parts for file in part}
    levels = source.white if isinstance(source.white, Levels) else None
    found = []
    for name in names:
        try:
            with quiet():
                data = source.read(places[name])
                # of a large JPEG not all, which nobody would see
                whole = upright(data, levels, least=2 * source.resolution)
                if whole.image is None and whole.facts is not None:
                    whole = upright(data, decide([whole.facts])[0])
                assert whole.image is not None
                pixels = square(flatten(whole.image, source.channels), source.resolution)
        except Exception:  # noqa: BLE001, S112 - of a damaged file Pillow raises many kinds
            continue
        found.append(pixels.permute(1, 2, 0).numpy())
    return found


def sheet(images: Sequence[np.ndarray], columns: int) -> Image.Image:
    """Images of one size, row by row, on white: each pixel is a square of whole pixels."""
    side = images[0].shape[0]
    factor = max(1, LEAST // side)
    step = side * factor + GAP
    rows = -(-len(images) // columns)
    whole = Image.new("RGB", (min(columns, len(images)) * step + GAP, rows * step + GAP), "white")
    for i, each in enumerate(images):
        one = Image.fromarray(each[..., 0] if each.shape[2] == 1 else each)
        one = one.resize((side * factor, side * factor), Image.Resampling.NEAREST)
        whole.paste(one, (GAP + i % columns * step, GAP + i // columns * step))
    return whole


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def spread_over(names: Sequence[str], count: int) -> list[str]:
    """At most `count` names, evenly spaced: of every class where they are sorted by folder."""
    chosen = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[i] for i in chosen]
