"""One image file, as any program may have saved it, to one uint8 tensor of the size and channels a network takes."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from transgan.data.damage import check_decoded, check_whole
from transgan.data.levels import Facts, Levels, decide, decided, facts, scaled, within
from transgan.data.metadata import frames, header_size, loaded, opened, orientation, reducible, software, turned
from transgan.data.samples import Samples, is_deep, samples, tiff_samples

try:
    import pillow_heif  # photographs of phones

    pillow_heif.register_heif_opener()
except ImportError:
    pass


SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
GRID = "transgan, many images in one picture"  # written by transgan/provenance.py


class Seen(NamedTuple):
    """What is in a file.

    pixels: uint8 (channels, resolution, resolution), or None where `facts` must first be compared with those of the
    other files; size: upright (width, height); frames: the number of frames of an animation or pages of a stack.
    """

    pixels: torch.Tensor | None
    size: tuple[int, int]
    frames: int = 1
    facts: Facts | None = None


class Upright(NamedTuple):
    """The image of a file as it is to be seen, before it is brought to the size and channels of a network.

    image: of eight bits per sample, turned as its orientation says, or None where `facts` must first be compared with
    those of the other files; size: (width, height); form, mode: Pillow's names for what the file is; turn: its
    orientation, 1 to 8; deep: of more than eight bits.
    """

    image: Image.Image | None
    size: tuple[int, int]
    frames: int
    facts: Facts | None
    form: str
    mode: str
    turn: int
    deep: bool = False


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
    found = upright(data, levels)
    pixels = None if found.image is None else square(flatten(found.image, channels), resolution)
    return Seen(pixels, found.size, found.frames, found.facts)


def upright(data: bytes, levels: Levels | None = None, least: int | None = None) -> Upright:
    """The image of a file, as it is to be seen. Raises as `look` does.

    least: pixels of a short side that suffice; a larger JPEG is then read at 1/2, 1/4 or 1/8 of its size, which is
    several times as fast and finds the same damage.
    """
    if not data:
        raise ValueError("empty file, 0 bytes")
    check_whole(data)
    image: Image.Image | None = None
    try:
        image, data = opened(data, least)
    except Image.DecompressionBombError:
        raise
    except Exception:
        found = unusual(data)
        if found is None:
            raise
    else:
        if GRID in (image.info.get("Software"), software(image)):
            raise ValueError("a grid of generated images made by transgan")
        check_decoded(data, image, partial(loaded, least=least))
        found = samples(image, data)
    count = frames(image, data)
    form = image.format or "" if image is not None else "TIFF"
    if found is None:
        assert image is not None
        turn, (width, height) = orientation(image), header_size(data) if reducible(data, least) else image.size
        size = (height, width) if turn in SIDEWAYS else (width, height)
        return Upright(turned(image, turn), size, count, None, form, image.mode, turn)
    height, width = found.values.shape[:2]
    size = (height, width) if found.orientation in SIDEWAYS else (width, height)
    known, mode = facts(found), image.mode if image is not None else found.bands
    if known is not None and not decided(known, levels):
        within(known)
        return Upright(None, size, count, known, form, mode, found.orientation, True)
    image = turned(scaled(found, levels or Levels()), found.orientation)
    return Upright(image, size, count, known, form, mode, found.orientation, True)


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
    """An image of mode L or RGB to uint8 (1 or 3, resolution, resolution), cut as `centre` does."""
    pixels = np.array(centre(image, resolution))  # a copy: torch must own writable memory
    return torch.from_numpy(pixels.reshape(resolution, resolution, -1)).permute(2, 0, 1).contiguous()


def centre(image: Image.Image, resolution: int) -> Image.Image:
    """An image of mode L or RGB as a square of `resolution` pixels: centre crop at integer pixels, then Lanczos.
    An image whose short side already fits is cropped but not resampled."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if width != height:
        image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return image
