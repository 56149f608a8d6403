"""Formats, bit depths and photometry, beside pixels worked out by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from transgan.data.decode import decode


def tiff(values, bits, order="<", photometric=1, form=1, compression=1, predictor=1, extra=(), planar=1):
    """A TIFF of one strip, bit by bit. values: (H, W) or (H, W, C)."""
    values = np.asarray(values)
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    if bits in (16, 32, 64):
        kind = {1: "u", 2: "i", 3: "f"}[form]
        stored = values.astype(np.int64 if predictor == 2 else values.dtype)
        stored = np.moveaxis(stored, 2, 0) if planar == 2 else stored
        if predictor == 2:
            stored = np.diff(stored, axis=1, prepend=np.zeros_like(stored[:, :1]))
        body = stored.astype(f"{order}{kind}{bits // 8}").tobytes()
    else:
        rows = np.moveaxis(values, 2, 0).reshape(-1, width) if planar == 2 else values.reshape(height, -1)
        words = [[f"{int(v):0{bits}b}" for v in row] for row in rows]
        lines = ["".join(row) for row in words]
        body = b"".join(int(x.ljust(-(-len(x) // 8) * 8, "0"), 2).to_bytes(-(-len(x) // 8), "big") for x in lines)
    body = zlib.compress(body) if compression == 8 else body
    strips = samples if planar == 2 else 1
    tags = {
        256: (3, [width]), 257: (3, [height]), 258: (3, [bits] * samples), 259: (3, [compression]),
        262: (3, [photometric]), 277: (3, [samples]), 278: (3, [height]),
        273: (4, [8 + i * len(body) // strips for i in range(strips)]), 279: (4, [len(body) // strips] * strips),
        284: (3, [planar]), 317: (3, [predictor]), 339: (3, [form] * samples),
    }  # fmt: skip
    if extra:
        tags[338] = (3, list(extra))
    body += b"\0" * (len(body) % 2)
    table, far, after = b"", b"", 8 + len(body) + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'L'}", *numbers)
        if len(raw) > 4:
            far += raw
            raw = struct.pack(f"{order}L", after + len(far) - len(raw))
        table += struct.pack(f"{order}HHL", tag, kind, len(numbers)) + raw.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + table + b"\0" * 4 + far


def chunk(name, content):
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def png(values, bits, colour=0, before=(), interlaced=False):
    """A PNG, unfiltered. values: (H, W) or (H, W, C); colour: 0 gray, 2 RGB, 3 indexed, 4 gray and alpha, 6 RGBA."""
    values = np.asarray(values)
    height, width = values.shape[:2]
    if bits == 16:
        passes = [values[y::v, x::h] for y, x, v, h in ADAM7] if interlaced else [values]
        rows = [row.astype(">u2").tobytes() for part in passes for row in part if row.size]
    else:
        words = ["".join(f"{int(v):0{bits}b}" for v in row.reshape(-1)) for row in values]
        rows = [int(x.ljust(-(-len(x) // 8) * 8, "0"), 2).to_bytes(-(-len(x) // 8), "big") for x in words]
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    head = struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    parts = [chunk(b"IHDR", head), *(chunk(*each) for each in before), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pgm(values, white, kind="P5"):
    values = np.asarray(values)
    body = values.astype(">u2" if white > 255 else "u1").tobytes()
    if kind in ("P2", "P3"):
        body = " ".join(map(str, values.reshape(-1).tolist())).encode() + b"\n"
    return f"{kind}\n{values.shape[1]} {values.shape[0]}\n{white}\n".encode() + body


def fits(values, bits, **head):
    """A FITS image, from the lowest row up."""
    cards = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": 2, "NAXIS2": 2, **head}
    text = "".join(f"{name:<8}= {value:>20} / a comment".ljust(80) for name, value in cards.items()) + "END"
    kind = {8: "u1", 16: ">i2", 32: ">i4", -32: ">f4"}[bits]
    body = np.asarray(values)[::-1].astype(kind).tobytes()
    return text.ljust(2880).encode() + body.ljust(2880, b"\0")


def sgi(values):
    values = np.asarray(values).reshape(2, 2, -1)
    head = struct.pack(">HBBHHHHLL", 474, 0, 2, 3 if values.shape[2] > 1 else 2, 2, 2, values.shape[2], 0, 65535)
    return head.ljust(512, b"\0") + np.moveaxis(values, 2, 0)[:, ::-1].astype(">u2").tobytes()


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def jpeg2000_of_12(values):
    """Written as 16 bits, with the head of 12: only the offset of half the range differs between the two."""
    stored = (np.asarray(values) - 2048 + 32768).astype(np.uint16)
    data = bytearray(saved(Image.fromarray(stored), "JPEG2000", irreversible=False))
    data[data.index(b"ihdr") + 4 + 10] = 11
    data[data.index(b"\xff\x4f\xff\x51") + 42] = 11
    return bytes(data)


def row(*values):
    """Two rows, so that the image is square for four values in two columns."""
    return np.array(values).reshape(2, 2, *np.array(values).shape[1:])


GRAY = row(0, 1000, 2048, 4095)  # of 4095: 0, 62.27, 127.53, 255
TWELVE = [0, 62, 128, 255]
DEEP = row(0, 1000, 32768, 65535)  # of 65535: 0, 3.89, 127.5, 255
SIXTEEN = [0, 4, 128, 255]
COLOURS = row([0, 65535, 1000], [65535, 0, 32768], [257, 514, 771], [65535, 65535, 65535])
IN_COLOUR = [(0, 255, 4), (255, 0, 128), (1, 2, 3), (255, 255, 255)]
COLOURS12 = row([0, 4095, 1000], [4095, 0, 2048], [16, 32, 48], [4095, 4095, 4095])
IN_COLOUR12 = [(0, 255, 62), (255, 0, 128), (1, 2, 3), (255, 255, 255)]


def alpha(values, *column):
    return np.concatenate([np.asarray(values).reshape(2, 2, -1), row(*column)[..., None]], 2)


TABLE = {
    "tiff 12": (tiff(GRAY, 12), TWELVE),
    "tiff 12 big-endian": (tiff(GRAY, 12, ">"), TWELVE),
    "tiff 12 white is zero": (tiff(4095 - GRAY, 12, photometric=0), TWELVE),
    "tiff 12 deflate": (tiff(GRAY, 12, compression=8), TWELVE),
    "tiff 12 of odd width": (tiff(np.full((3, 3), 2048), 12), [128] * 9),
    "tiff 10": (tiff(row(0, 250, 512, 1023), 10), [0, 62, 128, 255]),
    "tiff 14": (tiff(row(0, 4000, 8192, 16383), 14, ">"), [0, 62, 128, 255]),
    "tiff 9": (tiff(row(0, 125, 256, 511), 9), [0, 62, 128, 255]),
    "tiff 12 colour": (tiff(COLOURS12, 12, photometric=2), IN_COLOUR12),
    "tiff 12 only dark": (tiff(row(0, 1, 2, 16), 12), [0, 0, 0, 1]),
    "tiff 16": (tiff(DEEP, 16), SIXTEEN),
    "tiff 16 big-endian": (tiff(DEEP, 16, ">"), SIXTEEN),
    "tiff 16 deflate": (tiff(DEEP, 16, compression=8), SIXTEEN),
    "tiff 16 big-endian deflate": (tiff(DEEP, 16, ">", compression=8), SIXTEEN),
    "tiff 16 white is zero": (tiff(65535 - DEEP, 16, photometric=0), SIXTEEN),
    "tiff 16 white is zero, big-endian": (tiff(65535 - DEEP, 16, ">", photometric=0), SIXTEEN),
    "tiff 16 white is zero, deflate": (tiff(65535 - DEEP, 16, ">", photometric=0, compression=8), SIXTEEN),
    "tiff 12 in 16": (tiff(GRAY, 16), TWELVE),
    "tiff 12 in 16 white is zero": (tiff(4095 - GRAY, 16, photometric=0), TWELVE),
    "tiff 16 signed": (tiff(row(0, 16384, 8192, 32767), 16, form=2), [0, 128, 64, 255]),
    "tiff 12 in 16 signed": (tiff(GRAY, 16, ">", form=2), TWELVE),
    "tiff 12 in 16 in planes": (tiff(COLOURS12, 16, photometric=2, planar=2), IN_COLOUR12),
    "tiff 32": (tiff(DEEP, 32), SIXTEEN),
    "tiff 32 of 8": (tiff(row(0, 51, 102, 255), 32), [0, 51, 102, 255]),
    "tiff 16 colour": (tiff(COLOURS, 16, photometric=2), IN_COLOUR),
    "tiff 16 colour big-endian": (tiff(COLOURS, 16, ">", photometric=2), IN_COLOUR),
    "tiff 16 colour deflate": (tiff(COLOURS, 16, photometric=2, compression=8), IN_COLOUR),
    "tiff 16 colour, predictor": (tiff(COLOURS, 16, photometric=2, compression=8, predictor=2), IN_COLOUR),
    "tiff 12 in 16 colour": (tiff(COLOURS12, 16, ">", photometric=2), IN_COLOUR12),
    "tiff 16 colour in planes": (tiff(COLOURS, 16, ">", photometric=2, planar=2), IN_COLOUR),
    "tiff 12 colour in planes": (tiff(COLOURS12, 12, photometric=2, planar=2), IN_COLOUR12),
    "tiff 8 colour in planes": (
        tiff(COLOURS >> 8, 8, photometric=2, planar=2),
        [tuple(c) for c in (COLOURS >> 8).reshape(4, 3).tolist()],
    ),
    "tiff 16 alpha": (
        tiff(alpha(COLOURS, 65535, 65535, 0, 65535), 16, photometric=2, extra=(2,)),
        [(0, 255, 4), (255, 0, 128), (255, 255, 255), (255, 255, 255)],
    ),
    "tiff float to 1": (tiff(np.float32(row(0, 0.2, 0.5, 1)), 32, form=3), [0, 51, 128, 255]),
    "tiff float to 1, white is zero": (tiff(np.float32(row(1, 0.8, 0.5, 0)), 32, ">", 0, 3), [0, 51, 127, 255]),
    "tiff float to 255": (tiff(np.float32(row(0, 51.2, 99.6, 255)), 32, form=3), [0, 51, 100, 255]),
    "tiff float 64": (tiff(row(0, 0.2, 0.4, 1.0), 64, form=3), [0, 51, 102, 255]),
    "tiff float 16": (tiff(np.float16(row(0, 0.2, 0.4, 1)), 16, ">", form=3), [0, 51, 102, 255]),
    "tiff float colour": (
        tiff(np.float32(COLOURS / 65535), 32, ">", photometric=2, form=3),
        IN_COLOUR,
    ),
    "tiff 16 gray and alpha": (tiff(alpha(DEEP, 65535, 65535, 0, 65535), 16, extra=(2,)), [0, 4, 255, 255]),
    "tiff 16 gray and one more": (tiff(alpha(DEEP, 65535, 65535, 0, 65535), 16, extra=(0,)), SIXTEEN),
    "tiff 8 white is zero": (tiff(255 - row(0, 51, 102, 255), 8, photometric=0), [0, 51, 102, 255]),
    "tiff 4": (tiff(row(0, 1, 8, 15), 4), [0, 17, 136, 255]),
    "tiff 4 white is zero": (tiff(15 - row(0, 1, 8, 15), 4, photometric=0), [0, 17, 136, 255]),
    "tiff 2": (tiff(row(0, 1, 2, 3), 2), [0, 85, 170, 255]),
    "tiff 1": (tiff(row(0, 1, 1, 0), 1), [0, 255, 255, 0]),
    "tiff 1 white is zero": (tiff(row(0, 1, 1, 0), 1, photometric=0), [255, 0, 0, 255]),
    "png 16": (png(DEEP, 16), SIXTEEN),
    "png 12 in 16": (png(GRAY, 16), TWELVE),
    "png 12 in 16 to the left": (png(GRAY << 4, 16, before=[(b"sBIT", b"\x0c")]), TWELVE),
    "png 12 in 16 named, only dark": (png(row(0, 1, 2, 16), 16, before=[(b"sBIT", b"\x0c")]), [0, 0, 0, 1]),
    "png 10 in 16": (png(row(0, 250, 512, 1023), 16), [0, 62, 128, 255]),
    "png 14 in 16": (png(row(0, 4000, 8192, 16383), 16), [0, 62, 128, 255]),
    "png 8 in 16": (png(row(0, 51, 102, 255), 16), [0, 51, 102, 255]),
    "png 16 transparent": (png(DEEP, 16, before=[(b"tRNS", b"\x80\0")]), [0, 4, 255, 255]),
    "png 16 colour": (png(COLOURS, 16, 2), IN_COLOUR),
    "png 16 colour transparent": (
        png(COLOURS, 16, 2, before=[(b"tRNS", struct.pack(">3H", 257, 514, 771))]),
        [(0, 255, 4), (255, 0, 128), (255, 255, 255), (255, 255, 255)],
    ),
    "png 16 interlaced": (png(DEEP, 16, interlaced=True), SIXTEEN),
    "png 16 colour interlaced": (png(COLOURS, 16, 2, interlaced=True), IN_COLOUR),
    "png 16 gray and alpha interlaced": (
        png(alpha(DEEP, 65535, 65535, 0, 65535), 16, 4, interlaced=True),
        [0, 4, 255, 255],
    ),
    "png 12 in 16 colour": (png(COLOURS12, 16, 2), IN_COLOUR12),
    "png 16 gray and alpha": (png(alpha(DEEP, 65535, 65535, 0, 65535), 16, 4), [0, 4, 255, 255]),
    "png 16 colour and alpha": (
        png(alpha(COLOURS, 65535, 65535, 0, 65535), 16, 6),
        [(0, 255, 4), (255, 0, 128), (255, 255, 255), (255, 255, 255)],
    ),
    "png 12 in 16 and alpha of 16": (png(alpha(GRAY, 65535, 65535, 65535, 0), 16, 4), [0, 62, 128, 255]),
    "png 4": (png(row(0, 1, 8, 15), 4), [0, 17, 136, 255]),
    "png 2": (png(row(0, 1, 2, 3), 2), [0, 85, 170, 255]),
    "png 1": (png(row(0, 1, 1, 0), 1), [0, 255, 255, 0]),
    "png 4 transparent": (png(row(0, 1, 8, 15), 4, before=[(b"tRNS", b"\0\x08")]), [0, 17, 255, 255]),
    "png 2 transparent": (png(row(0, 1, 2, 3), 2, before=[(b"tRNS", b"\0\x01")]), [0, 255, 170, 255]),
    "png 1 transparent": (png(row(0, 1, 1, 0), 1, before=[(b"tRNS", b"\0\0")]), [255, 255, 255, 255]),
    "png 8 transparent": (png(row(0, 51, 102, 255), 8, before=[(b"tRNS", b"\0\x33")]), [0, 255, 102, 255]),
    "png indexed": (
        png(row(0, 1, 2, 1), 2, 3, before=[(b"PLTE", bytes([0, 0, 0, 10, 200, 30, 255, 0, 0]))]),
        [(0, 0, 0), (10, 200, 30), (255, 0, 0), (10, 200, 30)],
    ),
    "pgm 4095": (pgm(GRAY, 4095), TWELVE),
    "pgm 1023": (pgm(row(0, 250, 512, 1023), 1023), [0, 62, 128, 255]),
    "pgm 4095 only dark": (pgm(row(0, 1, 2, 16), 4095), [0, 0, 0, 1]),
    "pgm 4095 as text": (pgm(GRAY, 4095, "P2"), TWELVE),
    "pgm 65535": (pgm(DEEP, 65535), SIXTEEN),
    "pgm 15": (pgm(row(0, 1, 8, 15), 15), [0, 17, 136, 255]),
    "ppm 4095": (pgm(COLOURS12, 4095, "P6"), IN_COLOUR12),
    "ppm 65535": (pgm(COLOURS, 65535, "P6"), IN_COLOUR),
    "ppm 4095 as text": (pgm(COLOURS12, 4095, "P3"), IN_COLOUR12),
    "pfm": (saved(Image.fromarray(np.float32(row(0, 0.2, 0.4, 1))), "PPM"), [0, 51, 102, 255]),
    "sgi 16": (sgi(DEEP), SIXTEEN),
    "sgi 12 in 16": (sgi(GRAY), TWELVE),
    "sgi 16 colour": (sgi(COLOURS), IN_COLOUR),
    "fits 16": (fits(row(0, 8192, 16384, 32767), 16), [0, 64, 128, 255]),
    "fits 12 in 16": (fits(GRAY, 16), TWELVE),
    "fits 16 without a sign": (fits(DEEP - 32768, 16, BZERO=32768, BSCALE="1.0"), SIXTEEN),
    "fits 32": (fits(DEEP, 32), SIXTEEN),
    "fits float": (fits(row(0, 0.2, 0.4, 1), -32), [0, 51, 102, 255]),
    "fits 8": (fits(row(0, 51, 102, 255), 8), [0, 51, 102, 255]),
    "jpeg 2000, 12": (jpeg2000_of_12(GRAY), TWELVE),
    "jpeg 2000, 16": (saved(Image.fromarray(DEEP.astype(np.uint16)), "JPEG2000", irreversible=False), SIXTEEN),
}


@pytest.mark.parametrize("name", TABLE)
def test_pixels(name):
    data, expected = TABLE[name]
    side = round(len(expected) ** 0.5)
    colour = isinstance(expected[0], tuple)
    pixels = decode(data, side, 3 if colour else 1)[0].permute(1, 2, 0).reshape(side * side, -1)
    assert [tuple(each) if colour else each[0] for each in pixels.tolist()] == expected


COLOUR = np.array([[[0, 10, 20], [30, 40, 50]], [[60, 70, 80], [90, 100, 1]]])
ALPHA = np.array([[1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("bits", "form", "white"),
    [(10, 1, 1023), (12, 1, 4095), (14, 1, 16383), (16, 1, 65535), (16, 2, 32767), (16, 3, 1), (32, 3, 1), (64, 3, 1)],
)
@pytest.mark.parametrize("planar", [1, 2])
def test_alpha_is_opaque_at_its_own_white(bits, form, white, planar):
    colour = COLOUR / 100 * white
    values = np.concatenate([colour, ALPHA[..., None] * white], 2)
    values = values.astype(f"f{bits // 8}") if form == 3 else np.rint(values).astype(np.int64)
    found = decode(tiff(values, bits, form=form, photometric=2, extra=(2,), planar=planar), 2, 3)[0]
    expected = np.where(ALPHA[..., None] == 1, np.rint(COLOUR * 2.55), 255)
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=1)


@pytest.mark.parametrize(("photometric", "values", "extra"), [
    (0, [[32767, 0], [16384, 8192]], ()), (1, [[32767, 0], [16384, 8192]], ()),
    (1, [[[32767, 9], [0, 9]], [[16384, 9], [8192, 9]]], (0,)),
    (2, np.repeat([[[32767], [0]], [[16384], [8192]]], 3, 2), ()),
])  # fmt: skip
def test_white_of_signed_numbers_is_half_of_that_of_others(photometric, values, extra):
    found = decode(tiff(values, 16, form=2, photometric=photometric, extra=extra), 2, 1)[0][0].tolist()
    assert found == ([[255, 0], [128, 64]] if photometric else [[0, 255], [127, 191]])


def test_signed_bytes():
    assert decode(tiff([[127, 0], [64, 32]], 8, form=2), 2, 1)[0][0].tolist() == [[255, 0], [129, 64]]
    with pytest.raises(ValueError, match="integer values -128 to 0"):
        decode(tiff([[128, 0], [0, 0]], 8, form=2), 2, 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize(("bits", "form", "white", "predictor"), [
    (16, 2, 32767, 1), (32, 2, 65535, 1), (32, 3, 1, 1), (32, 2, 65535, 2),
])  # fmt: skip
def test_packed_numbers_in_either_order_of_bytes(order, photometric, bits, form, white, predictor):
    values = np.array([[white, 0], [white / 2, white / 4]]).astype("f4" if form == 3 else np.int64)
    data = tiff(values, bits, order, photometric, form, compression=8, predictor=predictor)
    expected = np.array([[255, 0], [128, 64]])
    np.testing.assert_allclose(decode(data, 2, 1)[0][0], expected if photometric else 255 - expected, atol=1)
