"""Metadata never prevents pixels from being read: it is used where it is valid and dropped where it is not."""

import io
import re
import struct
import zlib

from PIL import ExifTags, Image

from transgan.data.tiff import Directory, pages

PNG = b"\x89PNG\r\n\x1a\n"
PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sBIT"}  # chunks that define the pixels
AT_ONCE = 1 << 20  # bytes of unpacked pixels
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def opened(data: bytes, least: int | None = None) -> tuple[Image.Image, bytes]:
    """The loaded image and the bytes it was read from: `data`, or `data` without the metadata that prevented reading.

    least: see `loaded`. Raises Pillow's error for the original file if its pixels cannot be read either way.
    """
    try:
        return loaded(data, least), data
    except Exception as error:
        first = error
    for less in (plain(data, exif=True), plain(data, exif=False)):
        if less not in (None, data):
            try:
                return loaded(less, least), less
            except Exception:  # noqa: BLE001, S112 - the first error describes the file
                continue
    raise first


def loaded(data: bytes, least: int | None = None) -> Image.Image:
    """The image of a file, its pixels read. A JPEG is read at a fraction of its size, with `least` pixels or more on
    its short side, where that is given."""
    image = Image.open(io.BytesIO(data))
    if reducible(data, least):
        assert least is not None
        image.draft(None, (-(-least * image.width // min(image.size)), -(-least * image.height // min(image.size))))
    image.load()  # raises if the file is truncated; Pillow rotates TIFF while loading
    if image.format == "PNG":
        intact_png(data)
    return image


def intact_png(data: bytes) -> None:
    """Raises ValueError where the pixels of a PNG that Pillow could read are not those that were saved: it leaves the
    checksums alone, and takes what a damaged stream happens to unpack to."""
    parts, good, whole, at = [], True, True, len(PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">L4s", data, at)
        if name == b"IDAT":
            end = at + 8 + length
            part = data[at + 8 : end]
            parts.append(part)
            good = good and zlib.crc32(part, zlib.crc32(name)).to_bytes(4, "big") == data[end : end + 4]
            whole = whole and len(part) == length
        elif parts:  # of an animation, what follows are further frames
            break
        at += 12 + length
    if good:
        return
    stream = zlib.decompressobj()  # a chunk's checksum may be wrong by itself; the stream has one of the pixels
    try:
        for part in parts:
            while len(stream.decompress(part, AT_ONCE)) == AT_ONCE:  # what it unpacks to may be without end
                part = stream.unconsumed_tail
        damaged = whole and not stream.eof
    except zlib.error:
        damaged = True
    if damaged:
        raise ValueError("damaged: its pixels are not those that were saved")


def reducible(data: bytes, least: int | None) -> bool:
    """Whether `loaded` may read a file at a fraction of its size."""
    return least is not None and data[:2] == b"\xff\xd8"


def header_size(data: bytes) -> tuple[int, int]:
    """The (width, height) that the header of an image file states."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def orientation(image: Image.Image) -> int:
    """The orientation of a loaded image by EXIF or XMP, 1 to 8; 1 if there is none or it is invalid."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata raises many kinds of errors
        return 1
    found = found[0] if isinstance(found, tuple) and len(found) == 1 else found
    return found if isinstance(found, int) and found in TURNS else 1


def software(image: Image.Image) -> str | None:
    """The program that wrote a loaded image, by EXIF; None if it is missing or invalid."""
    try:
        return image.getexif().get(ExifTags.Base.Software)
    except Exception:  # noqa: BLE001 - as above
        return None


def turned(image: Image.Image, number: int) -> Image.Image:
    """The image mirrored or rotated as its orientation says. Its metadata stay unchanged."""
    return image.transpose(TURNS[number]) if number in TURNS else image


def frames(image: Image.Image | None, data: bytes) -> int:
    """The number of pages or frames of a file; 1 for a PSD, whose first frame is all layers composed.

    image: as Pillow has read it, None for a TIFF that it does not support.
    """
    if image is None or image.format == "TIFF":
        return pages(data)
    if image.format in ("JPEG", "BMP", "PPM", "JPEG2000", "PSD"):
        return 1
    if isinstance(known := vars(image).get("n_frames"), int):
        return known
    try:
        with Image.open(io.BytesIO(data)) as again:
            return getattr(again, "n_frames", 1)
    except Exception:  # noqa: BLE001 - a later frame is damaged and not needed
        return 1


def plain(data: bytes, exif: bool) -> bytes | None:
    """The file without what its pixels do not need; None if it is of another format or cannot be parsed."""
    try:
        if data.startswith(PNG):
            return plain_png(data, exif)
        if data.startswith(b"\xff\xd8"):
            return plain_jpeg(data, exif)
        if data[:2] in (b"II", b"MM"):
            directory = Directory(data)
            if not exif:
                directory.entries.pop(ExifTags.Base.Orientation, None)
            return directory.written()
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return plain_webp(data, exif)
    except (ValueError, struct.error, IndexError):
        pass
    return None


def plain_png(data: bytes, exif: bool) -> bytes:
    keep, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">L4s", data, at)
        chunk = data[at : at + 12 + length]
        good = len(chunk) == 12 + length and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if name in PIXELS and (good or name != b"sBIT") or name == b"eXIf" and exif and good:
            keep.append(chunk)
        if name == b"IEND":
            break
        at += 12 + length
    return b"".join(keep)


def plain_jpeg(data: bytes, exif: bool) -> bytes:
    """Keeps JFIF (APP0) and Adobe (APP14), which define how colours are stored, and EXIF if `exif`."""
    keep, at = [data[:2]], 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in (0xDA, 0xD9):  # pixels follow
            break
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        part = data[at : at + length]
        short = (
            part[4:9] in (b"JFIF\0", b"Adobe") and length < 14
        )  # too short to mean anything, and unexpected by readers
        extra = short or 0xE1 <= marker <= 0xEF and marker != 0xEE or marker == 0xFE
        if not extra or exif and marker == 0xE1 and part[4:10] == b"Exif\0\0":
            keep.append(part)
        at += length
    return b"".join([*keep, data[at:]])


def plain_webp(data: bytes, exif: bool) -> bytes:
    keep, at = [], 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sL", data, at)
        part = data[at : at + 8 + length + length % 2]
        if name == b"VP8X":  # flags of the chunks that are left out
            part = part[:8] + bytes([part[8] & ~(0x24 if exif else 0x2C)]) + part[9:]
        if name not in (b"ICCP", b"XMP ") and (exif or name != b"EXIF"):
            keep.append(part)
        at += len(part) or 8
    body = b"WEBP" + b"".join(keep)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def content_of_chunk(data: bytes, wanted: bytes) -> bytes:
    """The content of the first PNG chunk of a name before the pixels; empty if there is none."""
    at = len(PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">L4s", data, at)
        if name == wanted:
            return data[at + 8 : at + 8 + length]
        if name == b"IDAT":
            break
        at += 12 + length
    return b""


def jpeg2000_bits(data: bytes) -> int:
    """Bits per sample of the first component, from the codestream's SIZ marker; 16 if there is none."""
    match = re.search(rb"\xff\x4f\xff\x51.{38}(.)", data[: 1 << 16], re.DOTALL)
    return (match[1][0] & 0x7F) + 1 if match else 16
