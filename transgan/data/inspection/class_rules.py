"""What is said of the classes of a set: their sizes, and their names."""

import numpy as np

from transgan.data.dataset import printable
from transgan.data.inspection import class_names
from transgan.data.inspection.finding import Finding
from transgan.data.inspection.rules import Set
from transgan.data.inspection.wording import finding

BALANCE, SMALL_CLASS = 10.0, 50  # largest over smallest class; images of a class


def of_classes(images: Set) -> list[Finding]:
    """Classes of very different sizes, and names that are rather folders' than classes'."""
    names, found = images.class_names, []
    sure, doubtful = class_names.suspicious(names)
    if sure:
        found.append(finding("class_names", sure))
    if doubtful:
        found.append(finding("doubtful_names", doubtful))
    if groups := class_names.alike(names):
        why = {group[0]: class_names.difference(group) for group in groups}
        found.append(finding("similar_classes", [name for group in groups for name in group], groups, why))
    labels = images.labels[~images.held]
    counts = dict(zip(names, np.bincount(labels[labels >= 0], minlength=len(names)).tolist(), strict=False))
    return found + of_balance(counts)


def of_balance(counts: dict[str, int]) -> list[Finding]:
    """Rare classes, or where most are rare, the large ones; and small ones. counts: images to train on of each."""
    if len(counts) < 2:
        return []
    most = max(counts, key=lambda name: counts[name])
    rare = {name for name, count in counts.items() if count * BALANCE < counts[most]}
    middle = float(np.median(list(counts.values())))
    large = [name for name, count in counts.items() if count > BALANCE * max(middle, 1)]
    found = []
    if large and 2 * len(rare) > len(counts):
        why = {name: f"{counts[name]:,}, {times(counts[name], middle)} as many" for name in large}
        ratio = times(counts[most], middle)
        found.append(finding("large_classes", large, why=why, middle=f"{middle:,.0f}", ratio=ratio))
        rare = set()
    elif rare:
        why = {name: f"{counts[name]:,}, {times(counts[most], counts[name])} fewer" for name in counts if name in rare}
        least = min(counts.values())
        ratio = ("up to " if len(rare) > 1 else "") + times(counts[most], least)
        found.append(finding("balance", why, why=why, most=f"{printable(most)} ({counts[most]:,})", ratio=ratio))
    small = {name: f"{count:,}" for name, count in counts.items() if count < SMALL_CLASS and name not in rare}
    if small:
        found.append(finding("small_classes", small, why=small, least=SMALL_CLASS))
    return found


def times(more: float, less: float) -> str:
    """How many times as many, such as 12 times; of nothing that times one."""
    return f"{round(more / max(less, 1)):,} times"
