"""The pictures of several trials beside each other, a class a column.

    python -m benchmarks.recipes.sheet OUT.png GRID.png [...]

The grids are those that trials leave in FOLDER/grids; each is shown with its name above it, without interpolation.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CAPTION, GAP = 22, 8  # pixels


def sheet(grids: Sequence[Path], columns: int, factor: int) -> Image.Image:
    """One image of all grids, each `factor` times as large, `columns` beside each other."""
    images = [Image.open(path).convert("RGB") for path in grids]
    width = max(image.width for image in images) * factor
    height = max(image.height for image in images) * factor
    lines = -(-len(images) // columns)
    size = columns * (width + GAP) - GAP, lines * (height + CAPTION + GAP) - GAP
    result = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(result), ImageFont.load_default(14)
    for i, (path, image) in enumerate(zip(grids, images, strict=True)):
        left, top = i % columns * (width + GAP), i // columns * (height + CAPTION + GAP)
        draw.text((left, top + 2), path.stem, "black", font)
        enlarged = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        result.paste(enlarged, (left, top + CAPTION))
    return result


def main(arguments: Sequence[str]) -> None:
    out, *grids = map(Path, arguments)
    sheet(grids, columns=min(3, len(grids)), factor=2 if Image.open(grids[0]).width < 400 else 1).save(out)


if __name__ == "__main__":
    main(sys.argv[1:])
