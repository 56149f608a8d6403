"""What `transgan data prepare` leaves in a zip beside the images, and how training trusts it."""

import io
import json
from typing import Any

import numpy as np
import torch
from PIL import Image

from transgan.data import quick_png
from transgan.files import hash_of

RECORD = "transgan.json"
FORMAT = "transgan prepared images"
NEEDED = {"labels": str, "resolution": int, "class_names": list, "fingerprints": dict}  # of what training reads


def read_record(data: bytes) -> dict[str, Any] | None:
    """The record of a prepared zip; None if it is another file, incomplete, or of a later version."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("version") != 1:
        return None
    return record if all(isinstance(record.get(key), kind) for key, kind in NEEDED.items()) else None


def hash_of_files(files: list[tuple[str, Any]]) -> str:
    """Of names and checksums, in order: the hexadecimal digest that tells whether the images are those prepared."""
    return hash_of("\n".join(f"{name}\t{stamp[1]}" for name, stamp in files))


def plain_pixels(data: bytes, resolution: int, channels: int) -> torch.Tensor | None:
    """A stored image as uint8 (channels, resolution, resolution); None if it is not one that was prepared at this size:
    others may have metadata or transparency."""
    pixels = quick_png.decode(data)
    if pixels is None and data[12:16] != b"VP8L":  # a lossless WebP without anything else
        return None
    if pixels is None or pixels.shape[2] == 3 and channels == 1:
        image: Image.Image = Image.open(io.BytesIO(data))
        if image.mode not in ("L", "RGB"):
            return None
        mode = "L" if channels == 1 else "RGB"
        image = image if image.mode == mode else image.convert(mode)
        pixels = np.array(image).reshape(image.height, image.width, -1)
    if pixels.shape[:2] != (resolution, resolution):
        return None
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    return planes.contiguous() if planes.shape[0] == channels else planes.expand(channels, -1, -1).contiguous()


class Kept:
    """Images that are kept in memory once they have been read, of a set that is not read before training begins."""

    def __init__(self, count: int, channels: int, resolution: int) -> None:
        self.pixels = torch.empty(count, channels, resolution, resolution, dtype=torch.uint8)  # taken page by page
        self.known = bytearray(count)

    def get(self, index: int) -> torch.Tensor | None:
        return self.pixels[index].clone() if self.known[index] else None

    def put(self, index: int, pixels: torch.Tensor) -> None:
        self.pixels[index] = pixels
        self.known[index] = 1
