"""Samples of more than eight bits as the file holds them. Pillow gives those of gray images, and of colour the upper
half alone; here they are put together from two readings, or unpacked from bytes."""

import io
import struct
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image

from . import tiff
from .metadata import content_of_chunk, jpeg2000_bits, orientation


class Samples(NamedTuple):
    """values: (H, W) or (H, W, C), numbers as they are in the file, not yet turned. bands: L, LA, RGB or RGBA."""

    values: np.ndarray
    bands: str
    white: int | None = None  # what the file says; None where that may be more than the numbers use
    most: int = 65535  # what white is where they use all there is
    inverted: bool = False  # zero is white
    bits: int = 0  # significant ones, of a PNG that names them
    transparent: int | tuple | None = None
    orientation: int = 1


def samples(image: Image.Image, data: bytes) -> Samples | None:
    """Of a loaded image and the bytes it was read from; None if eight bits hold all there is."""
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
        values, white = values >> (16 - bits), 2**bits - 1  # Pillow moves them up to 16 bits
    return Samples(values, "L", white, orientation=turn)


def is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def png_samples(image: Image.Image, data: bytes, turn: int) -> Samples | None:
    depth, colour = data[24], data[25]  # the first chunk is the head
    transparent = image.info.get("transparency")
    if depth < 16:
        if depth in (2, 4) and colour == 0 and isinstance(transparent, int):
            # Pillow stretches such pixels to 255 and leaves the transparent one as it is
            image.info["transparency"] = transparent * 255 // (2**depth - 1)
        return None
    bits = max(content_of_chunk(data, b"sBIT"), default=0)
    found = {"bits": bits if bits < 16 else 0, "transparent": transparent, "orientation": turn}
    if colour == 0:
        return Samples(np.asarray(image).astype(np.int64), "L", **found)
    if colour == 4:  # no reading of the lower half: as four samples of 8 bits
        four = np.asarray(read_as(data, "RGBA")).astype(np.uint16)
        return Samples(four[..., 0::2] << 8 | four[..., 1::2], "LA", **found)
    return Samples(two_bytes(data), image.mode, **found)


def raw_mode(data: bytes) -> str:
    """How Pillow is about to read the samples of a file."""
    with Image.open(io.BytesIO(data)) as image:
        arguments = image.tile[0][3] if image.tile else ""
    return arguments if isinstance(arguments, str) else str(arguments[0])


def read_as(data: bytes, rawmode: str) -> Image.Image:
    """The image with its bytes read in another way, which must have as many bits."""
    image = Image.open(io.BytesIO(data))
    for i, tile in enumerate(image.tile):
        codec, box, offset, options = tile
        other = codec, box, offset, rawmode if isinstance(options, str) else (rawmode, *options[1:])
        image.tile[i] = other if type(tile) is tuple else type(tile)(*other)
    image.load()
    return image


def two_bytes(data: bytes) -> np.ndarray:
    """-> uint16 (H, W, C). Pillow keeps the upper byte; told of the other byte order, it keeps the lower one."""
    rawmode = raw_mode(data)
    name, order = rawmode[:-1], rawmode[-1]
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    high = np.asarray(read_as(data, name + order)).astype(np.uint16)
    return high << 8 | np.asarray(read_as(data, name + {"L": "B", "B": "L"}[order]))


def tiff_samples(image: Image.Image | None, data: bytes) -> Samples | None:
    """Of a TIFF file. `image` is what Pillow made of it, None if it knows no such arrangement."""
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
    found = {"inverted": inverted, "orientation": turn}
    if form == 2 and bits[0] <= 16:  # signed
        found["most"] = 2 ** (bits[0] - 1) - 1
    if one_byte:
        return Samples(np.asarray(image).view(np.int8).astype(np.int64), "L", **found | {"orientation": 1})
    same = len(set(bits)) == 1
    if directory.values(tiff.PLANAR, (1,))[0] == 2 and len(bits) in (3, 4) and same:
        count = 3 if directory.values(tiff.EXTRA) == (0,) else len(bits)  # a fourth of no known meaning
        planes = [tiff_samples(None, directory.plane(i, len(bits)).written()) for i in range(count)]
        if any(each is None for each in planes) or 1 in directory.values(tiff.EXTRA):
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
            return None  # premultiplied: the upper byte will do
        return Samples(two_bytes(plain), read.mode, **found)
    codec, swapped = read.tile[0][0], raw_mode(plain) in ("I;16BS", "I;32BS", "F;32BF")
    read.load()
    if not is_deep(read):
        return None
    values = np.asarray(read)
    if codec == "libtiff" and swapped and sys.byteorder == "little":  # by libtiff, and again by Pillow
        if bits[0] == 16:
            values = values.astype(np.int16).byteswap().astype(np.int64)
        else:
            values = values.byteswap()
    return Samples(values, "L", **found)


def unpacked(directory: tiff.Directory, bits: int, kind: str | None = None) -> tuple[np.ndarray, str]:
    """-> (samples, bands) of what Pillow does not know: 9 to 15 bits, or numbers of a numpy kind. The rows are read as
    bytes, with which every row begins anew; there the first bit is the highest. Raises ValueError for other orders."""
    width, height = directory.values(tiff.WIDTH)[0], directory.values(tiff.HEIGHT)[0]
    per_pixel, extra = directory.values(tiff.SAMPLES, (1,))[0], directory.values(tiff.EXTRA)
    bands = {(1, 0): "L", (2, 1): "LA", (3, 0): "RGB", (4, 1): "RGBA"}.get((per_pixel, len(extra)))
    apart = directory.values(tiff.PLANAR, (1,))[0] != 1 and per_pixel > 1
    predicted = directory.values(tiff.PREDICTOR, (1,))[0] != 1
    if bands is None or apart or predicted or tiff.TILED in directory.entries or 1 in extra:
        raise ValueError(f"a TIFF of {bits} bits in an arrangement that cannot be read")
    directory.entries.pop(tiff.EXTRA, None)
    row = -(-width * per_pixel * bits // 8)
    for tag, value in ((tiff.WIDTH, row), (tiff.BITS, 8), (tiff.SAMPLES, 1), (tiff.PHOTOMETRIC, 1)):
        directory.set(tag, value)
    directory.entries.pop(tiff.FORMAT, None)
    with Image.open(io.BytesIO(directory.written())) as image:
        stream = np.asarray(image)
    if kind is None:
        stream = np.unpackbits(stream, axis=1)[:, : width * per_pixel * bits].reshape(height, -1, bits)
        values = (stream * (1 << np.arange(bits - 1, -1, -1))).sum(2).astype(np.uint16)
    else:
        values = np.ascontiguousarray(stream).view(kind)
        values = values.astype(np.float64 if "f" in kind else np.int64)
    values = values.reshape((height, width) if per_pixel == 1 else (height, width, per_pixel))
    if extra == (0,):  # a fourth sample of no known meaning
        values, bands = (values[..., 0], "L") if bands == "LA" else (values[..., :3], "RGB")
    return values, bands


def ppm_samples(image: Image.Image, data: bytes) -> Samples | None:
    """Of a PGM or PPM, whose head says what white is; Pillow brings it to 65535 or 255."""
    with Image.open(io.BytesIO(data)) as head:
        codec, _, offset, options = head.tile[0]
    white = 65535 if isinstance(options, str) and "16" in options else options[-1] if isinstance(options, tuple) else 0
    white = 65535 if isinstance(options, tuple) and "16" in str(options[0]) else white
    if not isinstance(white, int) or white <= 255:
        return None
    if codec == "ppm_plain":
        if image.mode != "I":
            return None
        values = np.rint(np.asarray(image) * (white / 65535)).astype(np.int64)
    else:
        shape = (image.height, image.width) if image.mode == "I" else (image.height, image.width, 3)
        count = int(np.prod(shape))
        values = np.frombuffer(data, ">u2", count, offset).astype(np.uint16).reshape(shape)
        if values.max() > white:
            raise ValueError(f"a value of {values.max()}, more than the {white} that its head says is white")
    return Samples(values, "L" if image.mode == "I" else "RGB", None if white == 65535 else white)


def sgi_samples(data: bytes) -> Samples:
    """Of an SGI image of 16 bits that is not packed: a head of 512 bytes, then every channel from the lowest row up."""
    dimension, width, height, channels = struct.unpack_from(">4H", data, 4)
    channels = channels if dimension == 3 else 1
    planes = np.frombuffer(data, ">u2", width * height * channels, 512).reshape(channels, height, width)[:, ::-1]
    values = np.moveaxis(planes, 0, 2).astype(np.uint16)
    return Samples(values[..., 0] if channels == 1 else values, {1: "L", 3: "RGB", 4: "RGBA"}[channels])


def fits_samples(image: Image.Image, data: bytes) -> Samples:
    """Of a FITS image, whose numbers are signed and stand for BSCALE times themselves plus BZERO."""
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
