"""Images as data URIs, small enough that a report of any runs is a file to send by mail."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

WIDEST = 960  # pixels; wider images are made smaller
SHOWN = 48  # pixels an image of a strip is enlarged to, by a whole factor
NARROW = 420  # pixels; narrower grids are enlarged by a whole factor
BORDER = 2  # pixels between the images of a grid in samples/
GAP = 2  # pixels between images of a strip
QUALITIES = (90, 80, 65, 50)  # of WebP, where all of an image is too much


@dataclass(frozen=True)
class Embedded:
    """An image for <img>: its data URI, its size in pixels, and whether enlarging it must keep its pixels square."""

    uri: str
    width: int
    height: int
    pixelated: bool


class Album:
    """Embeds images of at most `most` bytes each."""

    def __init__(self, most: int) -> None:
        self.most = most

    def image(self, image: Image.Image, pixelated: bool = False) -> Embedded:
        """Lossless where that is small enough; else as good as the bytes allow, and smaller if need be."""
        image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
        if image.width > WIDEST:
            image = image.resize((WIDEST, max(1, round(image.height * WIDEST / image.width))), Image.Resampling.LANCZOS)
        data = webp(image, lossless=True)
        qualities = iter(QUALITIES)
        while len(data) > self.most and min(image.size) > 8:
            quality = next(qualities, None)
            if quality is None:
                quality = QUALITIES[-1]
                half = (max(8, image.width * 3 // 4), max(8, image.height * 3 // 4))
                image = image.resize(half, Image.Resampling.LANCZOS)
            data = webp(image, quality=quality)
        uri = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
        return Embedded(uri, *image.size, pixelated)

    def grid(self, path: Path, tile: int) -> Embedded:
        """A grid of images with `tile` pixels a side, made about square and, where it is small, larger. Raises OSError
        if the file cannot be read."""
        with Image.open(path) as image:
            return self.square(image.convert("RGB"), tile)

    def square(self, image: Image.Image, tile: int) -> Embedded:
        """The same of a grid that is in no file."""
        grid = about_square(image, tile + BORDER)
        factor = max(1, -(-NARROW // grid.width))
        return self.image(grid.resize((factor * grid.width, factor * grid.height), Image.Resampling.NEAREST))

    def strip(self, images: Sequence[Tensor] | Tensor, after_first: int = 0) -> Embedded:
        """uint8 images (C, H, W) in a row, small ones enlarged, with what is between them transparent; `after_first`
        further pixels set the first of them apart."""
        height, width = images[0].shape[1:]
        factor = max(1, SHOWN // width)
        parts = []
        for i, image in enumerate(images):
            wide = 0 if i == 0 else GAP + (after_first if i == 1 else 0)
            large = image.cpu().expand(3, -1, -1).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
            opaque = torch.full((1, *large.shape[1:]), 255, dtype=torch.uint8)
            parts += [torch.zeros(4, height * factor, wide, dtype=torch.uint8), torch.cat([large, opaque])]
        strip = torch.cat(parts, 2).permute(1, 2, 0).contiguous().numpy()
        return self.image(Image.fromarray(strip), pixelated=factor > 1)


def size_of(path: Path, tile: int) -> tuple[int, int]:
    """(columns, rows) of a grid of images with `tile` pixels a side; (0, 0) for a file that cannot be read."""
    try:
        with Image.open(path) as grid:
            width, height = grid.size
    except OSError:
        return 0, 0
    return (width - BORDER) // (tile + BORDER), (height - BORDER) // (tile + BORDER)


def about_square(grid: Image.Image, period: int) -> Image.Image:
    """A grid with many more rows than columns, cut into blocks of rows that stand side by side. A row that is left over
    is left out. period: pixels from one image to the next."""
    columns, rows = (max(1, (side - BORDER) // period) for side in grid.size)
    blocks = math.ceil(math.sqrt(rows / columns))
    if rows < 2 * columns or grid.size != (columns * period + BORDER, rows * period + BORDER):
        return grid
    width, height = columns * period, rows // blocks * period
    square = Image.new(grid.mode, (blocks * width + BORDER, height + BORDER))
    for i in range(blocks):
        box = (0, i * height, width + BORDER, (i + 1) * height + BORDER)
        square.paste(grid.crop(box), (i * width, 0))
    return square


def webp(image: Image.Image, lossless: bool = False, quality: int = 80) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=lossless, quality=quality, method=4)
    return file.getvalue()
