"""What the data of a run is: as the run has recorded it, and as it is where it can still be read."""

from dataclasses import dataclass, field
from typing import Any

from transgan import files
from transgan.data.dataset import printable
from transgan.numerals import number
from transgan.reporting.material import Gap, Material
from transgan.reporting.measured import Measured

CHECK = "data-check.json"
SKIPPED, CLASSES = 20, 100  # files and classes that are listed


@dataclass
class DataFacts:
    """said: sentences. counts: (class, images, held-out images) of each class. skipped: (file, reason) of those left
    out. checked: head and rows of what a check of the data found. gap: why the images cannot be looked at."""

    said: list[str] = field(default_factory=list)
    counts: list[tuple[str, int, int | None]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    checked: list[list[str]] = field(default_factory=list)
    gap: Gap | None = None


def facts(material: Material, first: Measured | None, dataset: Any, heldout: Any, gap: Gap | None) -> DataFacts:
    """dataset, heldout: the images as they are now, or None with the reason in gap."""
    found = DataFacts(gap=gap, checked=checked(material))
    if dataset is None:
        found.said += recorded(material, first)
        return found
    found.said.append(dataset.describe(hints=False) + ".")
    if heldout is not None:
        found.said.append(f"{len(heldout):,} further images were held out of training.")
    fingerprint = material.run.facts["data"] if material.run is not None else None
    if fingerprint is not None:
        same = dataset.is_same(fingerprint)
        found.said.append(
            f"These are the very images that the run was trained on (fingerprint {fingerprint[:12]})."
            if same
            else "These are not the images that the run was trained on: they have changed since."
        )
    if dataset.num_classes:
        counts = dataset.labels.bincount(minlength=dataset.num_classes).tolist()
        others = [None] * len(counts) if heldout is None else heldout.labels.bincount(minlength=len(counts)).tolist()
        rows = zip(map(printable, dataset.class_names), counts, others, strict=True)
        found.counts = list(rows)[:CLASSES]
        found.said.append(balance(counts))
        if len(counts) > CLASSES:
            found.said.append(f"The table has the first {CLASSES} of {len(counts):,} classes.")
    found.skipped = [(printable(str(name)), str(reason)) for name, reason in dataset.skipped[:SKIPPED]]
    if len(dataset.skipped) > SKIPPED:
        found.said.append(f"Of {len(dataset.skipped):,} files that were left out, {SKIPPED} are listed.")
    return found


def checked(material: Material) -> list[list[str]]:
    """What data-check.json beside the run says that was found in its data; [] where there is no such file."""
    try:
        findings = files.read_json(material.folder / CHECK)["findings"]
        rows = [[str(each[key]) for key in ("title", "count", "training", "way")] for each in findings]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [["found", "images", "what training does", "way out"], *rows] if rows else []


def balance(counts: list[int]) -> str:
    """How evenly the classes are filled."""
    low, high = min(counts), max(counts)
    if high == low:
        return f"Every class has {low:,} images."
    uneven = f", {number(high / low, 2)} times as many" if low else ""
    return f"The smallest class has {low:,} images and the largest {high:,}{uneven}."


def recorded(material: Material, first: Measured | None) -> list[str]:
    """What is known without the images."""
    said = []
    protocol = first.protocol if first is not None else {}
    if isinstance(count := protocol.get("num_real"), int):
        said.append(f"Its numbers were measured against {count:,} real images.")
    names = material.class_names
    if names:
        shown = ", ".join(map(printable, names[:20])) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
        said.append(f"The data had {len(names):,} classes: {shown}.")
    if material.run is not None and (fingerprint := material.run.facts["data"]):
        said.append(f"The fingerprint of the images was {fingerprint[:12]}.")
    return said
