"""`transgan data check`: what training would stumble over in a folder or zip of images."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console, Group
from rich.progress import track
from rich.table import Table
from rich.text import Text

from transgan import __version__, files
from transgan.config.bare import run_name
from transgan.data.inspection.check import Report, check, summary
from transgan.data.inspection.finding import LEVELS
from transgan.data.inspection.page import images_of, page
from transgan.data.inspection.sheet import png, seen, sheet, spread_over
from transgan.data.listed import listed
from transgan.errors import UserError, setting_up
from transgan.instantiation import literal
from transgan.runs.folder import open_console
from transgan.runs.names import wrong_suffix
from transgan.runs.planned import settle, show, unsaid

COLOURS = {"stops": "red", "spoils": "yellow", "changes": "blue", "notes": "default"}


def main(config: DictConfig, arguments: list[str]) -> int:
    """Prints the findings and writes the files that were asked for. Returns the exit code, 0."""
    with setting_up():
        if config.html == "auto":
            config.html = literal(page_of(config.data.path))
        outputs = [("html", ".html", ".htm"), ("json", ".json"), ("sheet", ".png")]
        if found := [each for key, *ends in outputs for each in wrong_suffix(key, config[key], *ends)]:
            raise UserError(*found)
        console = open_console()
        choices = unsaid(config)
        settle(config, choices)
        show(console, choices)
        data, size = config.data, (config.resolution, config.channels)
        report = check(
            data.path, *size, labels=data.labels, white=data.white, holdout=config.holdout, limit=data.limit,
            workers=config.workers, watch=lambda results, total: shown(results, total),
        )  # fmt: skip
        say(console, report)
        source = listed(data.path, *size, labels=data.labels, white=report.levels)
        chosen = spread_over(report.good, config.images)
        written = []
        if config.html is not None:
            files.write_text(files.expanded(config.html), page(report, source, chosen))
            written.append(f"{config.html} (with images)")
        if config.json is not None:
            files.write_json(files.expanded(config.json), {"transgan": __version__} | report.as_json())
            written.append(config.json)
        if config.sheet is not None and (images := seen(source, chosen)):
            with files.replacing(files.expanded(config.sheet)) as file:
                file.write(png(sheet(images, max(1, min(12, 960 // config.resolution)))))
            written.append(config.sheet)
    if config.html is None and config.json is None and any(each.is_cut for each in report.findings):
        console.print("\nhtml=FILE and json=FILE name all")
    if written:
        console.print(f"\nwritten {', '.join(written)}; {report.seconds:.1f} s")
    return 0


def page_of(path: str) -> str:
    """NAME-check.html, after the images. Raises UserError where there is one that is not of them."""
    name, before = f"{run_name(path)}-check.html", None
    if not Path(name).exists():
        return name
    with suppress(OSError, ValueError):
        before = images_of(files.read_text(name))
    if before is None or written_out(before) != written_out(path):
        whose = "is no report of these images" if before is None else f"is the report of {before}"
        raise UserError(f"{name} is there already and {whose}; give html=OTHER.html, or html=null for none")
    return name


def written_out(path: str) -> str:
    """As it stands in a page, where bytes that are no text are escapes."""
    return os.path.abspath(files.expanded(path)).encode("utf-8", "backslashreplace").decode()


def shown(results: Iterable[Any], total: int) -> Iterable[Any]:
    """With a progress bar on standard error, where a terminal shows it."""
    console = Console(stderr=True)
    return track(results, "reading images", total, console=console, transient=True) if console.is_terminal else results


def say(console: Console, report: Report) -> None:
    """Prints the report."""
    first, *rest = [*summary(report), *report.notes]
    console.print("\n".join([f"images  {first}", *(f"        {line}" for line in rest)]))
    console.print()
    for level, title in LEVELS.items():
        findings = [each for each in report.findings if each.level == level]
        if not findings:
            continue
        console.print(Text(title.capitalize(), style=f"bold {COLOURS[level]}"))
        table = Table(box=None, padding=(0, 2, 1, 0), show_header=False, width=min(console.width, 120))
        table.add_column(no_wrap=False, min_width=12, ratio=3)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=7, overflow="fold")
        table.add_column(ratio=7)
        for each in findings:
            names = Group(*(Text(name, style="dim") for name in each.named()))
            table.add_row(
                each.title, each.amount.replace(" in ", " in\n"), names, f"training {each.training}\n→ {each.way}"
            )
        console.print(table, soft_wrap=False)
    if not report.findings:
        console.print("Nothing was found that training would stumble over.")
    for line in report.advice:
        console.print(f"advice  {line}")
