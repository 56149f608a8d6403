"""What a bare word on a command line means: a run, a checkpoint, or the images to train on."""

import mimetypes
import os
import re
import shlex
from pathlib import Path

OF_IMAGES = "[extractor,conditional,micro_batch]"
IMAGES = ("train", "data check", "data prepare")  # commands whose bare word is a folder or zip of images


def positional(command: str, word: str, values: list[tuple[str, str]], findings: list[str]) -> None:
    """A bare word is a run, a checkpoint to import, or the images to train on."""
    if word.startswith("-"):
        findings.append(f"{word} is not an option; options are written key=value, see transgan {command} --help")
    elif command == "data prepare" and (
        "data.path" in dict(values) or word.lower().endswith(".zip") and not there(word)
    ):
        values.append(("out", word))
    elif command in ("data check", "data prepare"):
        if not there(word):
            findings.append(f"{word} is neither an option (key=value) nor a folder or zip of images")
        values.append(("data.path", word))
    elif command == "project" and "run" in dict(values):
        values.append(("photo", word))
    elif command != "train":
        values.append(("path" if command == "import-transgan" else "run", word))
    elif not there(word):
        findings.append(f"{word} is neither an option (key=value) nor a folder or zip of images")
    else:
        values.append(("data.path", word))


def of_images(word: str, values: list[tuple[str, str]], choices: dict[str, str], hydra: list[str]) -> None:
    """What `transgan train IMAGES` means beside data.path, unless the rest of the command says otherwise."""
    archive = os.path.isfile(os.path.expanduser(word))
    choices.setdefault("data", "zip" if archive else "folder")  # whatever images an experiment is for
    if "experiment" in choices:  # it knows how to measure its own images
        values.insert(0, ("auto", OF_IMAGES))
    choices.setdefault("experiment", "folder")
    if not any(each.startswith("hydra.run.dir=") for each in hydra):
        values.insert(0, ("name", run_name(word)))


def run_name(word: str) -> str:
    """What a run on these images is called, unless name= says: as the folder, or the zip without its ending."""
    path = Path(os.path.abspath(os.path.expanduser(word)))
    name = path.stem if path.is_file() else path.name
    name = re.sub(r"[=/\\:*?\"<>|\x00-\x1f]", "-", name).strip().strip(".")
    return name or "images"


def there(word: str) -> bool:
    """Whether a path exists."""
    return os.path.exists(os.path.expanduser(word))


def refuse_several(command: str, values: list[tuple[str, str]], findings: list[str]) -> None:
    """Refuses several places where one is wanted, and a single image where a folder is."""
    key = {"import-transgan": "path"}.get(command, "data.path" if command in IMAGES else "run")
    places = [value for name, value in values if name == key]
    outs = [value for name, value in values if name == "out"] if command == "data prepare" else []
    photos = [value for name, value in values if name == "photo"]
    if len(photos) > 1:
        findings.append(f"{', '.join(photos)}: project takes one run and one photo; give RUN PHOTO")
    if len(outs) > 1:
        findings.append(
            f"{', '.join(outs)}: data prepare takes one folder or zip and writes one zip; give PATH OUT.zip"
        )
    if command not in ("compare", "report") and (
        len(places) > 1 or command in IMAGES and places and is_image_file(places[0])
    ):
        findings.append(one_place(command, places))


def is_image_file(word: str) -> bool:
    """Whether a word is one file of pixels, by its name."""
    return os.path.isfile(os.path.expanduser(word)) and (mimetypes.guess_type(word)[0] or "").startswith("image/")


def one_place(command: str, places: list[str]) -> str:
    """The sentence for several bare places where one folder, zip or run is wanted."""
    named = ", ".join(places[:3]) + (f" and {len(places) - 3:,} more" if len(places) > 3 else "")
    if command in IMAGES:
        folders = {os.path.dirname(word) or "." for word in places}
        if all(is_image_file(word) for word in places):
            return f"{named}: {command} takes a folder or a zip, not single files; give the folder that holds them" + (
                f": transgan {command} {shlex.quote(folders.pop())}" if len(folders) == 1 else ""
            )
        return (
            f"{named}: {command} takes one folder or zip; move them into one folder, where each becomes a class, or "
            "give one of them"
        )
    if command == "import-transgan":
        return f"{named}: import-transgan takes one checkpoint; give one at a time"
    other = ", or `transgan compare` with all of them" if command in ("evaluate", "sample") else ""
    return f"{named}: {command} takes one at a time; give one of them{other}"
