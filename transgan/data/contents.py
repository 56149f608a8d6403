"""What a file is by its first bytes, whatever its name."""

HEAD = 64  # bytes that suffice
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # brands; AVIF has others
IMAGES = {  # the bytes at the beginning: the format and its suffix
    b"\xff\xd8\xff": ("JPEG", ".jpg"), b"\x89PNG\r\n\x1a\n": ("PNG", ".png"), b"GIF87a": ("GIF", ".gif"),
    b"GIF89a": ("GIF", ".gif"), b"II*\0": ("TIFF", ".tif"), b"MM\0*": ("TIFF", ".tif"), b"II+\0": ("TIFF", ".tif"),
    b"MM\0+": ("TIFF", ".tif"), b"\0\0\0\x0cjP  \r\n\x87\n": ("JPEG 2000", ".jp2"), b"8BPS\0\1": ("Photoshop", ".psd"),
    b"\xff\x4f\xff\x51": ("JPEG 2000", ".j2k"),
}  # fmt: skip
ARCHIVES = (
    b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
)  # fmt: skip


def image_in(head: bytes) -> tuple[str, str] | None:
    """The format of an image and the usual suffix of its name, by the first HEAD bytes of the file; None for others."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP", ".webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "BMP", ".bmp"
    if is_heif(head):
        return "HEIC", ".heic"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF", ".avif"
    return next((found for begin, found in IMAGES.items() if head.startswith(begin)), None)


def is_heif(head: bytes) -> bool:
    """Whether the first bytes are those of a HEIC or HEIF file: of its brand, or where that is general, of others."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}
    return head[8:12] in HEIF and not brands & {b"avif", b"avis"}


def is_archive(head: bytes) -> bool:
    return head.startswith(ARCHIVES)
