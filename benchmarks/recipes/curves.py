"""Distance over seconds and over images, a line for each system and a row for each task.

    python -m benchmarks.recipes.curves ROWS.jsonl LIST.yaml OUT.png [BUDGET]

Medians over the seeds, with the range where there are several. Points are the evaluations while training and the last.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.recipes.__main__ import trials_of
from transgan.comparison.figures import logarithmic, plt, save, style

AGAINST = {"seconds": "CPU-seconds", "kimg": "thousand images"}
Row = dict[str, Any]


def points(row: Row) -> list[dict[str, float]]:
    """The evaluations of a trial, the last one with them."""
    last = {"seconds": row["seconds"], "kimg": row["images"] / 1000}
    return [*row["curve"], last | {"fd_classifier": row["numbers"]["fd_classifier"]}]


def measured(rows: list[Row], path: Path, budget: float | None) -> dict[str, dict[str, list[Row]]]:
    """task: {idea: rows} of a list, as far as they are there."""
    known, found = {row["id"]: row for row in rows}, {}  # type: ignore[var-annotated]
    for trial in trials_of(path):
        if trial.id in known and budget in (None, trial.seconds):
            found.setdefault(trial.task, {}).setdefault(trial.idea, []).append(known[trial.id])
    return found


def draw(tasks: dict[str, dict[str, list[Row]]], out: Path) -> None:
    figure, axes = plt.subplots(len(tasks), 2, figsize=(11.5, 3.8 * len(tasks)), squeeze=False)
    names = list(dict.fromkeys(name for ideas in tasks.values() for name in ideas))
    for line, (task, ideas) in zip(axes, tasks.items(), strict=True):
        for axis, (key, label) in zip(line, AGAINST.items(), strict=True):
            for name, rows in ideas.items():
                steps = list(zip(*map(points, rows), strict=False))
                x = [statistics.median(point[key] for point in step) for step in steps]
                values = [sorted(point["fd_classifier"] for point in step) for step in steps]
                look = style(names.index(name))
                axis.plot(x, [statistics.median(each) for each in values], label=name, markersize=5, **look)
                if len(rows) > 1:
                    low, high = [each[0] for each in values], [each[-1] for each in values]
                    axis.fill_between(x, low, high, color=look["color"], alpha=0.15)
            axis.set(xscale="log", yscale="log", xlabel=label, ylabel="fd_classifier", title=task)
            logarithmic(axis.xaxis)
            logarithmic(axis.yaxis)
            axis.grid(alpha=0.3)
    drawn = [axis.get_legend_handles_labels() for axis in axes.flat]
    named = {name: line for lines, labels in drawn for line, name in zip(lines, labels, strict=True)}
    figure.tight_layout(rect=(0, 0, 0.85, 1))
    figure.legend(named.values(), named.keys(), loc="center left", bbox_to_anchor=(0.86, 0.5))
    save(figure, out)


def main() -> None:
    rows, path, out, *budget = sys.argv[1:]
    every = [json.loads(each) for each in Path(rows).read_text(encoding="utf-8").splitlines()]
    draw(measured(every, Path(path), float(budget[0]) if budget else None), Path(out))


if __name__ == "__main__":
    main()
