"""Good pixels beside bad metadata: read as they are. Bad pixels: refused, whatever the metadata."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter, PngImagePlugin

from transgan.data import quick_png
from transgan.data.decode import decode

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def saved(form, pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def chunk(name, content, crc=None):
    crc = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", crc)


def with_chunk(part, before=b"IDAT", **options):
    data = saved("PNG", **options)
    at = data.index(before) - 4
    return data[:at] + part + data[at:]


def exif(*entries, order="<"):
    """An EXIF block of entries (tag, type, count, four bytes)."""
    table = b"".join(struct.pack(f"{order}HHL", tag, kind, count) + raw for tag, kind, count, raw in entries)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8)
    return b"Exif\0\0" + head + struct.pack(f"{order}H", len(entries)) + table + b"\0\0\0\0"


def with_segments(*segments, **options):
    data = saved("JPEG", quality=100, subsampling=0, **options)
    parts = [b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content for marker, content in segments]
    return data[:2] + b"".join(parts) + data[2:]


def with_tag(tag, kind, count, raw):
    """A TIFF with one more tag, whatever it says."""
    data = saved("TIFF")
    at = struct.unpack_from("<L", data, 4)[0]
    count_of = struct.unpack_from("<H", data, at)[0]
    entries = [data[at + 2 + 12 * i :][:12] for i in range(count_of)]
    entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != tag]
    entries = sorted([*entries, struct.pack("<HHL", tag, kind, count) + raw], key=lambda e: struct.unpack_from("<H", e))
    data += b"\0" * (len(data) % 2)
    pointer = struct.pack("<L", len(data))
    return data[:4] + pointer + data[8:] + struct.pack("<H", len(entries)) + b"".join(entries) + b"\0" * 4


TURN = (0x0112, 3, 1, b"\x06\0\0\0")  # orientation 6: a quarter clockwise
LARGE = zlib.compress(b"x" * (PngImagePlugin.MAX_TEXT_CHUNK + 10))
GOOD = {
    "png, checksum of a text": with_chunk(chunk(b"tEXt", b"Comment\0hello", crc=1)),
    "png, checksum of a time": with_chunk(chunk(b"tIME", b"\x07\xe8\1\1\0\0\0", crc=1)),
    "png, checksum after the pixels": with_chunk(chunk(b"tEXt", b"Comment\0hello", crc=1), before=b"IEND"),
    "png, a text too large": with_chunk(chunk(b"zTXt", b"Comment\0\0" + LARGE)),
    "png, an international text too large": with_chunk(chunk(b"iTXt", b"Comment\0\1\0\0\0" + LARGE)),
    "png, a text that does not unpack": with_chunk(chunk(b"zTXt", b"Comment\0\0nonsense")),
    "png, a text of another compression": with_chunk(chunk(b"zTXt", b"Comment\0\x07nonsense")),
    "png, a profile that does not unpack": with_chunk(chunk(b"iCCP", b"name\0\0nonsense")),
    "png, a profile of another compression": with_chunk(chunk(b"iCCP", b"name\0\5nonsense")),
    "png, a resolution cut short": with_chunk(chunk(b"pHYs", b"\0\0\1")),
    "png, a gamma cut short": with_chunk(chunk(b"gAMA", b"\0")),
    "png, chromaticities cut short": with_chunk(chunk(b"cHRM", b"\0\0\0")),
    "png, an intent that is empty": with_chunk(chunk(b"sRGB", b"")),
    "png, exif that is none": with_chunk(chunk(b"eXIf", b"nonsense")),
    "png, animation control cut short": with_chunk(chunk(b"acTL", b"\0\0")),
    "png, significant bits with a wrong checksum": with_chunk(chunk(b"sBIT", b"\x08\x08\x08", crc=1)),
    "webp, exif that is none": saved("WEBP", lossless=True, exif=b"nonsense"),
    "webp, xmp that is none": saved("WEBP", lossless=True, xmp=b"\xff\xfe<tiff:Orientation"),
    "tiff, resolution in letters": with_tag(282, 2, 4, b"abc\0"),
    "tiff, a profile beyond the end": with_tag(34675, 7, 10**6, struct.pack("<L", 10**7)),
    "tiff, exif beyond the end": with_tag(34665, 4, 1, struct.pack("<L", 10**7)),
    "tiff, a type that there is not": with_tag(700, 99, 3, b"abcd"),
    "tiff, a date of no count": with_tag(306, 2, 0, b"\0\0\0\0"),
    "tiff, orientation 77": with_tag(274, 3, 1, b"\x4d\0\0\0"),
    "tiff, orientation in letters": with_tag(274, 2, 4, b"six\0"),
    "gif, a comment of no letters": saved("GIF", PIXELS[..., 0], comment=b"\xff\xfe\0"),
}


@pytest.mark.parametrize("name", GOOD)
def test_pixels_beside_bad_metadata(name):
    pixels = decode(GOOD[name], 8, 3)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pixels, PIXELS if "gif" not in name else np.repeat(PIXELS[..., :1], 3, 2))


JPEG = {
    "jfif cut short": [(0xE0, b"JFIF\0")],
    "adobe marker cut short": [(0xEE, b"Adobe")],
    "both, and an odd one": [(0xE0, b"JFIF\0\1"), (0xEE, b"Adobe\0d"), (0xE2, b"MPF\0junk")],
    "multi-picture index that is none": [(0xE2, b"MPF\0nonsense")],
    "multi-picture index beyond the end": [(0xE2, b"MPF\0II*\0" + struct.pack("<LHHHLL", 8, 1, 45057, 4, 1, 9))],
    "profile of a part that is missing": [(0xE2, b"ICC_PROFILE\0\x05\x09abc")],
    "photoshop block cut short": [(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0")],
    "jfxx of nothing": [(0xE0, b"JFXX\0")],
    "adobe cut short": [(0xEC, b"Ducky\0\1")],
    "exif of nothing": [(0xE1, b"Exif\0\0")],
    "exif that is none": [(0xE1, b"Exif\0\0nonsense nonsense")],
    "exif with a table beyond the end": [(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f")],
    "orientation in letters": [(0xE1, exif((0x0112, 2, 4, b"six\0")))],
    "orientation 0": [(0xE1, exif((0x0112, 3, 1, b"\0\0\0\0")))],
    "orientation of no count": [(0xE1, exif((0x0112, 3, 0, b"\0\0\0\0")))],
    "comment of no letters": [(0xFE, b"\xff\xfe\0")],
}


@pytest.mark.parametrize("name", JPEG)
def test_jpeg_beside_bad_metadata(name):
    plain = decode(with_segments(), 8, 3)[0]
    assert np.array_equal(decode(with_segments(*JPEG[name]), 8, 3)[0], plain)


@pytest.mark.parametrize(
    "entries",
    [
        [TURN],
        [(0x0110, 3, 1, b"\x07\0\0\0"), TURN],  # a camera's name as a number
        [TURN, (0x011A, 2, 4, b"abc\0"), (0x011B, 9, 1, b"\xff\xff\xff\xff")],
        [TURN, (0x0128, 4, 1, b"\xff\xff\xff\xff")],
        [TURN, (0x0132, 5, 1, struct.pack("<L", 10**8))],  # a date as a fraction beyond the end
        [TURN, (0x8769, 4, 1, struct.pack("<L", 10**8))],  # the table of the camera beyond the end
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_with_one_odd_tag_is_turned(entries, form):
    block = exif(*entries)
    if form == "JPEG":
        data, flat = with_segments((0xE1, block)), with_segments()
    elif form == "PNG":
        data, flat = with_chunk(chunk(b"eXIf", block[6:])), saved("PNG")
    else:
        data, flat = saved("WEBP", lossless=True, exif=block), saved("WEBP", lossless=True)
    expected = np.rot90(decode(flat, 8, 3)[0].permute(1, 2, 0).numpy(), -1)
    assert np.array_equal(decode(data, 8, 3)[0].permute(1, 2, 0).numpy(), expected)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


LARGER = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
PNG = saved("PNG", LARGER)
BAD = {
    "png cut short": PNG[: len(PNG) // 2],
    "png cut short, with a bad text": with_chunk(chunk(b"tEXt", b"a\0b", crc=1), pixels=LARGER)[: len(PNG) // 2],
    "png of a damaged head": flipped(PNG, 18),
    "png of damaged pixels": flipped(PNG, len(PNG) // 2),
    "png with a damaged transparency": with_chunk(chunk(b"tRNS", b"\0\1\0\1\0\1", crc=1)),
    "jpeg cut short": saved("JPEG", LARGER, quality=100)[:3000],
    "tiff cut short": saved("TIFF", LARGER, compression="tiff_deflate")[:6000],
    "webp cut short": saved("WEBP", LARGER, lossless=True)[:3000],
    "gif cut short": saved("GIF", LARGER[..., 0])[:1000],
    "text": b"not a picture",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pixels_are_refused(name):
    with pytest.raises(Exception, match=".") as caught:
        decode(BAD[name], 8, 3)
    assert not isinstance(caught.value, AssertionError)


@pytest.mark.parametrize("start", [0.5, 0.9])
@pytest.mark.parametrize("mode", ["1", "P", "RGB"])
def test_a_png_whose_end_never_reached_the_disk_is_refused(mode, start):
    """Zeros there unpack to something: only the checksums tell."""
    picture = Image.fromarray(LARGER).resize((120, 120)).filter(ImageFilter.GaussianBlur(1)).convert(mode)
    data = saved("PNG", np.asarray(picture))
    whole = data[: int(start * len(data))]
    with pytest.raises((ValueError, OSError), match="damaged|broken|truncated"):
        decode(whole + bytes(len(data) - len(whole)), 8, 3)


@pytest.mark.parametrize("cut", [0, 4, 12, 20])
def test_a_png_with_all_of_its_pixels_is_read_whatever_its_checksums(cut):
    at = PNG.index(b"IDAT") + 4
    length = int.from_bytes(PNG[at - 8 : at - 4], "big")
    data = flipped(PNG, at + length)  # of the chunk, where that of the pixels is right
    pixels = decode(data[: len(data) - cut], 64, 3)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pixels, LARGER)


@pytest.mark.parametrize("read", [lambda data: decode(data, 8, 3), quick_png.decode])
@pytest.mark.parametrize("crc", [None, 1])
def test_pixels_that_unpack_to_more_than_the_header_says_take_no_memory(read, crc):
    head = struct.pack(">2L5B", 8, 8, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1 << 26)), crc)
    data = PNG[:8] + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")
    tracemalloc.start()
    read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 23


def test_a_transparent_part_of_a_turned_picture_turns_with_it():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 3] = 255  # black above, transparent below
    block = exif((0x0112, 3, 1, b"\x03\0\0\0"))  # upside down
    data = saved("PNG", pixels, exif=block[6:])
    image = decode(data, 8, 1)[0][0]
    assert (image[:4] == 255).all() and (image[4:] == 0).all()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
def test_many_images_in_one_picture_are_known_in_every_format_that_can_say_it(tmp_path, suffix):
    import torch

    from transgan.callbacks.samples import save_grid

    save_grid(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), tmp_path / f"a{suffix}", 2)
    with pytest.raises(ValueError, match="a grid of generated images made by transgan"):
        decode((tmp_path / f"a{suffix}").read_bytes(), 8, 3)
