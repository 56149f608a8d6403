"""What is to be known of one image file, measured on the square that the networks would see of it.

`blur` is the sharpness of its edges (sharpness.py), of pixels as the networks see them, so that what is sharp enough
for a run's resolution is sharp.
"""

import hashlib
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image

from transgan.data import tiff
from transgan.data.checking import quiet, why
from transgan.data.contents import HEAD, is_heif
from transgan.data.damage import Cut
from transgan.data.decode import flatten, has_alpha, upright
from transgan.data.inspection.sharpness import sharpness
from transgan.data.levels import Facts, Levels, decide
from transgan.data.listing import image_suffixes

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
THUMB, HUES = 32, 4  # sides of the luminance and of the colours that tell near duplicates
BASE = 2 * THUMB  # side of the square that they are made of, whatever the resolution: smaller images as they are
MEANS = 4
GREY = ("1", "L", "LA", "La", "I", "F")


class Traits(NamedTuple):
    """size: upright (width, height) in pixels; digest: of the pixels, or of the bytes where it is `reduced`, a JPEG
    that was not fully decoded; light: luminance that 98 % of the pixels do not exceed, 0 to 255; spread: its standard
    deviation; blur: see above; grey: without colour; thumb: of the square, as `thumb_of` makes it; means: of the
    luminance of a reduced JPEG, or of an image of which there could be one, whatever the resolution, uint8 of MEANS x
    MEANS fields."""

    size: tuple[int, int]
    frames: int
    form: str
    mode: str
    turn: int
    deep: bool
    transparent: bool
    facts: Facts | None
    digest: bytes
    light: float
    spread: float
    blur: float
    grey: bool
    thumb: bytes
    reduced: bool = False
    means: bytes = b""


class Broken(NamedTuple):
    """A file that cannot be read. kind: empty, truncated, heic_named, locked or unreadable; reason: in a few words."""

    kind: str
    reason: str


def inspect(data: bytes, resolution: int, levels: Levels | None = None) -> Traits | Broken:
    """What is in a file, as networks of this resolution would see it: 1 to 4096 pixels. Raises nothing.

    levels: what is white where the file does not say it; None: this file alone decides.
    """
    if not data:
        return Broken("empty", "0 bytes")
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return traits(data, resolution, levels)
    except Exception as error:  # noqa: BLE001 - of a damaged file Pillow raises many kinds
        if is_cut(data, error):
            return Broken("truncated", why(error))
        if is_heif(data[:HEAD]) and ".heic" not in image_suffixes():
            return Broken("heic_named", "HEIC")
        return Broken("unreadable", why(error))


def traits(data: bytes, resolution: int, levels: Levels | None = None) -> Traits:
    """Raises as `look` does for a file that cannot be read."""
    found = upright(data, levels, least=max(resolution, BASE))
    if found.image is None:
        assert found.facts is not None
        seen = upright(data, decide([found.facts])[0], least=max(resolution, BASE)).image
    else:
        seen = found.image
    assert seen is not None
    transparent = has_alpha(seen) and seen.convert("RGBA").getchannel("A").getextrema()[0] != 255
    grey = found.mode in GREY or found.mode.startswith("I;")
    flat, least = flatten(seen, 1 if grey else 3), max(resolution, BASE)
    small, thumb = square(flat, resolution), thumb_of(square(flat, BASE, Image.Resampling.BILINEAR))
    reduced = max(found.size) > max(seen.size)
    large = min(found.size) >= 2 * least and seen.mode in ("L", "RGB", "CMYK")
    pixels = np.asarray(small, np.float32)
    luminance = pixels if grey else pixels @ LUMINANCE
    if not grey:
        grey = bool(np.ptp(pixels, axis=2).max() <= 4)
    return Traits(
        found.size, found.frames, found.form, found.mode, found.turn, found.deep, transparent, found.facts,
        short_hash(data) if reduced else pixel_hash(seen), *light_of(luminance), grey, thumb, reduced,
        means_of(seen, found.size) if large else b"",
    )  # fmt: skip


def whole_digest(data: bytes) -> bytes:
    """The digest of a JPEG that `inspect` had reduced, of all its pixels."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = upright(data).image
    assert image is not None, "a JPEG has eight bits"
    return pixel_hash(image)


def means_of(image: Image.Image, size: tuple[int, int]) -> bytes:
    """size: of the file; where it is no multiple of what the image was reduced by, that reaches beyond the edge."""
    by = 2 ** round(np.log2(max(size) / max(image.size)))
    box = (0, 0, min(size[0] / by, image.width), min(size[1] / by, image.height))
    return image.convert("L").resize((MEANS, MEANS), Image.Resampling.BOX, box).tobytes()


def pixel_hash(image: Image.Image) -> bytes:
    return short_hash(repr((image.mode, image.size)).encode() + image.tobytes())


def short_hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def square(image: Image.Image, resolution: int, filtered: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    """The centre, as training cuts it, at most `resolution` pixels wide: what is smaller is not enlarged."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if width != height:
        image = image.crop((left, top, left + side, top + side))
    if side > resolution:
        image = image.resize((resolution, resolution), filtered, reducing_gap=2.0)
    return image


def light_of(luminance: np.ndarray) -> tuple[float, float, float]:
    """light, spread and blur of a square, float32 (S, S) of values 0 to 255; blur is infinite without edges."""
    flat = luminance.ravel()
    rank = int(0.98 * (flat.size - 1))
    return float(np.partition(flat, rank)[rank]), float(flat.std()), sharpness(luminance)


def thumb_of(image: Image.Image) -> bytes:
    """uint8 (THUMB**2 + 2 * HUES**2 + 1,) of a square of mode L or RGB: its luminance, stretched to 0 to 255; both
    differences of colour; and the standard deviation of the luminance before, at half the size, times 16."""
    luminance = image.convert("L")
    if (times := -(-BASE // min(image.size))) > 1:  # so that means are of areas
        luminance = luminance.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    light = np.asarray(luminance.convert("F").resize((THUMB, THUMB), Image.Resampling.BOX))
    low, deviation = light.min(), half(light).std()
    stretched = (light - low) * (255 / max(float(light.max() - low), 1e-3))
    hues = bytes([128]) * (2 * HUES * HUES)
    if image.mode != "L":
        _, blue, red = image.resize((HUES, HUES), Image.Resampling.BOX).convert("YCbCr").split()
        hues = blue.tobytes() + red.tobytes()
    return stretched.round().astype(np.uint8).tobytes() + hues + bytes([min(255, round(16 * float(deviation)))])


def half(pixels: np.ndarray) -> np.ndarray:
    """(..., 2 H, 2 W) to the means of two by two, (..., H, W)."""
    return (pixels[..., ::2, ::2] + pixels[..., 1::2, ::2] + pixels[..., ::2, 1::2] + pixels[..., 1::2, 1::2]) / 4


def is_cut(data: bytes, error: Exception) -> bool:
    """Whether a file that cannot be read lacks a part of one that could, or the end that its format has."""
    if isinstance(error, Cut) or "image file is truncated" in str(error):
        return True
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-16:]
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in data[-16:]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return data[-1:] != b";"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.is_cut(data)
    if data[4:8] == b"jP  " or data[:4] == b"\xff\x4f\xff\x51":  # JPEG 2000, in boxes or alone
        return b"\xff\xd9" not in data[-16:]
    if data[4:8] == b"ftyp":  # AVIF and HEIC
        return boxes_end(data) > len(data)
    return "truncated" in str(error).lower()


def boxes_end(data: bytes) -> int:
    """Where the last of the boxes ends that an AVIF or HEIC file consists of, by what they say."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
        if size < 8:  # the last one, to the end of the file
            return len(data)
        at += size
    return at if at > len(data) else at + 8 * (at < len(data))
