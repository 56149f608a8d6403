"""`transgan data prepare`: every image at one size, once, in a zip that training reads as it is."""

import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from transgan.data import quick_png
from transgan.data.checking import quiet, why
from transgan.data.dataset import printable
from transgan.data.decode import flatten, upright
from transgan.data.file import File, UnreadableImages
from transgan.data.inspection.survey import in_processes
from transgan.data.inspection.traits import GREY
from transgan.data.labels import lost
from transgan.data.levels import Facts, Levels, decide_with
from transgan.data.listed import Listed, listed
from transgan.data.preparation.crops import fit
from transgan.data.preparation.growing import Growing
from transgan.data.prepared import FORMAT, RECORD, hash_of_files, plain_pixels
from transgan.data.remarks import locked, mend, stored_parts, unreadable_classes
from transgan.files import expanded, hash_of, is_unicode

LABELS = "dataset.json"
PARTIAL = ".partial"  # added to the name of a zip that is not complete
ANEW = "Begun anew: {} was of other images, settings or another version."
Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]


class Settings(NamedTuple):
    """As the keys of the command."""

    resolution: int
    crop: str = "center"
    channels: int | None = None
    format: str = "png"


@dataclass(frozen=True)
class Prepared:
    """path: of the zip; count: images in it; again: of those, how many a stopped command had left; skipped: (name,
    reason) of files that cannot be read; classes: names; bytes: of the zip; notes: sentences."""

    path: Path
    count: int
    again: int
    skipped: list[tuple[str, str]]
    classes: list[str]
    bytes: int
    seconds: float
    notes: list[str]


class Preparing:
    """Makes the stored bytes of one file of a list, by its index; picklable, for processes."""

    def __init__(self, source: Listed, places: list[Any], settings: Settings, levels: Levels | None) -> None:
        self.source, self.places, self.settings, self.levels = source, places, settings, levels

    def __call__(self, index: int) -> bytes | Facts | str:
        """The bytes; or what must be compared with other files first; or why it cannot be read."""
        try:
            with quiet():
                found = upright(self.source.read(self.places[index]), self.levels)
                if found.image is None:
                    assert found.facts is not None
                    return found.facts
                grey = found.mode in GREY or found.mode.startswith("I;")
                channels = self.settings.channels or (1 if grey else 3)
                image = fit(flatten(found.image, channels), self.settings.resolution, self.settings.crop)
                return stored(image, self.settings.format)
        except Exception as error:  # noqa: BLE001 - of a damaged file Pillow raises many kinds
            return why(error)


class Reading:
    """The pixels of a stored image, as training reads them: uint8 bytes, C x H x W."""

    def __init__(self, source: Listed) -> None:
        self.source = source

    def __call__(self, file: File) -> bytes:
        pixels = plain_pixels(self.source.read(file.place), self.source.resolution, self.source.channels)
        assert pixels is not None, "it was stored at this size"
        return pixels.numpy().tobytes()


def stored(image: Any, form: str) -> bytes:
    """Without loss and without metadata."""
    if form == "png":
        return quick_png.encode(np.asarray(image))
    file = io.BytesIO()
    image.info = {}
    image.save(file, "WEBP", lossless=True, quality=50, method=2)
    return file.getvalue()


def prepare(
    path: str | Path,
    out: str | Path,
    settings: Settings,
    labels: str | None = None,
    white: float | None = None,
    on_error: str = "raise",
    workers: int | None = None,
    program: str = "transgan",
    watch: Watch = lambda results, total, what: results,
) -> Prepared:
    """Writes a zip of all images of a folder or zip, those of a part to test on included. See conf/data_prepare.yaml.

    program: name and version, for the record. watch(results, total, what) may show progress. Raises UnreadableImages
    where files cannot be read and on_error="raise", ValueError for other mistakes, OSError where it cannot write.
    """
    began, target = time.monotonic(), expanded(out)
    source = listed(path, settings.resolution, settings.channels or 3, labels, white)
    if source.locked:
        raise locked(source.path, source.locked)
    if source.refused:
        raise ValueError(source.refused)
    if target.exists():
        raise ValueError(f"{out} is there already: remove it, or give another name.")
    every = [source.files, *source.left.values()]
    files = sorted((file for part in every for file in part), key=lambda file: file.name)
    odd = [file.name for file in files if not is_unicode(file.name)]
    if odd and on_error == "raise":
        raise UnreadableImages(
            f"{len(odd):,} image{'s' * (len(odd) > 1)} in {path} with a name that is not in UTF-8 (the first is "
            f"{printable(odd[0])}), and a zip holds no others: ",
            {"": "rename them", "data.on_error": "go on without them: data.on_error=skip"},
        )
    files = [file for file in files if is_unicode(file.name)]
    originals, own = [file.name for file in files], {file.name for file in source.files}
    names = dict(zip(originals, stored_names(originals, settings.format), strict=True))
    given = None if white is None else Levels(*[white] * 3)
    head = {
        "format": FORMAT, "settings": settings._asdict() | {"labels": labels, "white": white}, "program": program,
        "source": hash_of(repr([(file.name, file.stamp) for file in files])),
    }  # fmt: skip
    with Growing(target.with_name(target.name + PARTIAL), RECORD, json.dumps(head).encode()) as archive:
        archive.drop({LABELS, RECORD})
        again = {entry.name for entry in archive.entries}
        begun_anew = [ANEW.format(archive.path.name)] * archive.anew
        reasons: dict[str, str] = dict.fromkeys(odd, "its name is not in UTF-8")
        facts: dict[int, Facts] = {}
        waiting = [i for i, file in enumerate(files) if names[file.name] not in again]
        notes: list[str] = []
        if archive.noted is not None:
            whites, notes = json.loads(archive.noted)
            given = Levels(*whites)
        for what, levels in (("preparing images", given), ("deep images", None)):
            if levels is None and facts:
                levels, notes = whites_of(facts, {i for i, file in enumerate(files) if file.name in own})
                archive.note(json.dumps([levels, notes]).encode())
                waiting, facts = sorted(facts), {}
            elif what == "deep images":
                break
            work = Preparing(source, [file.place for file in files], settings, levels)
            results = watch(in_processes(work, waiting, workers), len(waiting), what)
            for i, result in zip(waiting, results, strict=True):
                if isinstance(result, bytes):
                    archive.add(names[files[i].name], result)
                elif isinstance(result, str):
                    reasons[files[i].name] = result
                else:
                    facts[i] = result
        skipped = sorted(reasons.items())
        if len(skipped) == len(files) + len(odd) or skipped and on_error == "raise":
            raise complaint(path, skipped, len(files) + len(odd))
        if names_lost := lost(source.classes_of(source.files), [file.name not in reasons for file in source.files]):
            notes.append(unreadable_classes(names_lost))
        if source.left:
            notes.append(stored_parts(source.left, reasons))
        record, classes = recorded(source, names, reasons, settings, head, program, notes)
        archive.add(LABELS, labels_json(source, names, reasons, classes))
        sign(archive, record, settings, workers, watch)
        archive.finish(target)
    return Prepared(
        target, len(archive.entries) - 2, len(again), skipped, classes, target.stat().st_size,
        time.monotonic() - began, [*source.notes, *notes, *begun_anew],
    )  # fmt: skip


def whites_of(facts: dict[int, Facts], own: set[int]) -> tuple[Levels, list[str]]:
    """What is white in files that do not say it, as training decides, and what is assumed. own: of files to train on.
    Raises ValueError where they leave it open."""
    parts = [[each for i, each in facts.items() if (i in own) is wanted] for wanted in (True, False)]
    levels, assumed, asked = decide_with(*parts)
    if asked:
        raise ValueError("; ".join(asked))
    return levels, assumed


def sign(archive: Growing, record: dict[str, Any], settings: Settings, workers: int | None, watch: Watch) -> None:
    """Reads all images back, as training does, and adds the record, with the fingerprint that it would compute."""
    archive.add(RECORD, json.dumps(record).encode())
    archive.list_contents()
    back = listed(archive.path, settings.resolution, settings.channels or 3)
    digest = back.begun(back.classes_of(back.files).labels)
    key = digest.hexdigest()
    for pixels in watch(in_processes(Reading(back), back.files, workers), len(back.files), "reading them back"):
        digest.update(pixels)
    files = hash_of_files([(file.name, file.stamp) for file in back.files])
    record["fingerprints"][key] = {"fingerprint": digest.hexdigest(), "files": files}
    archive.drop({RECORD})
    archive.add(RECORD, json.dumps(record, indent=1).encode())


def stored_names(names: list[str], form: str) -> list[str]:
    """The names with another suffix, in the same order and no two alike; with both suffixes where one alone would not
    do."""
    plain = [PurePosixPath(name).with_suffix(f".{form}").as_posix() for name in names]
    times = Counter(plain)
    whole = [f"{name}.{form}" for name in names]
    found = [short if times[short] == 1 else long for short, long in zip(plain, whole, strict=True)]
    return found if len(set(found)) == len(found) and sorted(found) == found else whole


def recorded(
    source: Listed, names: dict[str, str], reasons: dict[str, str], settings: Settings, head: dict[str, Any],
    program: str, notes: list[str],
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """What transgan.json says, and the names of the classes."""
    good = [file for file in source.files if file.name not in reasons]
    found = source.classes_of(good)
    parts = [file for part in source.left.values() for file in part if file.name not in reasons]
    forced = source.labelling == "folders" and found.names
    how = "dataset.json" if found.how == "by dataset.json" or forced else "folders"
    how = "none" if not found.names and not source.left else how
    return {
        "format": FORMAT, "version": 1, "program": program, "settings": head["settings"],
        "resolution": settings.resolution, "labels": how, "class_names": found.names,
        "source": source.name, "count": len(good) + len(parts),
        "skipped": [[name, reason] for name, reason in sorted(reasons.items())],
        "others": source.ignored, "notes": [*source.notes, *notes], "fingerprints": {},
    }, found.names  # fmt: skip


def labels_json(source: Listed, names: dict[str, str], reasons: dict[str, str], classes: list[str]) -> bytes:
    """Labels in StyleGAN's format: {"labels": [[name, number], ...]}, null without classes."""
    if not classes:
        return json.dumps({"labels": None}).encode()
    numbers, pairs = {name: i for i, name in enumerate(classes)}, []
    for files in (source.files, *source.left.values()):
        good = [file for file in files if file.name not in reasons]
        found = source.classes_of(good) if good else None
        for file, label in zip(good, found.labels if found else (), strict=True):
            name = found.names[label] if found and found.names else ""
            if name not in numbers and files is not source.files:
                continue  # of a part to test on whose classes are others
            pairs.append([names[file.name], numbers[name]])
    return json.dumps({"labels": sorted(pairs)}).encode()


def complaint(path: str | Path, skipped: list[tuple[str, str]], count: int) -> UnreadableImages:
    listing = "\n".join(f"  {printable(name)}: {reason}" for name, reason in skipped[:20])
    more = f"\n  and {len(skipped) - 20:,} more" if len(skipped) > 20 else ""
    what = f"{len(skipped):,} of {count:,} images in {path} cannot be read:\n{listing}{more}\n"
    if len(skipped) == count:
        return UnreadableImages(what, {"": "there is nothing to prepare."})
    return UnreadableImages(what, {"": mend(skipped), "data.on_error": "go on without them: data.on_error=skip"})
