"""The figures of a comparison: quality against seconds, images, sampling speed and size; samples side by side."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from transgan import files
from transgan.comparison.record import Point, Record
from transgan.comparison.tables import seconds_of

matplotlib.use("Agg")
matplotlib.rcParams["text.parse_math"] = False  # a name may hold dollars
from matplotlib import pyplot as plt  # noqa: E402  the backend comes first
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: E402

LINE = ("-", "--", "-.", ":")  # distinguishable without colour
MANY = 8  # lines, with more of which the legend stands beside them
MARK = "osD^vPX*<>h"  # one more than there are colours


def style(index: int) -> dict:
    return {"color": f"C{index % 10}", "marker": MARK[index % len(MARK)], "linestyle": LINE[index % len(LINE)]}


def logarithmic(axis: Any) -> None:
    """Marked at 1, 2, 5, 10, ... in plain numbers; its scale has been set."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Any, path: Path) -> Path:
    """A PNG, complete or absent."""
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=150, bbox_inches="tight")
    plt.close(figure)
    return path


def drawn(text: str) -> str:
    """A title as it is: a dollar begins no formula, and bytes of a file name that are not text are question marks."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def curves(
    path: Path, titles: Callable, title: str, groups: dict[str, list[Record]], metric: str, against: str
) -> Path | None:
    """A number against "kimg", "own_kimg" or "seconds", the mean over seeds with the range.

    Returns None where no run has it, or only one point.
    """
    found = {name: [c for r in group if (c := r.curve(metric))] for name, group in groups.items()}
    found = {name: lines for name, lines in found.items() if lines and max(map(len, lines)) > 1}
    if not found:
        return None
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for index, name in enumerate(groups):
        if name not in found:
            continue
        x, middle, low, high = mean_curve(found[name], against)
        axes.plot(x, middle, label=drawn(titles(name)), markersize=4, **style(index))
        axes.fill_between(x, low, high, color=f"C{index % 10}", alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    logarithmic(axes.yaxis)
    unit = seconds_of([record for group in groups.values() for record in group])
    labels = {
        "kimg": "thousands of images shown, pre-training with them",
        "own_kimg": "thousands of images shown, without pre-training",
        "seconds": f"{unit} of training, pre-training with them",
    }
    axes.set_xlabel(labels[against])
    axes.set_ylabel(f"{metric} (lower is better)")
    axes.set_title(drawn(title), fontsize=10)
    axes.grid(alpha=0.3, which="both")
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if len(found) > MANY else {}
    axes.legend(fontsize=8, frameon=False, **beside)
    return save(figure, path)


def mean_curve(lines: list[list[Point]], against: str) -> tuple[np.ndarray, ...]:
    """-> (x, mean, lowest, highest) over seeds, point by point as far as all go."""
    count = min(map(len, lines))
    x = np.mean([[getattr(point, against) for point in line[:count]] for line in lines], 0)
    y = np.array([[point.value for point in line[:count]] for line in lines])
    return x, y.mean(0), y.min(0), y.max(0)


def protocols_of(groups: dict[str, list[Record]], metric: str) -> set[str]:
    """The protocols that a number was measured by while training."""
    return {point.protocol for group in groups.values() for record in group for point in record.curve(metric)}


def scatter(
    path: Path, titles: Callable, title: str, groups: dict, metric: str, numbers: Callable, x: dict, label: str
) -> Path | None:
    """A number, mean and range over seeds, against something of each system on a logarithmic axis."""
    figure, axes = plt.subplots(figsize=(7, 4.5))
    shown = 0
    for index, (name, group) in enumerate(groups.items()):
        found = numbers(group, metric)
        if not found or name not in x:
            continue
        shown += 1
        mean = statistics.fmean(found)
        errors = [[mean - min(found)], [max(found) - mean]]
        axes.errorbar(
            [x[name]],
            [mean],
            yerr=errors,
            label=drawn(titles(name)),
            markersize=8,
            capsize=3,
            **style(index) | {"linestyle": "none"},
        )
    if not shown:
        plt.close(figure)
        return None
    axes.set_xscale("log")
    axes.set_yscale("log")
    logarithmic(axes.xaxis)
    logarithmic(axes.yaxis)
    axes.set_xlabel(label)
    axes.set_ylabel(f"{metric} (lower is better)")
    axes.set_title(drawn(title), fontsize=10)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, frameon=False)
    return save(figure, path)


def bars(path: Path, titles: Callable[[str], str], sizes: dict[str, dict[str, int]]) -> Path:
    """Parameters of each system: the network that makes images, and what else was trained."""
    figure, axes = plt.subplots(figsize=(7, 0.45 * len(sizes) + 1.2))
    names = list(sizes)[::-1]
    labels = [drawn(titles(name)) for name in names]
    first = [next(iter(sizes[name].values())) for name in names]
    others = [sum(sizes[name].values()) - own for name, own in zip(names, first, strict=True)]
    axes.barh(labels, first, color="C0", label="makes the images")
    axes.barh(labels, others, left=first, color="C7", label="trained with it (an evaluator)")
    for place, own in enumerate(first):
        axes.text(own / 2, place, f"{own:,}", ha="center", va="center", color="white", fontsize=8)
    axes.set_xlabel("parameters")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2)
    return save(figure, path)


def side_by_side(path: Path, images: dict) -> Path:
    """Images with their titles."""
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 3.7 * rows), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (name, image) in zip(axes.flat, images.items(), strict=False):
        place.imshow(image, interpolation="nearest")
        place.set_title(drawn(name), fontsize=10)
    figure.tight_layout()
    return save(figure, path)
