"""Samples of more than eight bits as they are in the file. Pillow gives those of grey images but only the upper byte of
colour; this module combines two readings, or unpacks the bytes itself."""

import io
import struct
import sys
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from transgan.data import tiff
from transgan.data.metadata import content_of_chunk, jpeg2000_bits, orientation


class Samples(NamedTuple):
    """values: (H, W) or (H, W, C), as in the file, before any rotation. bands: L, LA, RGB or RGBA."""

    values: np.ndarray
    bands: str
    white: int | None = None  # as the file states; None where the values may use less than that
    most: int = 65535  # white, if the full range is used
    inverted: bool = False  # zero is white
    bits: int = 0  # significant bits, of a PNG that states them
    transparent: int | tuple | None = None
    orientation: int = 1


def samples(image: Image.Image, data: bytes) -> Samples | None:
    """The samples of a loaded image and the bytes it was read from; None if they fit into eight bits."""
    if image.format == "TIFF":
        return tiff_samples(image, data)
    turn = orientation(image)
    if image.format == "PNG":
        return png_samples(image, data, turn)
    if image.format == "PPM" and image.mode in ("I", "RGB"):
        return ppm_samples(image, data)
    if image.format == "SGI" and data[3] == 2 and data[2] == 0:
        return sgi_samples(data)
    if image.format == "FITS" and is_deep(image):
        return fits_samples(image, data)
    if not is_deep(image):
        return None
    values, white = np.asarray(image), None
    if image.format == "JPEG2000" and (bits := jpeg2000_bits(data)) < 16:
        values, white = values >> (16 - bits), 2**bits - 1  # Pillow shifts them up to 16 bits
    return Samples(values, "L", white, orientation=turn)


def is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def png_samples(image: Image.Image, data: bytes, turn: int) -> Samples | None:
    depth, colour = data[24], data[25]  # of the header, the first chunk
    transparent = image.info.get("transparency")
    if depth < 16:
        if depth in (2, 4) and colour == 0 and isinstance(transparent, int):
            # Pillow scales such pixels to 255 but not the transparent value
            image.info["transparency"] = transparent * 255 // (2**depth - 1)
        return None
    bits = max(content_of_chunk(data, b"sBIT"), default=0)
    found: dict[str, Any] = {"bits": bits if bits < 16 else 0, "transparent": transparent, "orientation": turn}
    if colour == 0:
        return Samples(np.asarray(image).astype(np.int64), "L", **found)
    if colour == 4:  # the lower byte cannot be read alone: as four samples of 8 bits
        four = np.asarray(read_as(data, "RGBA")).astype(np.uint16)
        return Samples(four[..., 0::2] << 8 | four[..., 1::2], "LA", **found)
    return Samples(two_bytes(data), image.mode, **found)


def raw_mode(data: bytes) -> str:
    """How Pillow will read the samples of a file."""
    with Image.open(io.BytesIO(data)) as image:
        arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, str) else str((arguments or ("",))[0])


def read_as(data: bytes, rawmode: str) -> Image.Image:
    """The image, its bytes read in another raw mode of as many bits."""
    image = Image.open(io.BytesIO(data))
    tiles: list[Any] = image.tile  # plain tuples in Pillow 10
    for i, tile in enumerate(tiles):
        codec, box, offset, options = tile
        other = codec, box, offset, rawmode if isinstance(options, str) else (rawmode, *options[1:])
        tiles[i] = other if type(tile) is tuple else type(tile)(*other)
    image.load()
    return image


def two_bytes(data: bytes) -> np.ndarray:
    """uint16 (H, W, C). Pillow keeps the upper byte, and given the opposite byte order the lower one."""
    rawmode = raw_mode(data)
    name, order = rawmode[:-1], rawmode[-1]
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    high = np.asarray(read_as(data, name + order)).astype(np.uint16)
    return high << 8 | np.asarray(read_as(data, name + {"L": "B", "B": "L"}[order]))


def tiff_samples(image: Image.Image | None, data: bytes) -> Samples | None:
    """The samples of a TIFF file. image: as Pillow has read it, None if it does not support the layout."""
    try:
        directory = tiff.Directory(data)
    except ValueError:
        return Samples(np.asarray(image), "L") if image is not None and is_deep(image) else None
    bits, photometric = directory.values(tiff.BITS, (1,)), directory.values(tiff.PHOTOMETRIC, (0,))[0]
    form, one_byte = directory.values(tiff.FORMAT, (1,))[0], max(bits) <= 8
    if one_byte and (form != 2 or image is None or image.mode != "L") or photometric not in (0, 1, 2):
        return None
    inverted, turn = photometric == 0, directory.values(274, (1,))[0]
    directory.entries.pop(274, None)
    if inverted:
        directory.set(tiff.PHOTOMETRIC, 1)
    found: dict[str, Any] = {"inverted": inverted, "orientation": turn}
    if form == 2 and bits[0] <= 16:  # signed
        found["most"] = 2 ** (bits[0] - 1) - 1
    if one_byte:
        return Samples(np.asarray(image).view(np.int8).astype(np.int64), "L", **found | {"orientation": 1})
    same = len(set(bits)) == 1
    if directory.values(tiff.PLANAR, (1,))[0] == 2 and len(bits) in (3, 4) and same:
        count = 3 if directory.values(tiff.EXTRA) == (0,) else len(bits)  # the fourth has no defined meaning
        read_planes = [tiff_samples(None, directory.plane(i, len(bits)).written()) for i in range(count)]
        planes = [each for each in read_planes if each is not None]
        if len(planes) < count or 1 in directory.values(tiff.EXTRA):
            raise ValueError(f"a TIFF of {bits[0]} bits in planes that cannot be read")
        values = np.stack([each.values for each in planes], 2)
        return planes[0]._replace(values=values, bands="RGBA"[:count], **found)
    if same and 8 < bits[0] < 16 and form == 1:
        return Samples(*unpacked(directory, bits[0]), white=2 ** bits[0] - 1, **found)
    if same and form == 3 and (bits[0] in (16, 64) or image is None) or same and image is None and bits[0] == 16:
        kind = {1: "u", 2: "i", 3: "f"}[form]
        return Samples(*unpacked(directory, bits[0], f"{directory.order}{kind}{bits[0] // 8}"), **found)
    plain = directory.written()
    read = Image.open(io.BytesIO(plain))
    if read.mode in ("RGB", "RGBA"):
        if not raw_mode(plain).startswith(("RGB;16", "RGBA;16", "RGBX;16")):
            return None  # premultiplied: the upper byte suffices
        return Samples(two_bytes(plain), read.mode, **found)
    codec, swapped = read.tile[0][0], raw_mode(plain) in ("I;16BS", "I;32BS", "F;32BF")
    read.load()
    if not is_deep(read):
        return None
    values = np.asarray(read)
    if codec == "libtiff" and swapped and sys.byteorder == "little":  # swapped by libtiff and again by Pillow
        if bits[0] == 16:
            values = values.astype(np.int16).byteswap().astype(np.int64)
        else:
            values = values.byteswap()
    return Samples(values, "L", **found)


def unpacked(directory: tiff.Directory, bits: int, kind: str | None = None) -> tuple[np.ndarray, str]:
    """Samples and bands of layouts that Pillow does not support: 9 to 15 bits, or values of a numpy `kind`. Rows are
    read as bytes: each starts on a byte boundary, with the highest bit first. Raises ValueError for other layouts."""
    width, height = directory.values(tiff.WIDTH)[0], directory.values(tiff.HEIGHT)[0]
    per_pixel, extra = directory.values(tiff.SAMPLES, (1,))[0], directory.values(tiff.EXTRA)
    bands = {(1, 0): "L", (2, 1): "LA", (3, 0): "RGB", (4, 1): "RGBA"}.get((per_pixel, len(extra)))
    apart = directory.values(tiff.PLANAR, (1,))[0] != 1 and per_pixel > 1
    predicted = directory.values(tiff.PREDICTOR, (1,))[0] != 1
    if bands is None or apart or predicted or tiff.TILED in directory.entries or 1 in extra:
        raise ValueError(f"a TIFF of {bits} bits in a layout that cannot be read")
    directory.entries.pop(tiff.EXTRA, None)
    row = -(-width * per_pixel * bits // 8)
    for tag, value in ((tiff.WIDTH, row), (tiff.BITS, 8), (tiff.SAMPLES, 1), (tiff.PHOTOMETRIC, 1)):
        directory.set(tag, value)
    directory.entries.pop(tiff.FORMAT, None)
    with Image.open(io.BytesIO(directory.written())) as image:
        stream = np.asarray(image)
    if kind is None:
        stream = np.unpackbits(stream, axis=1)[:, : width * per_pixel * bits].reshape(height, -1, bits)
        values: np.ndarray = (stream * (1 << np.arange(bits - 1, -1, -1))).sum(2).astype(np.uint16)
    else:
        values = np.ascontiguousarray(stream).view(kind)
        values = values.astype(np.float64 if "f" in kind else np.int64)
    values = values.reshape((height, width) if per_pixel == 1 else (height, width, per_pixel))
    if extra == (0,):  # a sample without a defined meaning
        values, bands = (values[..., 0], "L") if bands == "LA" else (values[..., :3], "RGB")
    return values, bands


def ppm_samples(image: Image.Image, data: bytes) -> Samples | None:
    """The samples of a PGM or PPM, whose header states its white; Pillow scales it to 65535 or 255."""
    with Image.open(io.BytesIO(data)) as head:
        codec, _, offset, options = head.tile[0]
    white = 65535 if isinstance(options, str) and "16" in options else options[-1] if isinstance(options, tuple) else 0
    white = 65535 if isinstance(options, tuple) and "16" in str(options[0]) else white
    if not isinstance(white, int) or white <= 255:
        return None
    if codec == "ppm_plain":
        if image.mode != "I":
            return None
        values: np.ndarray = np.rint(np.asarray(image) * (white / 65535)).astype(np.int64)
    else:
        shape = (image.height, image.width) if image.mode == "I" else (image.height, image.width, 3)
        count = int(np.prod(shape))
        values = np.frombuffer(data, ">u2", count, offset).astype(np.uint16).reshape(shape)
        if values.max() > white:
            raise ValueError(f"a value of {values.max()}, more than the white of its header, {white}")
    return Samples(values, "L" if image.mode == "I" else "RGB", None if white == 65535 else white)


def sgi_samples(data: bytes) -> Samples:
    """The samples of an uncompressed 16-bit SGI image: a 512-byte header, then every channel from the bottom row up."""
    dimension, width, height, channels = struct.unpack_from(">4H", data, 4)
    channels = channels if dimension == 3 else 1
    planes = np.frombuffer(data, ">u2", width * height * channels, 512).reshape(channels, height, width)[:, ::-1]
    values = np.moveaxis(planes, 0, 2).astype(np.uint16)
    return Samples(values[..., 0] if channels == 1 else values, {1: "L", 3: "RGB", 4: "RGBA"}[channels])


def fits_samples(image: Image.Image, data: bytes) -> Samples:
    """The samples of a FITS image, whose values are signed and scaled by BSCALE and BZERO."""
    head = {"BSCALE": 1.0, "BZERO": 0.0}
    for place in range(0, len(data), 80):
        card = data[place : place + 80].decode("latin-1")
        name = card[:8].strip()
        if name == "END":
            break
        if name in head and card[8:9] == "=":
            head[name] = float(card[9:].split("/")[0])
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        values = values.astype(np.uint16).view(np.int16)
    values = values * head["BSCALE"] + head["BZERO"]
    if image.mode != "F" and all(number == int(number) for number in head.values()):
        values = values.astype(np.int64)
    short = image.mode.startswith("I;16") and head["BZERO"] == 0
    return Samples(values, "L", most=32767 if short else 65535)
