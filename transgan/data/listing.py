"""Which files of a tree are images, and which classes their folders name. Looks at names only, opens nothing."""

from pathlib import PurePosixPath

from PIL import Image

STUBS = {"BUFR", "GRIB", "HDF5", "MPEG"}  # Pillow knows these by name and cannot decode them


def image_suffixes():
    """Lower-case suffixes of everything this Pillow, with its plug-ins, can open."""
    suffixes = Image.registered_extensions()
    return {suffix for suffix, form in suffixes.items() if form in Image.OPEN and form not in STUBS}


def is_hidden(name):
    """Hidden files and folders, and what macOS adds to an archive."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def is_image(name, suffixes):
    return PurePosixPath(name).suffix.lower() in suffixes


def classes(names):
    """Paths of images -> (labels, class names, note or None).

    The folder that all images share does not count. After it, the first folder is the class, if every image has one.
    """
    parents = [PurePosixPath(name).parts[:-1] for name in names]
    first, last = min(parents), max(parents)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    folders = [parent[shared] if len(parent) > shared else None for parent in parents]
    inside = sum(folder is not None for folder in folders)
    if inside == len(folders):
        class_names = sorted(set(folders))
        number = {name: i for i, name in enumerate(class_names)}
        return [number[folder] for folder in folders], class_names, None
    note = (
        f"No labels: {inside:,} of {len(folders):,} images lie in sub-folders and the others do not; "
        "for classes, put every image into a sub-folder."
    )
    return [0] * len(folders), [], note if inside else None


def kinds(names):
    """The most frequent suffixes of other files, for the message that no image was found: `.heic 12, .txt 3`."""
    counts = {}
    for name in names:
        suffix = PurePosixPath(name).suffix.lower() or "no suffix"
        counts[suffix] = counts.get(suffix, 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{suffix} {count:,}" for suffix, count in most)
