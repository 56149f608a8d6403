"""comparison.csv, a line per run, and comparison.md: a table per budget, the claims, and the source of every number."""

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transgan import files
from transgan.comparison.record import DIGITS, Record
from transgan.errors import UserError
from transgan.numerals import number

# Beginnings of the names of numbers that are in the CSV alone.
HIDDEN = (
    "accuracy_heldout_",
    "accuracy_real_",
    "kd_",
    "cs_",
    "precision_prdc_",
    "recall_prdc_",
    "density_",
    "auth_pct_",
    "c_t_",
    "copy_rate_p_",
    "copy_rate_heldout_",
    "mesh_heldout",
    "spread_heldout",
    "spread_features_",
)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")  # OWASP: what a cell begins with that is computed when opened
Titles = Callable[[str], str]  # what a system or a budget is called


def values(records: list[Record], metric: str) -> list[float]:
    """A number of each run that has it: one of its evaluation, or a cost."""
    costs = {
        "kimg": lambda r: r.kimg, "seconds": lambda r: r.seconds, "images_per_second": lambda r: r.images_per_second,
        "bits_per_dim_heldout": lambda r: (r.evaluation.get("likelihood") or {}).get("bits_per_dim_heldout"),
    }  # fmt: skip
    found = [costs[metric](record) if metric in costs else record.metrics.get(metric) for record in records]
    return [value for value in found if value is not None and math.isfinite(value)]


def spread(numbers: list[float], digits: int = 3) -> str:
    """Mean, and the standard deviation over seeds."""
    if not numbers:
        return "–"
    mean = statistics.fmean(numbers)
    text = number(mean, digits)
    if len(numbers) > 1:
        deviation = statistics.stdev(numbers)
        text += f" ± {number(deviation, 2)}"
    return text


def speed(images_per_second: float) -> str:
    """In whole images, unless they are few."""
    return number(images_per_second, 2)


def cell(text: str) -> str:
    """Text that the user chose, such as a name, escaped for Markdown and its tables: no markup, on one line."""
    for sign, written in (("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "\\`"), ("*", "\\*")):
        text = text.replace(sign, written)
    return " ".join(text.split())


def field(value: Any) -> Any:
    """A value as it is in a CSV. Text that a spreadsheet would take for a formula begins with an apostrophe."""
    risky = isinstance(value, str) and (value.startswith(FORMULA) or value.lstrip().startswith(FORMULA))
    return f"'{value}" if risky else value


def shown_metrics(records: list[Record], primary: str) -> list[str]:
    """The columns of quality: the primary one against held-out images first, and not what is only for the CSV."""
    names = list(dict.fromkeys(name for record in records for name in record.metrics))
    names = [
        name for name in names if not name.startswith(HIDDEN) and not name.endswith("_std") and "_std_" not in name
    ]
    first = [name for name in (f"{primary}_heldout", primary) if name in names]
    return first + [name for name in names if name not in first]


def table(rows: list[list[str]]) -> list[str]:
    """Markdown; the first row is the head. Names in the rows went through `cell`."""
    head, *body = rows
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def likelihood_of(records: list[Record]) -> str:
    """What the bits per dimension of a system are: exact, or a bound."""
    found = [record.evaluation["likelihood"] for record in records if record.evaluation.get("likelihood")]
    return "; ".join(sorted({each["likelihood"] for each in found if each.get("likelihood")})) or "–"


def seconds_of(records: list[Record]) -> str:
    """What seconds of training are called."""
    return "CPU-seconds" if any(record.clock == "cpu" for record in records) else "seconds"


def budget_table(groups: dict[str, list[Record]], titles: Titles, primary: str, speeds: dict, sizes: dict) -> list[str]:
    """One line a system, means and standard deviations over seeds."""
    records = [record for group in groups.values() for record in group]
    metrics = shown_metrics(records, primary)
    has_bits = any(values(group, "bits_per_dim_heldout") for group in groups.values())
    rows = [
        [
            "system",
            *map(cell, metrics),
            *(["bits/dim held out", "likelihood"] if has_bits else []),
            "kimg",
            seconds_of(records),
            "training images/s",
            "sampled images/s",
            "parameters",
        ]
    ]
    for name, group in groups.items():
        bits = [spread(values(group, "bits_per_dim_heldout"), 4), likelihood_of(group)] if has_bits else []
        rows.append([
            cell(titles(name)), *(spread(values(group, metric)) for metric in metrics), *bits,
            spread(values(group, "kimg")), spread(values(group, "seconds")), spread(values(group, "images_per_second")),
            speed(speeds[name]["images_per_second"]) if name in speeds else "–",
            size_of(sizes[name]),
        ])  # fmt: skip
    return table(rows)


def size_of(sizes: dict[str, int]) -> str:
    """Of the network that makes images, and of the others it was trained with."""
    first, *others = sizes.items()
    return f"{first[1]:,}" + "".join(f" (+ {size:,} {name})" for name, size in others)


def sentences(found: tuple, titles: Titles) -> list[str]:
    """What decides a claim: one for every pair of systems, and what numbers are missing."""
    _, tests, missing = found
    said = [
        f"{titles(each.ours)} {each.sentence()}".replace(f"against {each.theirs} (", f"against {titles(each.theirs)} (")
        for each in tests
    ]
    if missing:
        said.append("without numbers: " + ", ".join(f"{titles(system)} ({budget})" for system, budget in missing))
    return said


def claims_table(found: dict, claims: dict, titles: Titles) -> list[str]:
    """Each claim with its result, and by how much."""
    rows = [["claim", "result", "by how much"]]
    for name, each in found.items():
        said = "<br>".join(map(cell, sentences(each, titles)))
        rows.append([cell(claims[name]["says"]), f"**{each[0]}**", said])
    return table(rows)


def sources(records: list[Record], out: Path) -> list[str]:
    """Where every number is from: run, checkpoint, evaluation, protocol."""
    rows = [["run", "seed", "checkpoint", "evaluation", "protocol"]]
    for record in records:
        for each in record.chain:
            rows.append([
                cell(relative(each.folder, out)), str(each.seed), cell(f"{each.path.name} {each.sha256[:DIGITS]}"),
                cell(relative(each.evaluation["file"], out)) if each.evaluation else "pre-training",
                each.evaluation["protocol"]["id"] if each.evaluation else "–",
            ])  # fmt: skip
    return table([rows[0], *[list(row) for row in dict.fromkeys(map(tuple, rows[1:]))]])


def relative(path: str | Path, out: Path) -> str:
    return Path(os.path.relpath(path, out)).as_posix()


def require_same_runs(records: list[Record], out: Path) -> None:
    """Refuses the folder of a comparison of other runs. Raises UserError."""
    header, *rows = files.read_csv(out / "comparison.csv") or [[]]
    place = header.index("run") if "run" in header else len(header)
    there = {row[place] for row in rows if len(row) > place}
    if header and there != {field(relative(record.folder, out)) for record in records}:
        named = ", ".join(sorted(there)[:4]) + (" and others" if len(there) > 4 else "")
        raise UserError(
            f"{out} holds the comparison of other runs ({named}); give another folder, such as out=comparisons/NAME"
        )


def write_csv(path: Path, records: list[Record], speeds: dict, sizes: dict, out: Path) -> None:
    """One line a run, with every number that was measured."""
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    rows = []
    for record in records:
        likelihood = record.evaluation.get("likelihood") or {}
        parts = sizes[record.system]
        rows.append({
            "system": record.system, "budget": record.budget, "seed": record.seed, "kimg": record.kimg,
            "clock": record.clock, "seconds": round(record.seconds, 3),
            "pretraining_kimg": record.before.kimg if record.before else 0.0,
            "pretraining_seconds": round(record.before.seconds, 3) if record.before else 0.0,
            "training_images_per_second": float(f"{record.images_per_second:.4g}"),
            "sampled_images_per_second": speeds.get(record.system, {}).get("images_per_second"),
            "seconds_per_image": speeds.get(record.system, {}).get("seconds_per_image"),
            "parameters": next(iter(parts.values())), "parameters_trained": sum(parts.values()),
            "bits_per_dim_heldout": likelihood.get("bits_per_dim_heldout"), "likelihood": likelihood.get("likelihood"),
            **{name: record.metrics.get(name) for name in metrics},
            "run": relative(record.folder, out), "checkpoint": record.path.name, "checkpoint_sha256": record.sha256,
            "evaluation": relative(record.evaluation["file"], out),
            "protocol": record.evaluation["protocol"]["id"],
        })  # fmt: skip
    files.write_csv(path, [[field(each) for each in line] for line in (list(rows[0]), *(row.values() for row in rows))])
