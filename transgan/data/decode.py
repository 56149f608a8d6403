"""One picture as any program may have saved it -> one uint8 tensor of the size and channels a network wants."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from .levels import Facts, Levels, decide, decided, facts, scaled, within
from .metadata import frames, opened, orientation, software, turned
from .samples import Samples, is_deep, samples, tiff_samples

try:
    import pillow_heif  # photographs of phones

    pillow_heif.register_heif_opener()
except ImportError:
    pass


GRID = "transgan, many images in one picture"  # what transgan/callbacks/samples.py writes into its pictures


class Seen(NamedTuple):
    """What is in a file. pixels: uint8 (channels, resolution, resolution), or None where `facts` must first be weighed
    with those of the other files; size: upright (width, height); frames: of an animation or a stack, all there are."""

    pixels: torch.Tensor | None
    size: tuple[int, int]
    frames: int = 1
    facts: Facts | None = None


def to_image(image, resolution, channels):
    """Pillow image of any mode -> uint8 (channels, resolution, resolution); of an animation, the frame it stands at."""
    image.load()
    return square(flatten(turned(image, orientation(image)), channels), resolution)


def decode(data, resolution, channels, levels=None):
    """The bytes of an image file -> uint8 (channels, resolution, resolution) and its own upright (width, height).

    levels=None: what is white is decided by this file alone.
    """
    seen = look(data, resolution, channels, levels)
    if seen.pixels is None:
        seen = look(data, resolution, channels, decide([seen.facts])[0])
    return seen.pixels, seen.size


def look(data, resolution, channels, levels=None):
    """-> Seen. Raises what Pillow raises of a file it cannot read, ValueError for values that cannot be pixels."""
    if not data:
        raise ValueError("empty file, 0 bytes")
    try:
        image, data = opened(data)
    except Image.DecompressionBombError:
        raise
    except Exception:
        found = unusual(data)
        if found is None:
            raise
        image = None
    else:
        found = samples(image, data)
    if image is not None and GRID in (image.info.get("Software"), software(image)):
        raise ValueError("this program's own, many images in one picture")
    count = frames(image, data)
    if found is None:
        image = turned(image, orientation(image))
        return Seen(square(flatten(image, channels), resolution), image.size, count)
    height, width = found.values.shape[:2]
    size = (height, width) if found.orientation in (5, 6, 7, 8) else (width, height)
    known = facts(found)
    if not decided(known, levels):
        within(known)
        return Seen(None, size, count, known)
    image = turned(scaled(found, levels or Levels()), found.orientation)
    return Seen(square(flatten(image, channels), resolution), image.size, count, known)


def form(data):
    """-> (width of the image that a file holds, as it lies there, whether it is gray). Raises as `look` does."""
    try:
        image, _ = opened(data)
    except Exception:
        found = unusual(data)
        if found is None:
            raise
        return found.values.shape[1], found.bands in ("L", "LA")
    return image.size[0], image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def unusual(data) -> Samples | None:
    """The samples of a TIFF of which Pillow does not know the arrangement; None if they cannot be read either."""
    try:
        return tiff_samples(None, data) if data[:2] in (b"II", b"MM") else None
    except Exception:  # noqa: BLE001 - Pillow's own error tells more
        return None


def flatten(image, channels):
    """Any mode -> mode L (channels=1) or RGB (channels=3), 8 bit, transparency over white.

    Colour profiles are not applied: numbers stay what the file holds.
    """
    if is_deep(image):
        found = Samples(np.asarray(image), "L", transparent=image.info.get("transparency"))
        facts(found)
        image = scaled(found, Levels())
    if image.mode == "La":  # premultiplied gray: Pillow converts it to LA and to nothing else
        image = image.convert("LA")
    if has_alpha(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels == 1 and image.mode in ("1", "L"):
        return image.convert("L")
    image = image.convert("RGB")  # also on the way to gray: HSV, LAB and palettes have no direct road
    return image.convert("L") if channels == 1 else image


def has_alpha(image):
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in ("LA", "PA", "RGBA", "RGBa") or palette.endswith("A") or "transparency" in image.info


def square(image, resolution):
    """L or RGB image -> uint8 (1 or 3, resolution, resolution): centre crop, then Lanczos; whole pixels, so that
    an image whose short side already fits is cut but not resampled."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if width != height:
        image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(image)  # a copy: torch must own writable memory
    return torch.from_numpy(pixels.reshape(resolution, resolution, -1)).permute(2, 0, 1).contiguous()
