"""Line charts as data for an SVG: paths, axes, a description in words, and the numbers as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from transgan.numerals import number

T = TypeVar("T")
WIDTH, HEIGHT = 400, 250  # units of the drawing, about pixels: small enough to be read on a phone
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 38
MOST = 240  # points of a line
FEW = 12  # points that are marked
TABLE = 12  # rows of the table
RANGE = 20.0  # largest over smallest value, from which on an axis is logarithmic


@dataclass(frozen=True)
class Series:
    """A line: its name, and (x, y) in order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """What the template draws. paths: (name, d of an SVG path, its points where they are few) of each line. x_ticks and
    y_ticks: (position, label). rows: of the table, its head first."""

    title: str
    description: str
    x_label: str
    paths: list[tuple[str, str, list[tuple[float, float]]]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    rows: list[list[str]]
    logarithmic: bool

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


def chart(title: str, series: Sequence[Series], note: str = "", magnitudes: bool = True) -> Chart | None:
    """A chart of the lines that have points; None where none has two. note: a sentence about how to read it.

    magnitudes: whether factors between values matter; then y is logarithmic where they are positive and span more than
    a factor of 20.
    """
    series = [each for each in series if each.points]
    if max((len(each.points) for each in series), default=0) < 2:
        return None
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    x_label = "kimg"
    logarithmic = magnitudes and min(ys) > 0 and max(ys) / min(ys) > RANGE
    x_low, x_high = min(0.0, *xs), max(xs)
    x_high = x_high if x_high > x_low else x_low + 1
    y_ticks = decades(min(ys), max(ys)) if logarithmic else steps(min(ys), max(ys))
    low, high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)

    def across(x: float) -> float:
        return round(LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def up(y: float) -> float:
        a, b, c = (math.log(each) for each in (y, low, high)) if logarithmic else (y, low, high)
        share = (a - b) / (c - b) if c > b else 0.5
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    paths = []
    for each in series:
        at = [(across(x), up(y)) for x, y in spaced(each.points, MOST)]
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in at)
        paths.append((each.name, path, at if len(at) <= FEW else []))
    return Chart(
        title, " ".join([*(f"{course(each)}." for each in series), *([note] if note else [])]), x_label, paths,
        [(across(x), short(x)) for x in steps(x_low, x_high) if x_low <= x <= x_high],
        [(up(y), short(y)) for y in y_ticks], table(series, x_label), logarithmic,
    )  # fmt: skip


def course(series: Series) -> str:
    """How a line goes, in words."""
    (first_x, first), (last_x, last) = series.points[0], series.points[-1]
    if len(series.points) == 1:
        return f"{series.name}: {short(first)} at {short(first_x)}"
    lowest, highest = min(series.points, key=lambda p: p[1]), max(series.points, key=lambda p: p[1])
    return (
        f"{series.name} goes from {short(first)} at {short(first_x)} to {short(last)} at {short(last_x)}, with "
        f"{short(lowest[1])} as the lowest value, at {short(lowest[0])}, and {short(highest[1])} as the highest, at "
        f"{short(highest[0])}"
    )


def table(series: Sequence[Series], x_label: str) -> list[list[str]]:
    """Head and rows: x and the value of each line there, evenly spaced over all x."""
    values = [dict(each.points) for each in series]
    every = sorted({x for each in values for x in each})
    rows = [[short(x), *(short(each[x]) if x in each else "–" for each in values)] for x in spaced(every, TABLE)]
    return [[x_label, *(each.name for each in series)], *rows]


def spaced(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def steps(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from below `low` to above `high`, 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        low, high = low - abs(low or 1) / 2, high + abs(high or 1) / 2
    size = 10 ** math.floor(math.log10((high - low) / about))
    size *= next(factor for factor in (1, 2, 5, 10) if factor * size * about >= (high - low) * 0.999)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [round(i * size, 12) for i in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten around a range; powers of ten alone where it is wide."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = (1, 2, 5) if last - first <= 2 else (1,)
    every = [mark * 10.0**power for power in range(first, last + 1) for mark in marks]
    inner = [each for each in every if low <= each <= high]
    return spaced([max(each for each in every if each <= low), *(x for x in inner if x > low),
                   *([] if high in every else [min(each for each in every if each >= high)])], 8)  # fmt: skip


def short(value: float) -> str:
    """A number as an axis shows it."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-3:
        return f"{value:.2g}"
    return f"{value:,.4g}" if size < 1000 else f"{value:,.0f}"


def brief(value: float) -> str:
    """A number as a sentence has it."""
    return number(value)
