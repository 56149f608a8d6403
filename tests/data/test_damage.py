"""Files of which a part is missing, and whose decoders say nothing; and whole ones that look like them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from transgan.data.damage import Cut
from transgan.data.decode import decode
from transgan.data.inspection.traits import Broken, inspect

CODED = {
    "jpeg": ("JPEG", {}), "optimised jpeg": ("JPEG", {"optimize": True}), "jpeg with restarts":
    ("JPEG", {"restart_marker_rows": 1}), "progressive jpeg": ("JPEG", {"progressive": True}), "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
}  # fmt: skip
JPEGS = [name for name in CODED if "jpeg" in name]


def coded(image, name):
    kind, options = CODED[name]
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(side=160, mode="RGB"):
    noise = np.random.default_rng(0).integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).convert(mode)


def place(data, share):
    """A byte among the pixels of a file."""
    start = max(data.find(b"\xff\xda"), 40) + 20
    return start + int((len(data) - start) * share)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_that_was_cut_and_closed(name, mode):
    data = coded(photo(mode=mode), name)
    assert decode(data, 8, 3)[1] == (160, 160)
    for share in (0.1, 0.4):
        cut = data[: place(data, share)] + b"\xff\xd9"
        with pytest.raises((Cut, OSError), match="truncated"):
            decode(cut, 8, 3)
        found = inspect(cut, 8)
        assert isinstance(found, Broken) and found.kind == "truncated", found


@pytest.mark.parametrize("name", CODED)
def test_a_hole_of_zeros(name):
    data = bytearray(coded(photo(), name))
    at = place(data, 0.4)
    data[at : at + 400] = bytes(400)
    found = inspect(bytes(data), 8)
    assert isinstance(found, Broken) and found.kind == "truncated" and "zeros" in found.reason, found


@pytest.mark.parametrize("name", ["WEBP", "AVIF", "GIF"])
def test_what_is_missing_is_to_be_copied_again(name):
    file = io.BytesIO()
    photo().save(file, name)
    data = file.getvalue()
    cut = data[: len(data) // 2]
    for left in (cut, cut + bytes(len(data) - len(cut)), cut + data[-1:]):
        found = inspect(left, 8)
        assert isinstance(found, Broken) and found.kind == "truncated", found


def bordered(colour, below):
    """A photograph with a plain part, as of scans, screenshots and films."""
    image = Image.new("RGB", (400, 400), colour)
    image.paste(photo(400).crop((0, 0, 400, 400 - below)), (0, 0 if below == 250 else below // 2))
    return image


def plain_pages():
    page = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(page).text((10, 10), "Dear Sir or Madam", fill=0)
    ramp = np.linspace(255, 128, 400).astype(np.uint8)
    return {
        "page": page, "grey": Image.new("RGB", (400, 400), (128, 128, 128)), "white": Image.new("L", (400, 400), 255),
        "grey below": bordered((128, 128, 128), 250), "grey around": bordered((128, 128, 128), 100),
        "white below": bordered((255, 255, 255), 250), "black around": bordered((0, 0, 0), 100),
        "gradient": Image.fromarray(np.tile(ramp[:, None], (1, 400))),
    }  # fmt: skip


@pytest.mark.parametrize("what", plain_pages())
@pytest.mark.parametrize("name", CODED)
def test_plain_parts_are_no_damage(name, what):
    data = coded(plain_pages()[what], name)
    for whole in (data, data + bytes(500)):
        assert decode(whole, 8, 3)[1] == (400, 400)
        assert not isinstance(inspect(whole, 32), Broken)


def test_large_plain_parts_of_a_webp_are_coded_as_zeros():
    image = Image.new("RGB", (1500, 1500), (128, 128, 128))
    image.paste(photo(1500).crop((0, 0, 1500, 300)), (0, 0))
    data = coded(image, "webp")
    assert bytes(64) in data and decode(data, 8, 3)[1] == (1500, 1500)
