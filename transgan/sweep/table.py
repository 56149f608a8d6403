"""The table of a sweep: on the screen, in sweep.md and in sweep.csv; one line a job, and means over seeds."""

import csv
import io
import shlex
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from transgan import files
from transgan.sweep.records import JobRecord

NONE = "–"


def ordered(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    """The lowest number first; those without one at the end, by name."""
    return sorted(jobs, key=lambda job: (job.status != "done", job.value is None, job.value or 0.0, job.name))


def values_of(job: JobRecord) -> dict[str, str]:
    """key -> value of the overrides that set a job apart."""
    return dict(override.lstrip("+").partition("=")[::2] for override in job.overrides)


def keys_of(jobs: Sequence[JobRecord]) -> list[str]:
    found = list(dict.fromkeys(key for job in jobs for key in values_of(job)))
    return sorted(found, key=lambda key: key == "seed")


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def lines(jobs: Sequence[JobRecord]) -> list[list[str]]:
    """The header and one line a job."""
    keys, metric = keys_of(jobs), metric_of(jobs)
    rows = [[*keys, "status", "images", metric, f"last {metric}", "seconds"]]
    for job in ordered(jobs):
        values = values_of(job)
        rows.append([
            *(values.get(key, NONE) for key in keys), job.status, f"{1000 * job.kimg:,.0f}", number(job.value),
            number(job.last), f"{job.seconds:.1f}",
        ])  # fmt: skip
    return rows


def metric_of(jobs: Sequence[JobRecord]) -> str:
    names = list(dict.fromkeys(job.metric for job in jobs if job.metric))
    return " or ".join(names) or "metric"


def over_seeds(jobs: Sequence[JobRecord]) -> list[list[str]]:
    """The header and one line for all jobs that differ in their seed alone; nothing where no two do."""
    keys = [key for key in keys_of(jobs) if key != "seed"]
    groups: dict[tuple[str, ...], list[float]] = {}
    for job in jobs:
        if job.status == "done" and job.value is not None and "seed" in values_of(job):
            groups.setdefault(tuple(values_of(job).get(key, NONE) for key in keys), []).append(job.value)
    if all(len(found) < 2 for found in groups.values()):
        return []
    rows = [[*keys, "seeds", f"{metric_of(jobs)}, mean ± std"]]
    for group, found in sorted(groups.items(), key=lambda item: statistics.fmean(item[1])):
        spread = f" ± {statistics.stdev(found):.2g}" if len(found) > 1 else ""
        rows.append([*group, str(len(found)), f"{statistics.fmean(found):.4g}{spread}"])
    return rows


def show(console: Console, jobs: Sequence[JobRecord]) -> None:
    for rows in (lines(jobs), over_seeds(jobs)):
        if rows:
            shown = Table(*rows[0], box=None, pad_edge=False, header_style="bold")
            for row in rows[1:]:
                shown.add_row(*row)
            console.print()
            console.print(shown)


def write(sweep: Path, jobs: Sequence[JobRecord], command: str, said: str) -> None:
    """sweep.md and sweep.csv."""
    parts = [f"# {sweep.name}", f"`{command}`", said, markdown(lines(jobs))]
    if grouped := over_seeds(jobs):
        parts.append(markdown(grouped))
    parts += [f"{job.label}: {job.reason}" for job in ordered(jobs) if job.reason]
    parts.append(f"Lower is better. Next: `transgan compare {shlex.quote(str(sweep))}`")
    files.write_text(sweep / "sweep.md", "\n\n".join(parts) + "\n")
    text, keys = io.StringIO(), keys_of(jobs)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, "status", "kimg", "metric", "value", "last", "seconds", "run", "reason"])
    for job in ordered(jobs):
        values = values_of(job)
        writer.writerow([
            *(values.get(key, "") for key in keys), job.status, job.kimg, job.metric or "",
            "" if job.value is None else job.value, "" if job.last is None else job.last, job.seconds, job.name,
            job.reason,
        ])  # fmt: skip
    files.write_text(sweep / "sweep.csv", text.getvalue())


def markdown(rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], ["---"] * len(cells[0]), *cells[1:]))
