"""One image file, as any program may have saved it, to one uint8 tensor of the size and channels a network takes."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from transgan.data.levels import Facts, Levels, decide, decided, facts, scaled, within
from transgan.data.metadata import frames, opened, orientation, software, turned
from transgan.data.samples import Samples, is_deep, samples, tiff_samples

try:
    import pillow_heif  # photographs of phones

    pillow_heif.register_heif_opener()
except ImportError:
    pass


GRID = "transgan, many images in one picture"  # written by transgan/callbacks/samples.py


class Seen(NamedTuple):
    """What is in a file.

    pixels: uint8 (channels, resolution, resolution), or None where `facts` must first be compared with those of the
    other files; size: upright (width, height); frames: the number of frames of an animation or pages of a stack.
    """

    pixels: torch.Tensor | None
    size: tuple[int, int]
    frames: int = 1
    facts: Facts | None = None


def to_image(image: Image.Image, resolution: int, channels: int) -> torch.Tensor:
    """A Pillow image of any mode to uint8 (channels, resolution, resolution); of an animation, its current frame."""
    image.load()
    return square(flatten(turned(image, orientation(image)), channels), resolution)


def decode(
    data: bytes, resolution: int, channels: int, levels: Levels | None = None
) -> tuple[torch.Tensor, tuple[int, int]]:
    """The bytes of an image file to uint8 (channels, resolution, resolution) and the file's upright (width, height).

    levels=None: this file alone decides what is white.
    """
    seen = look(data, resolution, channels, levels)
    if seen.pixels is None:
        assert seen.facts is not None
        seen = look(data, resolution, channels, decide([seen.facts])[0])
    assert seen.pixels is not None
    return seen.pixels, seen.size


def look(data: bytes, resolution: int, channels: int, levels: Levels | None = None) -> Seen:
    """Raises Pillow's own error for a file it cannot read, ValueError for values that cannot be pixels."""
    if not data:
        raise ValueError("empty file, 0 bytes")
    image: Image.Image | None = None
    try:
        image, data = opened(data)
    except Image.DecompressionBombError:
        raise
    except Exception:
        found = unusual(data)
        if found is None:
            raise
    else:
        if GRID in (image.info.get("Software"), software(image)):
            raise ValueError("a grid of generated images made by transgan")
        found = samples(image, data)
    count = frames(image, data)
    if found is None:
        assert image is not None
        image = turned(image, orientation(image))
        return Seen(square(flatten(image, channels), resolution), image.size, count)
    height, width = found.values.shape[:2]
    size = (height, width) if found.orientation in (5, 6, 7, 8) else (width, height)
    known = facts(found)
    if known is not None and not decided(known, levels):
        within(known)
        return Seen(None, size, count, known)
    image = turned(scaled(found, levels or Levels()), found.orientation)
    return Seen(square(flatten(image, channels), resolution), image.size, count, known)


def form(data: bytes) -> tuple[int, bool]:
    """The width of the image in a file, before any rotation, and whether it is grey. Raises as `look` does."""
    try:
        image, _ = opened(data)
    except Exception:
        found = unusual(data)
        if found is None:
            raise
        return found.values.shape[1], found.bands in ("L", "LA")
    return image.size[0], image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def unusual(data: bytes) -> Samples | None:
    """The samples of a TIFF whose layout Pillow does not support; None if it is another file or cannot be read."""
    try:
        return tiff_samples(None, data) if data[:2] in (b"II", b"MM") else None
    except Exception:  # noqa: BLE001 - Pillow's own error says more
        return None


def flatten(image: Image.Image, channels: int) -> Image.Image:
    """Any mode to mode L (channels=1) or RGB (channels=3) of 8 bits, with transparency over white.

    Colour profiles are not applied: values stay as they are in the file.
    """
    if is_deep(image):
        found = Samples(np.asarray(image), "L", transparent=image.info.get("transparency"))
        facts(found)
        image = scaled(found, Levels())
    if image.mode == "La":  # premultiplied grey: Pillow converts it only to LA
        image = image.convert("LA")
    if has_alpha(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels == 1 and image.mode in ("1", "L"):
        return image.convert("L")
    image = image.convert("RGB")  # also for grey: HSV, LAB and palettes have no direct conversion
    return image.convert("L") if channels == 1 else image


def has_alpha(image: Image.Image) -> bool:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in ("LA", "PA", "RGBA", "RGBa") or palette.endswith("A") or "transparency" in image.info


def square(image: Image.Image, resolution: int) -> torch.Tensor:
    """An image of mode L or RGB to uint8 (1 or 3, resolution, resolution): centre crop at integer pixels, then Lanczos.
    An image whose short side already fits is cropped but not resampled."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if width != height:
        image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(image)  # a copy: torch must own writable memory
    return torch.from_numpy(pixels.reshape(resolution, resolution, -1)).permute(2, 0, 1).contiguous()
