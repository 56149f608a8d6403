"""The report as one HTML page: every part of every run, put into the template."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from transgan import files
from transgan.data.dataset import readable
from transgan.errors import UserError
from transgan.metrics.meanings import meaning
from transgan.numerals import number
from transgan.reporting import configuration, curves, data, drawing, neighbours, result
from transgan.reporting.album import Album, Embedded
from transgan.reporting.chart import Chart
from transgan.reporting.cost import costs
from transgan.reporting.drawing import Sheet
from transgan.reporting.latex import latex
from transgan.reporting.material import Gap, Material
from transgan.reporting.measured import BOUNDS, Measured, all_measured
from transgan.reporting.neighbours import Neighbours
from transgan.reporting.scale import Scale, scale

LARGEST = 10_000_000  # bytes of a report
EMBEDDED = 5_200_000  # bytes of images in it, before they are encoded as text
IMAGES = 32  # of a run, at most, beside those with their neighbours
MOST = 24  # runs in one report

Say = Callable[[str], Any]
Shown = TypeVar("Shown", Sheet, Neighbours)


@dataclass
class Part:
    """A run in the report: what the template shows of it."""

    material: Material
    anchor: str
    measured: list[Measured]
    sentences: list[str]
    scale: Scale | None
    costs: dict[str, str]
    signals: list[Chart]
    others: list[Chart]
    grids: list[tuple[str, Embedded]]
    reals: Embedded | None
    classes: Sheet
    walks: Sheet
    neighbours: Neighbours
    data: data.DataFacts
    commands: list[tuple[str, str]]

    @property
    def name(self) -> str:
        return self.material.name

    @property
    def layout(self) -> str:
        return drawing.layout(self.material)

    @property
    def first(self) -> Measured | None:
        return self.measured[0] if self.measured else None

    @property
    def once(self) -> bool:
        """Whether a distance was measured while training."""
        primary = None if self.first is None else self.first.primary
        return primary is not None and bool(curves.measured(self.material, primary))

    @property
    def unknown(self) -> str:
        """Which bounds of the primary number are not known, in a sentence before the command that gives them."""
        if self.first is None or self.first.primary is None:
            return ""
        lack = [f"the {name}, {BOUNDS[name]}," for name in ("floor", "ceiling") if self.first.bounds.get(name) is None]
        if not lack:
            return ""
        are, them = ("is", "it") if len(lack) == 1 else ("are", "both")
        return f"T{' and '.join(lack)[1:]} {are} not known yet. This gives {them}:"

    @property
    def evaluate(self) -> Gap:
        """The way to numbers, where there are none or no floor."""
        command = next((line for _, line in self.commands if line.startswith("transgan evaluate ")), "")
        return Gap("Nothing was measured of this run yet.", command)


def part_of(material: Material, album: Album, anchor: str, count: int) -> Part:
    """Everything about one run. count: generated images whose neighbours are looked for; 0 leaves the data unread."""
    material.load()
    measured = all_measured(material)
    first = measured[0] if measured else None
    unread = Gap("neighbours=0 was given: the training images were not read.")
    dataset, heldout, gap = neighbours.opened(material) if count else (None, None, unread)
    if dataset is None:
        assert gap is not None
        near = Neighbours(gap=gap)
    else:
        near = attempted(lambda: neighbours.neighbours(material, dataset, album, count), Neighbours)
    main, others = curves.signals(material)
    sentences = [result.made(material), result.progress(material), *result.quality(first)]
    return Part(
        material, anchor, measured, [*sentences, *result.notes(material, first)], scale(first), costs(material),
        main, others, [(result.grid_caption(kimg), image) for kimg, image in drawing.grids(material, album)],
        drawing.grid_in(material.reals, material, album), attempted(lambda: drawing.classes(material, album), Sheet),
        attempted(lambda: drawing.walks(material, album), Sheet), near,
        data.facts(material, first, dataset, heldout, gap), configuration.commands(material),
    )  # fmt: skip


def attempted(make: Callable[[], Shown], kind: Callable[..., Shown]) -> Shown:
    """What `make` returns; where images cannot be made, an empty one of its kind with the reason."""
    try:
        return make()
    except ValueError as error:  # of weights that are not finite
        return kind(gap=Gap(f"There are no images: {error}."))


def write(materials: list[Material], out: Path, count: int, version: str, say: Say = lambda text: None) -> int:
    """Writes the report -> its size in bytes. `say` is called with the run that is being looked at. Raises UserError
    if it would be larger than LARGEST."""
    album = Album(EMBEDDED // ((IMAGES + count) * len(materials)))
    parts = []
    names = [material.name for material in materials]
    for material in materials:
        if names.count(material.name) > 1:
            material.name = material.given
    for i, material in enumerate(materials):
        say(material.name)
        parts.append(part_of(material, album, f"run{i + 1}", count))
        material.release()
    text = render(parts, version)
    size = len(text.encode("utf-8", "backslashreplace"))
    if size > LARGEST:
        raise UserError(
            f"the report would have {readable(size)}, and {readable(LARGEST)} are the most; give fewer runs"
        )
    files.write_text(out, text)
    return size


def render(parts: list[Part], version: str) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("transgan.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    materials, firsts = [part.material for part in parts], [part.first for part in parts]
    names = [part.name for part in parts]
    return environment.get_template("report.html").render(
        parts=parts, several=len(parts) > 1, runs=" ".join(identity(material.folder for material in materials)),
        title=headline(names), written=time.strftime("%Y-%m-%d %H:%M"),
        version=version, distances=curves.distances(materials, firsts), latex=latex(names, firsts),
        differences=configuration.differences(materials) if len(parts) > 1 else [],
        comparison=comparison(parts), beside=beside(parts),
    )  # fmt: skip


def identity(folders: Iterable[Path]) -> list[str]:
    """Of each run in a report: together they tell it from one of others and say nothing about where they are."""
    return sorted(files.hash_of(str(folder.resolve()))[:16] for folder in folders)


def beside(parts: list[Part]) -> list[tuple[str, str, list[str]]]:
    """(name, meaning, its value in each run) of every number that stands for a run, floor and ceiling at the end."""
    found: dict[str, list[str]] = {}
    for i, part in enumerate(parts):
        rows = {} if part.first is None else {row["name"]: row["value"] for row in part.first.rows}
        for name, value in rows.items():
            found.setdefault(name, ["–"] * len(parts))[i] = value
    rows_of_bounds = []
    for name, what in BOUNDS.items():
        values = [known(part.first.bounds.get(name)) if part.first else "–" for part in parts]
        if name != "begun" or set(values) != {"–"}:
            rows_of_bounds.append((name if name != "begun" else "as it began", what, values))
    return [*((name, meaning(name), values) for name, values in found.items()), *rows_of_bounds]


def headline(names: list[str]) -> str:
    """Of the page: the runs by name where they are few."""
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} runs"


def comparison(parts: list[Part]) -> list[list[str]]:
    """Head and rows of the runs beside each other; the primary number of each with its protocol."""
    head = ["run", "images", "distance", "value", "floor", "ceiling", "protocol", "parameters", "training"]
    rows = []
    for part in parts:
        first = part.first
        numbers = ["–"] * 5
        if first is not None and first.primary and first.value is not None:
            numbers = [
                first.primary, number(first.value, 4), known(first.bounds.get("floor")),
                known(first.bounds.get("ceiling")), first.id,
            ]  # fmt: skip
        rows.append([
            part.name, part.costs["Images shown"], *numbers, total(part.costs["Parameters"]),
            part.costs["Time, training steps alone"],
        ])  # fmt: skip
    return [head, *rows]


def total(parameters: str) -> str:
    """Of all networks together, from the words about each."""
    found = [int(each.replace(",", "")) for each in re.findall(r"\d[\d,]*\d|\d", parameters)]
    return f"{sum(found):,}" if found else "–"


def known(value: float | None) -> str:
    return "–" if value is None else number(value, 4)
