"""Which files of a tree are images. Looks at names only, opens nothing."""

from pathlib import PurePosixPath

from PIL import Image

from . import decode as decode  # whatever it registers with Pillow counts here

STUBS = {"BUFR", "GRIB", "HDF5", "MPEG"}  # Pillow knows these by name and cannot decode them
SYSTEM = {  # folders of storage systems and desktops, in lower case
    "__macosx", "@eadir", "@tmp", "@__thumb", "@sharebin", "@download", "@database", "@appdata",
    "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "~snapshot",
    "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "lost.dir",
    "network trash folder", "temporary items", "thevolumesettingsfolder", "found.000", "__pycache__",
}  # fmt: skip
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini"}
WAYS = {  # of files with pictures that Pillow alone does not read
    "pip install pillow-heif reads them": {".heic", ".heif", ".hif"},
    "raw photographs, to be developed to tif or jpg first": {
        ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"
    },
    "to be converted to png or jpg first": {".jxl", ".avif", ".svg", ".xcf", ".kra", ".exr", ".hdr", ".jxr"},
    "video": {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"},
}  # fmt: skip


def image_suffixes():
    """Lower-case suffixes of everything this Pillow, with its plug-ins, can open."""
    suffixes = Image.registered_extensions()
    return {suffix for suffix, form in suffixes.items() if form in Image.OPEN and form not in STUBS}


def is_system(part):
    """Whether a folder of this name is kept by a storage system or a desktop."""
    return part.lower() in SYSTEM


def is_hidden(name):
    """Hidden files and folders, and what storage systems and desktops add."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or is_system(part) for part in parts) or bool(parts) and parts[-1].lower() in LITTER


def is_image(name, suffixes):
    return PurePosixPath(name).suffix.lower() in suffixes


def separated(names):
    """Paths that a program of Windows has written with backslashes -> the same with slashes; others as they are.

    A backslash may be a letter of a name: it separates only where nothing else does.
    """
    names = list(names)
    if any("/" in name for name in names):
        return names
    return [name.replace("\\", "/") for name in names]


def kinds(names):
    """The suffixes of other files, most frequent first: `.heic 12, .txt 3`, with a way to read what holds pictures."""
    counts = {}
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
