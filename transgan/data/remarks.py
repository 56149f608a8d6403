"""What is said of a source of files: of options that are not possible, of what is left out, of what cannot be used."""

import errno
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from transgan.data.dataset import printable
from transgan.data.file import File, NothingThere, UnreadableImages
from transgan.data.levels import Levels
from transgan.data.listing import kinds
from transgan.files import in_shell


def impossible(on_error: object, in_memory: object, labels: str | None, white: float | Levels | None) -> str | None:
    """What is wrong with the options of a source of files, or None."""
    if on_error not in ("raise", "skip"):
        return f"on_error={on_error} is not possible: give raise or skip."
    if in_memory not in ("auto", True, False):
        return f"in_memory={in_memory} is not possible: give auto, true or false."
    if labels not in (None, "folders", "none"):
        return f"data.labels={labels} is not possible: give folders or none, or null for what they say."
    number = isinstance(white, (int, float)) and not isinstance(white, bool)
    if not (white is None or isinstance(white, Levels) or number and 0 < white < float("inf")):
        return f"data.white={white} is not possible: give the number that is white, or null."
    return None


def nothing_at(path: str | Path, kind: str) -> NothingThere:
    what = f"There is nothing at '{path}': "
    ways = {
        "data.path": f"give the {kind} with your images, data.path=<path>",
        "against": "put the images back, or compare with others, against=PATH",
        "complete": "give complete=PATH",
    }
    return NothingThere(what, ways)


def no_image(path: Path, kind: str, files: list[File], notes: list[str]) -> ValueError:
    """files: those that are there; notes: what was said of others."""
    others = kinds(name for name, _, _ in files)
    others = f", only {len(files):,} other files ({others})" if files else ": it is empty"
    others = f" ({'; '.join(notes)}){others if files else ''}" if notes else others
    return ValueError(f"No image in {path}{others}; give a {kind} with png, jpg, webp... files.")


def locked(path: Path, folders: Mapping[str, str]) -> PermissionError:
    """folders: below `path`, "." for itself, that cannot be read, and why."""
    named = ", ".join(f"{printable(str(path / name))} ({reason})" for name, reason in list(folders.items())[:3])
    more = f" and {len(folders) - 3:,} more" if len(folders) > 3 else ""
    return PermissionError(f"{named}{more} cannot be read: allow it (chmod -R u+rX {in_shell(path)})")


def by_content(found: list[tuple[str, str, str]]) -> str:
    """found: (name, format, its usual suffix) of images whose names do not say so."""
    (name, form, suffix), count = found[0], len(found)
    images = f"{count:,} files are images" if count > 1 else "1 file is an image"
    return f"{images} by content: {printable(name)} is {form}, name it {printable(name)}{suffix}"


def own_outputs(folders: Sequence[str]) -> str:
    rest = f" and {len(folders) - 3:,} more" if len(folders) > 3 else ""
    return f"Left out {', '.join(folders[:3])}{rest}: written by transgan."


def system_folders(names: set[str]) -> str:
    return f"Left out {', '.join(sorted(names))}: folders of the operating or storage system."


def repeated_folders(names: list[str]) -> str:
    return f"Left out {', '.join(sorted(names)[:5])}: links to folders that are already read."


def repeated_names(names: list[str]) -> str:
    """names: of each file that another one of its name replaces."""
    count, first = len(names), printable(min(names))
    files = f"{count:,} file{'s' if count > 1 else ''}"
    return f"Left out {files} stored under a name that comes again, such as {first}: the last of each is used."


def absent_images(names: list[str]) -> str:
    """names: in dataset.json, without a file."""
    images = f"{len(names):,} image{'s that are' if len(names) > 1 else ' that is'}"
    return f"dataset.json names {images} not here, such as {printable(min(names))}."


def several_labels(names: list[str]) -> str:
    """names: that dataset.json has several times, with other labels."""
    images = f"{len(names):,} image{'s' * (len(names) > 1)}"
    return f"dataset.json has several labels for {images}, such as {printable(names[0])}: the last of each is used."


def empty_folders(names: list[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"No image in {', '.join(map(printable, names[:5]))}{more}."


def unreadable_classes(names: list[str], held: bool = False) -> str:
    """names: of the classes of which no image can be read; held: of those to measure against."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    if held:
        return f"No image to measure against of {', '.join(map(printable, names[:5]))}{more} can be read."
    which = "this class" if len(names) == 1 else "these classes"
    return f"No image of {', '.join(map(printable, names[:5]))}{more} can be read: training goes on without {which}."


def other_parts(left: Mapping[str, Sequence[File]]) -> str:
    named = ", ".join(f"{folder} {len(files):,}" for folder, files in left.items())
    return f"Left out {named}: not parts to train on."


def checked_parts(left: Mapping[str, Sequence[File]], measured: str | None) -> str:
    """measured: the part to measure against, if any."""
    named = (f"{part} {len(files):,}{', to measure against' * (part == measured)}" for part, files in left.items())
    return f"Not trained on, but checked: {'; '.join(named)}."


def stored_parts(left: Mapping[str, Sequence[File]], skipped: Collection[str]) -> str:
    """Of a prepared zip. skipped: names of files that are not in it."""
    counts = {part: sum(file.name not in skipped for file in files) for part, files in left.items()}
    named = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    return (
        f"In the zip, but not to train on: {named}. transgan keeps them apart; StyleGAN's tools train on every image "
        "of a zip: for those, prepare the folder to train on alone."
    )


def several_pages(frames: list[tuple[int, str]]) -> list[str]:
    """At most one sentence. frames: of each file how many it has, and its name."""
    several = [each for each in frames if each[0] > 1]
    if not several:
        return []
    most, name = max(several)
    left = sum(count for count, _ in several) - len(several)
    files = f"{len(several):,} file{'s' if len(several) > 1 else ''}"
    return [f"{files} of several pages or frames ({name} {most:,}): the first of each is used, {left:,} are not."]


def other_sizes(path: Path, resolution: int, wrong: int, count: int, first: str) -> ValueError:
    """wrong: how many of `count` images have another size; first: the name and size of one."""
    return ValueError(
        f"{wrong:,} of {count:,} images in {path} are not {resolution}x{resolution} (the first is {first}): images "
        "are measured as they are, squares of one size; save them all at the size they were generated at."
    )


def mend(skipped: list[tuple[str, str]]) -> str:
    """The way out of files that cannot be read, by their reasons."""
    denied = sum(reason == os.strerror(errno.EACCES) for _, reason in skipped)
    allow = ["allow reading them (chmod u+r)"] if denied else []
    return " or ".join([*allow, *(["repair or remove them"] if denied < len(skipped) else [])])


def unreadable(path: Path, skipped: list[tuple[str, str]], count: int, held: bool) -> UnreadableImages:
    """skipped: names and reasons of those that cannot be read, of `count` images; held: to measure against."""
    purpose = "to measure against" if held else "to train on"
    listed = "\n".join(f"  {printable(name)}: {reason}" for name, reason in skipped[:20])
    more = f"\n  and {len(skipped) - 20:,} more" if len(skipped) > 20 else ""
    what = f"{len(skipped):,} of {count:,} images{f' {purpose}' * held} in {path} cannot be read:\n{listed}{more}\n"
    ways = {"": mend(skipped), "data.on_error": "go on without them: data.on_error=skip"}
    if len(skipped) == count:
        ways = {"": f"there is nothing {purpose}."}
    return UnreadableImages(what, ways)
