"""Which files of a tree are images, by their names alone."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from PIL import Image

from transgan.data import decode as decode  # registers further formats with Pillow

STUBS = {"BUFR", "GRIB", "HDF5", "MPEG"}  # Pillow identifies these but cannot decode them
SYSTEM = {  # folders of storage systems and desktops, in lower case
    "__macosx", "@eadir", "@tmp", "@__thumb", "@sharebin", "@download", "@database", "@appdata",
    "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "~snapshot",
    "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "lost.dir",
    "network trash folder", "temporary items", "thevolumesettingsfolder", "found.000", "__pycache__",
}  # fmt: skip
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini"}
WAYS = {  # to read images in formats that Pillow alone does not read
    "pip install pillow-heif reads them": {".heic", ".heif", ".hif"},
    "raw photographs, to be developed to tif or jpg first": {
        ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"
    },
    "to be converted to png or jpg first": {".jxl", ".avif", ".svg", ".xcf", ".kra", ".exr", ".hdr", ".jxr"},
    "video": {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"},
}  # fmt: skip


def image_suffixes() -> set[str]:
    """Lower-case suffixes of everything that the installed Pillow and its plug-ins can open."""
    suffixes = Image.registered_extensions()
    return {suffix for suffix, form in suffixes.items() if form in Image.OPEN and form not in STUBS}


def is_system(part: str) -> bool:
    """Whether a folder of this name belongs to a storage system or a desktop."""
    return part.lower() in SYSTEM


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or added by a storage system or a desktop."""
    parts = parts_of(name)
    return any(part.startswith(".") or is_system(part) for part in parts) or bool(parts) and parts[-1].lower() in LITTER


def is_hidden_image(name: str, suffixes: set[str]) -> bool:
    """Whether a file of this name, without folders, would be an image if it were not hidden; no file that a Mac keeps
    beside each (._name)."""
    return name.startswith(".") and not name.startswith("._") and is_image(name[1:], suffixes)


def parts_of(name: str) -> list[str]:
    """The folders and the name of a path with slashes; many times as fast as pathlib, which matters for 100,000."""
    return [part for part in name.split("/") if part not in ("", ".")]


def is_image(name: str, suffixes: set[str]) -> bool:
    last = name[name.rfind("/") + 1 :]
    return last.rfind(".") > 0 and last[last.rfind(".") :].lower() in suffixes


def separated(names: Iterable[str]) -> list[str]:
    """Paths with slashes for the backslashes that a Windows program has written; others unchanged.

    A backslash may be part of a name: it separates only where no slash does.
    """
    names = list(names)
    if any("/" in name for name in names):
        return names
    return [name.replace("\\", "/") for name in names]


def kinds(names: Iterable[str]) -> str:
    """The suffixes of other files, most frequent first, `.heic 12, .txt 3`, and how to read those that are images."""
    counts: dict[str, int] = {}
    for name in names:
        suffix = PurePosixPath(name).suffix.lower() or "no suffix"
        counts[suffix] = counts.get(suffix, 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ways = {suffix: way for way, suffixes in WAYS.items() for suffix in suffixes}
    said = [f"{suffix} {count:,}{': ' + ways[suffix] if suffix in ways else ''}" for suffix, count in most]
    first = [each for each, (suffix, _) in zip(said, most, strict=True) if suffix in ways][:5]
    first += [each for each in said if each not in first][: max(0, 5 - len(first))]
    rest = len(said) - len(first)
    return ", ".join(first) + (f" and {rest:,} more kind{'s' if rest > 1 else ''}" if rest else "")
