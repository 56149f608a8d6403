"""What a metric reports to the evaluator, and what its numbers are called."""

from dataclasses import dataclass, field
from typing import Any

from torchmetrics import Metric

from transgan.metrics.collection import takes
from transgan.metrics.extractors.extractor import FeatureExtractor

EXTRACTED = ("features", "logits", "class_logits")  # arguments of `update` that an extractor makes
STANDARD = {"fd": "fid", "kd": "kid", "cs": "is"}  # names reserved for the standard Inception


@dataclass
class Report:
    """numbers by the names of metrics.jsonl, without the extractor's; details (per class, nearest pairs) as plain
    values; flags: name -> a sentence about what limits the numbers; of_images: numbers of the images themselves, whose
    names get no extractor's."""

    numbers: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    of_images: dict[str, float] = field(default_factory=dict)


def report_of(name: str, metric: Metric) -> Report:
    """What a metric reports. One that has no `report` is called by the name it has in the configuration: a value, a
    pair of mean and deviation, or values by name."""
    report = getattr(metric, "report", None)
    if report is not None:
        return report()
    value = metric.compute()
    if isinstance(value, dict):
        numbers = {str(key): float(each) for key, each in value.items()}
    elif isinstance(value, tuple | list):
        mean, std = value
        numbers = {name: float(mean), f"{name}_std": float(std)}
    else:
        numbers = {name: float(value)}
    if takes(metric, "images") and not any(takes(metric, each) for each in EXTRACTED):
        return Report({}, of_images=numbers)
    return Report(numbers)


def named(name: str, extractor: FeatureExtractor) -> str:
    """fd -> fid and fd_heldout -> fid_heldout with the standard Inception, else fd_<extractor> and
    fd_<extractor>_heldout; other names get the extractor at their end."""
    head, _, tail = name.partition("_")
    if head in STANDARD:
        head = STANDARD[head] if extractor.standard else f"{head}_{extractor.name}"
        return f"{head}_{tail}" if tail else head
    return name if extractor.standard else f"{name}_{extractor.name}"


def refuse_twice(metrics: dict[str, Metric]) -> None:
    """Raises ValueError where two metrics (name -> metric) would give numbers of one name."""
    owner: dict[str, str] = {}
    for key, metric in metrics.items():
        for name in getattr(metric, "names", {}).values():
            if name in owner:
                raise ValueError(
                    f"metrics.measures.{owner[name]} and metrics.measures.{key} both give {name}, and do "
                    "not count it alike; give one of them another k"
                )
            owner[name] = key


def refuse_too_few(metrics: dict[str, Metric], count: int) -> None:
    """Raises ValueError where `count` images have too few neighbours for a metric, before any is looked at."""
    for name, metric in metrics.items():
        if count <= (k := getattr(metric, "k", 0)):
            raise ValueError(
                f"metrics.measures.{name}.k={k}: {count:,} images on one side have no {k} neighbours; "
                f"give more images, or metrics.measures.{name}.k={count - 1} or less"
            )
