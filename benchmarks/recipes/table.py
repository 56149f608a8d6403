"""The rows of trials as Markdown: `python -m benchmarks.recipes.table ROWS.jsonl LIST.yaml`.

One line per idea of the list and task: medians over the seeds, and the smallest and largest distance where there are
several. The first idea is what the others are compared with.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.recipes.__main__ import trials_of

COLUMNS = (
    "change", "seeds", "CPU-s", "kimg", "steps", "distance", "at 10, 30, 60 % of the time", "recall", "mesh", "spread",
    "images/s",
)  # fmt: skip
ALSO = "fd_mobilenet_v2"  # a last column, where a list was measured by it too


def number(rows: list[dict[str, Any]], name: str) -> float:
    """The median of a number whose name begins so."""
    found = [value for row in rows for key, value in row["numbers"].items() if key.startswith(name)]
    return statistics.median(found) if found else float("nan")


def line(idea: str, rows: list[dict[str, Any]], also: bool = False) -> str:
    """A row of the table. also: with the column ALSO."""
    distances = sorted(row["numbers"]["fd_classifier"] for row in rows)
    spread = f" ({distances[0]:.3g} to {distances[-1]:.3g})" if len(distances) > 1 else ""
    points = zip(*([point["fd_classifier"] for point in row["curve"]] for row in rows), strict=False)
    return (
        f"| {idea} | {len(rows)} | {statistics.median(row['seconds'] for row in rows):.0f} "
        f"| {statistics.median(row['images'] for row in rows) / 1000:.1f} "
        f"| {statistics.median(row['steps'] for row in rows):.0f} | {statistics.median(distances):.3g}{spread} "
        f"| {', '.join(f'{statistics.median(values):.3g}' for values in points)} | {number(rows, 'recall'):.2f} "
        f"| {number(rows, 'mesh'):.2f} | {number(rows, 'spread'):.2f} "
        f"| {statistics.median(row['images_per_second'] for row in rows):.0f} |"
        + (f" {number(rows, ALSO):.3g} |" if also else "")
    )


def tables(rows: list[dict[str, Any]], lists: list[Path]) -> str:
    """A table for each task and budget of each list."""
    known = {row["id"]: row for row in rows}
    out = []
    for path in lists:
        found: dict[tuple[str, float], dict[str, list[dict[str, Any]]]] = {}
        for trial in trials_of(path):
            if trial.id in known:
                found.setdefault((trial.task, trial.seconds), {}).setdefault(trial.idea, []).append(known[trial.id])
        for (task, seconds), ideas in found.items():
            also = any(ALSO in row["numbers"] for each in ideas.values() for row in each)
            columns = (*COLUMNS, *([ALSO] if also else []))
            out += [f"**{task}, {seconds:g} CPU-seconds** ({path.name})", "", f"| {' | '.join(columns)} |"]
            out += ["|---" * len(columns) + "|", *(line(idea, each, also) for idea, each in ideas.items()), ""]
    return "\n".join(out)


def main() -> None:
    rows, *lists = map(Path, sys.argv[1:])
    print(tables([json.loads(each) for each in rows.read_text().splitlines()], lists))


if __name__ == "__main__":
    main()
