"""PNG files of our own encoder are PNG files, and its decoder takes no others."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from transgan.data import quick_png


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 9, 3), (16, 16, 3), (33, 2, 3)])
def test_pillow_reads_what_is_encoded(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = quick_png.encode(pixels)
    image = Image.open(io.BytesIO(data))
    image.verify()
    assert image.mode == ("L" if len(shape) == 2 else "RGB")
    assert np.array_equal(Image.open(io.BytesIO(data)), pixels)
    decoded = quick_png.decode(data)
    assert np.array_equal(decoded.reshape(shape), pixels) and decoded.flags.writeable


def test_other_files_are_left_to_pillow():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    for form, mode in (("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA"), ("JPEG", "RGB"), ("WEBP", "RGB")):
        file = io.BytesIO()
        image.convert(mode).save(file, form)
        assert quick_png.decode(file.getvalue()) is None
    assert quick_png.decode(b"") is None and quick_png.decode(quick_png.SIGN) is None


def test_damage_is_found():
    data = bytearray(quick_png.encode(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)))
    data[80] ^= 255
    with pytest.raises(zlib.error):
        quick_png.decode(bytes(data))
    assert quick_png.decode(bytes(data[:-1])) is None
