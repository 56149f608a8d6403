"""`transgan data check`: everything about a set of images that training would stumble over, in one pass."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transgan.data.checking import why
from transgan.data.dataset import printable, readable
from transgan.data.file import File
from transgan.data.inspection import class_rules, rules
from transgan.data.inspection.advice import advice
from transgan.data.inspection.finding import LEVELS, Finding
from transgan.data.inspection.left_out import of_left_out
from transgan.data.inspection.pixels import Digesting, comparable
from transgan.data.inspection.survey import in_processes
from transgan.data.inspection.traits import Broken, Traits, inspect
from transgan.data.inspection.wording import finding
from transgan.data.labels import Classes, lost
from transgan.data.levels import Levels, decide_with, decided
from transgan.data.listed import Listed, listed
from transgan.data.part import held_out
from transgan.data.remarks import checked_parts, unreadable_classes

Watch = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Report:
    """What was found. count: of files that are images by name, readable: of those; sizes: {"median", "smallest",
    "largest"}: (width, height); classes: {name: images}; held: images that are not trained on; parts: {name: files} of
    the parts that they are; notes: sentences of training; seconds: that it took."""

    path: str
    settings: dict[str, Any]
    count: int
    readable: int
    bytes: int
    sizes: dict[str, tuple[int, int]]
    classes: dict[str, int]
    held: int
    parts: dict[str, int]
    findings: list[Finding]
    advice: list[str]
    notes: list[str]
    limits: dict[str, float]
    seconds: float
    good: list[str] = field(default_factory=list)  # names of readable files, for the sheet
    levels: Levels | None = None  # of files that do not say what is white, for the sheet

    def as_json(self) -> dict[str, Any]:
        """Everything but the names of files without a finding."""
        plain = {key: value for key, value in vars(self).items() if key not in ("findings", "good", "levels")}
        return plain | {"findings": [each.as_json() for each in self.findings]}


class Reading:
    """Reads one file of a list, by its index; picklable, for processes."""

    def __init__(self, source: Listed, places: list[Any], resolution: int, levels: Levels | None = None) -> None:
        self.source, self.places, self.resolution, self.levels = source, places, resolution, levels

    def __call__(self, index: int) -> tuple[int, Traits | Broken]:
        try:
            data = self.source.read(self.places[index])
        except Exception as error:  # noqa: BLE001 - of zip archives many kinds
            return 0, Broken("locked" if isinstance(error, PermissionError) else "unreadable", why(error))
        return len(data), inspect(data, self.resolution, self.levels)


def check(
    path: str | Path,
    resolution: int = 64,
    channels: int = 3,
    labels: str | None = None,
    white: float | None = None,
    holdout: float = 0.0,
    limit: int | None = None,
    workers: int | None = None,
    watch: Watch = lambda results, total: results,
) -> Report:
    """Reads every image of a folder or zip once, and says what training would make of it.

    resolution: 1 to 4096 pixels, channels: 1 or 3, labels: None, "folders" or "none", white: above 0, holdout: 0 to
    below 1, limit: images to take, all as `transgan train` takes them. workers: processes, None for one a core.
    watch(results, total) may show progress. Raises ValueError or OSError where `path` holds no images, as `Folder` and
    `Zip` do.
    """
    began = time.monotonic()
    source = listed(path, resolution, channels, labels, white, limit)
    files = [*source.files, *(file for part in source.left.values() for file in part)]
    parts = [rules.TRAINED] * len(source.files) + [name for name, part in source.left.items() for _ in part]
    reading = Reading(source, [file.place for file in files], resolution)
    weight, found = 0, []
    for length, each in watch(in_processes(reading, range(len(files)), workers), len(files)):
        weight += length
        found.append(each)
    open_ones = [i for i, each in enumerate(found) if isinstance(each, Traits) and not decided(each.facts, None)]
    levels, assumed, asked = whites_of(found, open_ones, len(source.files), white)
    if open_ones and not asked:  # once more, now that all of them have decided what is white
        again = Reading(source, reading.places, resolution, levels)
        for i, (_, each) in zip(open_ones, watch(in_processes(again, open_ones, workers), len(open_ones)), strict=True):
            found[i] = each
    good = [i for i, each in enumerate(found) if isinstance(each, Traits)]
    findings = of_reading(files, found) + of_left_out(source)
    if source.refused:
        findings.append(finding("labels", ["dataset.json"], reason=source.refused))
    classes: Classes | None = None
    images: rules.Set | None = None
    outside: list[str] = []
    if good:
        digesting = Digesting(source, [files[i].place for i in good])
        traits = comparable([each for each in found if isinstance(each, Traits)], digesting, workers, watch)
        own = [files[i] for i in good if i < len(source.files)]
        classes = source.classes_of(own) if own else Classes([], [])
        readable_own = [isinstance(each, Traits) for each in found[: len(source.files)]]
        if names_lost := lost(source.classes_of(source.files), readable_own):
            assumed.append(unreadable_classes(names_lost))
        readable_parts = [parts[i] for i in good]
        if holdout and own:
            for i in held_out(torch.tensor(classes.labels), holdout)[0].nonzero().flatten().tolist():
                readable_parts[i] = share_of(holdout)
        known = labels_of(source, [files[i] for i in good], readable_parts, classes)
        images = rules.Set([files[i].name for i in good], traits, known, classes.names, readable_parts)
        if asked:
            deep = images.named(images.those(lambda each: each.facts is not None))
            findings.append(finding("white", deep, reason=asked[0]))
        findings += rules.of_copies(images) + rules.of_content(images, resolution) + rules.of_size(images, resolution)
        findings += rules.of_form(images, channels)
        outside, within = source.outsiders(own)
        findings += of_outsiders(outside, within, images) if outside else class_rules.of_classes(images)
    keys: dict[str, object] = {"data.labels": labels, "data.limit": limit, "holdout": holdout}
    if white is not None and images and any(each.facts for each in images.traits):  # else it would have no effect
        keys["data.white"] = white
    said = advice(str(path), images, resolution, channels, findings, keys) if images else ["There is nothing to learn."]
    measured = None if holdout else source.test_part()
    of_parts = [checked_parts(source.left, measured)] if source.left else []
    order = list(LEVELS)
    findings.sort(key=lambda each: order.index(each.level))
    return Report(
        path=str(path),
        settings={
            "resolution": resolution, "channels": channels, "labels": labels, "white": white, "holdout": holdout,
            "limit": limit,
        },
        count=len(files), readable=len(good), bytes=weight,
        sizes=sizes_of(images) if images else {}, classes=counts_of(images) if images else {},
        held=int(images.held.sum()) if images else 0,
        parts=sizes_of_parts(source, images, holdout), findings=findings, advice=said,
        notes=[
            *of_parts, *source.notes, *([classes.note] if classes and classes.note and not outside else []), *assumed,
        ],
        limits=rules.limits(images) if images else {}, seconds=time.monotonic() - began,
        good=images.names if images else [], levels=None if asked else levels,
    )  # fmt: skip


def labels_of(source: Listed, files: list[File], parts: list[str], classes: Classes) -> np.ndarray:
    """The labels of all N readable files, by the names of `classes`, those of the images to train on, which come first;
    -1 of images of other parts that have no such class. parts: N names."""
    numbers, found = {name: i for i, name in enumerate(classes.names)}, list(classes.labels)
    for part in source.left:
        if those := [file for file, name in zip(files, parts, strict=True) if name == part]:
            own = source.classes_of(those)
            found += [numbers.get(own.names[label], -1) if own.names else -1 for label in own.labels]
    return np.array(found, np.int64)


def of_reading(files: list[File], found: list[Traits | Broken]) -> list[Finding]:
    """Files that cannot be read."""
    reasons: dict[str, dict[str, str]] = {}
    for file, each in zip(files, found, strict=True):
        if isinstance(each, Broken):
            reasons.setdefault(each.kind, {})[file.name] = each.reason
    plain = ("empty", "truncated", "locked", "heic_named")
    return [finding(kind, why, why={} if kind in plain else why) for kind, why in sorted(reasons.items())]


def of_outsiders(outside: list[str], within: Classes, images: rules.Set) -> list[Finding]:
    """Images outside of the class folders, which cost all classes, and what is to be said of these. within: of the
    other images to train on."""
    alone = set(outside)
    parts = [part for name, part in zip(images.names, images.parts, strict=True) if name not in alone]
    labels = np.array(within.labels, np.int64)
    them = "it" if len(outside) == 1 else "them"
    there = rules.Set([], [], labels, within.names, parts[: len(labels)])
    return [finding("outside", outside, number=f"{len(within.names):,}", them=them), *class_rules.of_classes(there)]


def whites_of(
    found: list[Traits | Broken], those: list[int], count: int, white: float | None
) -> tuple[Levels, list[str], list[str]]:
    """What training takes for white in files that do not say it, sentences on what it assumes, and on what it asks.

    those: indices of such files; count: of files to train on, the first ones; white: as the user said.
    """
    if white is not None:
        return Levels(*[white] * 3), [], []
    own, others = (
        [each.facts for i in those if (i < count) is wanted and isinstance(each := found[i], Traits) and each.facts]
        for wanted in (True, False)
    )
    return decide_with(own, others)


def sizes_of(images: rules.Set) -> dict[str, tuple[int, int]]:
    every = np.array([each.size for each in images.traits])
    area, (width, height) = every.prod(1), np.median(every, 0).astype(int).tolist()
    least, most = every[area.argmin()].tolist(), every[area.argmax()].tolist()
    return {"median": (width, height), "smallest": (least[0], least[1]), "largest": (most[0], most[1])}


def share_of(holdout: float) -> str:
    """The part that a share of the images is, which training holds out."""
    return f"holdout={holdout:g}"


def sizes_of_parts(source: Listed, images: rules.Set | None, holdout: float) -> dict[str, int]:
    """Of each part that is not trained on, how many files it has."""
    share = images.parts.count(share_of(holdout)) if images else 0
    return {name: len(part) for name, part in source.left.items()} | ({share_of(holdout): share} if share else {})


def counts_of(images: rules.Set) -> dict[str, int]:
    counts = np.bincount(images.labels[images.labels >= 0], minlength=len(images.class_names))
    return dict(zip(images.class_names, counts.tolist(), strict=False))


def summary(report: Report) -> list[str]:
    """Two or three lines on the whole set."""
    bad = report.count - report.readable
    lines = [f"{report.readable:,} images" + (f" and {bad:,} that cannot be read" if bad else "")]
    lines[0] += f", {readable(report.bytes)}"
    if report.sizes:
        median, least, most = ("{}x{}".format(*report.sizes[key]) for key in ("median", "smallest", "largest"))
        lines[0] += f", {median}" + ("" if least == most else f" in the median, {least} to {most}")
    if report.classes:
        most_first = sorted(report.classes.items(), key=lambda item: -item[1])
        named = ", ".join(f"{printable(name)} {count:,}" for name, count in most_first[:8])
        more = f" and {len(most_first) - 8:,} more" if len(most_first) > 8 else ""
        lines.append(f"{len(most_first):,} class{'es' if len(most_first) != 1 else ''}: {named}{more}")
    else:
        lines.append("no classes")
    if share := report.parts.get(share_of(report.settings["holdout"])):
        lines.append(f"{share:,} of the images held out of training, to measure against")
    size, grey = report.settings["resolution"], report.settings["channels"] == 1
    lines.append(f"in training {size}x{size} pixels{' in grey' if grey else ''}: the centre, by Lanczos")
    return lines
