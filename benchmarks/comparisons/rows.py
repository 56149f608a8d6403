"""The runs of a comparison's folder as JSON lines on stdout: see __init__.py."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch

from transgan import files
from transgan.comparison.record import Record

FACTS = ("system", "budget", "run", "checkpoint", "checkpoint_sha256", "evaluation", "protocol", "likelihood", "clock")
WHOLE = ("seed", "parameters", "parameters_trained")


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """A dict for each line of comparison.csv: its facts, `numbers`, and the `curve` of the distance while training.

    Costs have pre-training in them. No curve where a system is sampled in other steps than those it was measured by.
    """
    header, *lines = files.read_csv(folder / "comparison.csv")
    found = []
    for line in lines:
        cells = dict(zip(header, line, strict=True))
        row: dict[str, Any] = {"suite": folder.name} | {name: cells[name] for name in FACTS}
        row |= {name: int(cells[name]) for name in WHOLE}
        numbers = {name: number(text) for name, text in cells.items() if name not in (*FACTS, *WHOLE)}
        row["numbers"] = {name: value for name, value in numbers.items() if value is not None}
        row["cpu"], row["torch"] = torch.backends.cpu.get_cpu_capability(), torch.__version__
        row["curve"] = curve(folder, row) if Path(row["run"]).name.startswith(f"{row['system']}-") else []
        found.append(row)
    return found


def number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return float(f"{value:.6g}") if math.isfinite(value) else None


def curve(folder: Path, row: dict[str, Any]) -> list[dict[str, float]]:
    record = Record(folder / row["run"], row["system"], row["budget"], row["seed"], clock=row["clock"])
    name = next((name for name in row["numbers"] if name.startswith("fd_") and not name.endswith("_heldout")), "")
    kimg, seconds = row["numbers"]["pretraining_kimg"], row["numbers"]["pretraining_seconds"]
    return [
        {"kimg": round(each.kimg + kimg, 3), "own_kimg": each.own_kimg, "seconds": round(each.seconds + seconds, 2),
         name: float(f"{each.value:.5g}")}
        for each in record.curve(name)
    ]  # fmt: skip


def main() -> None:
    for folder in sys.argv[1:]:
        for row in rows_of(Path(folder)):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
