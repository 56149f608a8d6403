"""Parts of an image file that are missing without a word of its decoder.

Pillow does not pass on the warnings of libjpeg and libwebp, which make grey, smeared or flat areas of what they lack.
What a file decodes to when its end is another shows whether it was whole.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from transgan.data.metadata import header_size, loaded

ZEROS = 64  # bytes: few coded images have as many, and no JPEG at its end
SPARSE = 1_024  # pixels of a WebP or AVIF for each byte of zeros that may be right: flat areas take 3,600 and more
BEYOND = bytes(1 + 37 * i % 250 for i in range(2_048))  # read as pixels where a decoder lacks some


class Cut(ValueError):
    """A part of a file is missing: it has to be copied or downloaded again."""


def check_whole(data: bytes) -> None:
    """Raises Cut for zeros at the end of a file's pixels, before anything is decoded."""
    if (zeros := missing(data)) > 0:
        raise Cut(f"truncated file, its last {zeros:,} bytes are zeros")


def check_decoded(data: bytes, image: Image.Image, again: Callable[[bytes], Image.Image]) -> None:
    """Raises Cut where a decoder has made up a part of an image.

    image: what `data` decodes to, not yet turned; again: decodes other bytes in the same way.
    """
    zeros = image.format in ("JPEG", "WEBP") and has_zeros(data)
    if image.format == "WEBP" and zeros:
        most = may_be_zeros(image.size)
        for kind, start, end in chunks(data):
            if kind in (b"VP8 ", b"VP8L") and (at := data.find(bytes(most), start, end)) >= 0:
                raise Cut(f"a part is missing, {zeros_at(data, at):,} bytes in it are zeros")
    steps = "progressive" in image.info and not plainly_refined(data)
    if image.format != "JPEG" or not (zeros or steps or grey_end(image)):
        return
    start = first_scan(data)
    end = data.find(b"\xff\xd9", start)
    end = len(data) if end < 0 else end
    if steps and not refined(data, start, end):
        raise Cut("truncated file, its last scans are missing")
    at = data.find(bytes(ZEROS), start, end)
    if at >= 0 and not (coded_zeros(data, at) and exact(data, at)):
        raise Cut(f"a part is missing, {zeros_at(data, at):,} bytes in it are zeros")
    if grey_end(image) and needs_more(data, data.rfind(b"\xff\xda", start, end), image, again):
        raise Cut("truncated file, the rest of it is grey")


def has_zeros(data: bytes) -> bool:
    """Whether ZEROS bytes are zeros, or eight of a large file: it is looked at every 32 bytes."""
    if len(data) < 4_096:
        return bytes(ZEROS) in data
    return not np.frombuffer(data, np.uint64, len(data) // 8)[::4].all()


def may_be_zeros(size: tuple[int, int]) -> int:
    """Bytes of zeros that a WebP or AVIF of a (width, height) does not have: coders of flat areas do write some."""
    return max(ZEROS, size[0] * size[1] // SPARSE)


def zeros_at(data: bytes, at: int) -> int:
    return len(data) - at - len(data[at:].lstrip(b"\0"))


def grey_end(image: Image.Image) -> bool:
    """Whether the last pixels of a JPEG are of the grey that stands for blocks which are missing."""
    width, height = image.size
    corner = image.getpixel((width - 1, height - 1))
    if not set(corner if isinstance(corner, tuple) else (corner,)) <= {127, 128}:
        return False
    last = image.crop((width - max(1, width // 4), height - 1, width, height))
    return {value for band in extrema(last) for value in band} <= {127, 128}


def blank(image: Image.Image) -> bool:
    return all(low == high for low, high in extrema(image))


def extrema(image: Image.Image) -> list[tuple[int, int]]:
    """The smallest and the largest value of each band."""
    return [image.getchannel(band).getextrema() for band in image.getbands()]  # type: ignore[misc]


def exact(data: bytes, at: int) -> bool:
    """Whether the scan with byte `at` has what its blocks need, no more and no less: it is then intact. Images of one
    colour are taken for it: their tables may not have another."""
    start = data.rfind(b"\xff\xda", 0, at)
    end, image = scan_end(data, start), loaded(data)
    if blank(image):
        return True
    used = loaded(data[: end - ZEROS // 2] + BEYOND + data[end:]).tobytes() != image.tobytes()
    return used and not needs_more(data, start, image, loaded)


def needs_more(data: bytes, start: int, image: Image.Image, again: Callable[[bytes], Image.Image]) -> bool:
    """Whether further bytes of a scan would change the image: that ended before its last block."""
    end = scan_end(data, start)
    return again(data[:end] + BEYOND + data[end:]).tobytes() != image.tobytes()


def scan_end(data: bytes, start: int) -> int:
    """Where the first marker lies behind the scan whose marker is at `start`."""
    at = start + 2
    while (at := data.find(b"\xff", at)) >= 0:
        if data[at + 1 : at + 2] not in (b"\0", b"\xff") and not 0xD0 <= (data[at + 1 : at + 2] or b"\xd0")[0] <= 0xD7:
            return at
        at += 1
    return len(data)


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, where its content begins, where it ends) before the first scan of a JPEG, and of its header."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at + 4, end
        if data[at + 1] == 0xDA:
            return
        at = end


def first_scan(data: bytes) -> int:
    """Where the marker of the first scan lies; 0 if there is none."""
    return next((start - 4 for marker, start, _ in segments(data) if marker == 0xDA), 0)


def coded_zeros(data: bytes, at: int) -> bool:
    """Whether zeros may be right at byte `at` of a JPEG: not where they would mean 63 coefficients for every block, as
    with tables that are not of this image."""
    first, luma = {}, 0  # the symbol that zeros mean, by the table of AC coefficients
    for marker, start, end in segments(data):
        if marker == 0xC2:
            return True
        while marker == 0xC4 and start + 17 < end:
            first[data[start]] = data[start + 17]
            start += 17 + sum(data[start + 1 : start + 17])
        if marker == 0xDA:
            luma = data[start + 2] & 15
    return first.get(16 + luma, 0) == 0


def plainly_refined(data: bytes) -> bool:
    """Whether the last scan of a progressive JPEG is the one that most programs write last, which saves the others."""
    at = data.rfind(b"\xff\xda")
    return data[at + 2 : at + 5] == b"\0\x08\1" and data[at + 5] < 2 and data[at + 7 : at + 10] == b"\1\x3f\x10"


def refined(data: bytes, start: int, end: int) -> bool:
    """Whether the scans of a progressive JPEG that begin between two bytes have all bits of the first component."""
    steps, luma = 0, data[start + 5]
    while 0 <= start < end:
        count = data[start + 4]
        parts, (low, high, bits) = data[start + 5 : start + 5 + 2 * count : 2], data[start + 5 + 2 * count :][:3]
        if luma in parts and bits & 15 == 0:
            steps += high - low + 1
        start = data.find(b"\xff\xda", start + 2, end)
    return steps >= 64


def missing(data: bytes) -> int:
    """Zeros at the end of a JPEG, WebP, AVIF or HEIC that stand for what is missing, as after a download that reserved
    its whole size: decoders read them as image. 0 for whole files, also for those with zeros behind their end."""
    jpeg = data[:3] == b"\xff\xd8\xff"
    end = len(data) if jpeg else coded_end(data)
    end = min(end, len(data))
    if not end or any(data[max(0, end - ZEROS) : end]):
        return 0
    kept = data[:end].rstrip(b"\0")
    if jpeg:
        return 0 if kept.endswith(b"\xff\xd9") else end - len(kept)
    try:
        most = may_be_zeros(header_size(data))
    except Exception:  # noqa: BLE001 - a damaged header
        most = ZEROS
    return end - len(kept) if end - len(kept) >= most else 0


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, where it ends) of each chunk of a WebP."""
    at = 12
    while at + 8 <= len(data) and data[at : at + 4].strip(b"\0"):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, at + 8 + size
        at += 8 + size + size % 2


def coded_end(data: bytes) -> int:
    """Where the last chunk of a WebP or the last box of an AVIF or HEIC ends, if that is what holds pixels, else 0."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind, start, end = [(b"", 0, 0), *chunks(data)][-1]
        return end + (end - start) % 2 if kind in (b"VP8 ", b"VP8L", b"ANMF") else 0
    if data[4:8] != b"ftyp":
        return 0
    at, kind = 0, b""
    while at + 8 <= len(data) and data[at : at + 4].strip(b"\0"):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
        at += max(size, 8)
    return at if kind == b"mdat" else 0
