"""The tables, claims and curves of a suite whose seeds were trained apart: see __init__.py."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from transgan.comparison import figures, tables
from transgan.comparison.claims import check_claims
from transgan.comparison.record import Point

COLUMNS = {  # of a table: name of the number -> title
    "fd_heldout": "distance", "accuracy": "recognised", "recall": "recall", "spread": "spread", "mesh": "mesh",
    "bits_per_dim_heldout": "bits/dim", "kimg": "kimg", "seconds": "seconds",
    "training_images_per_second": "training images/s", "sampled_images_per_second": "sampled images/s",
}  # fmt: skip
BEGINS = {"accuracy": "accuracy_", "recall": "recall_prdc", "spread": "spread", "mesh": "mesh"}  # with what else behind


class Row:
    """A line of rows.jsonl, drawn as a Record is."""

    def __init__(self, row: dict[str, Any]):
        self.row = row
        self.clock = row["clock"]
        self.system, self.budget, self.seed = row["system"], row["budget"], row["seed"]

    def value(self, name: str) -> float | None:
        numbers: dict[str, float] = self.row["numbers"]
        if name == "fd_heldout":
            return next(
                (value for key, value in numbers.items() if key.startswith("fd_") and key.endswith("_heldout")), None
            )
        begins = BEGINS.get(name)
        if begins is None:
            return numbers.get(name)
        return next((value for key, value in numbers.items() if key.startswith(begins) and "heldout" not in key), None)

    def curve(self, name: str) -> list[Point]:
        points = [each for each in self.row["curve"] if name in each]
        protocol = self.row["protocol"]
        return [Point(each["kimg"], each["own_kimg"], each["seconds"], each[name], protocol) for each in points]


Groups = dict[str, dict[str, list[Row]]]  # budget: {system: rows}


def read(path: Path, suite: dict[str, Any]) -> Groups:
    """The rows of a suite. Raises ValueError where two are of one seed, or by two protocols."""
    rows = [Row(row) for line in path.read_text().splitlines() if (row := json.loads(line))["suite"] == suite["name"]]
    if len(protocols := {row.row["protocol"] for row in rows}) > 1:
        raise ValueError(f"rows of {suite['name']} are by several protocols: {', '.join(sorted(protocols))}")
    if len({row.clock for row in rows}) > 1:
        raise ValueError(f"rows of {suite['name']} have seconds of several clocks")
    found: Groups = {}
    for row in rows:
        group = found.setdefault(row.budget, {}).setdefault(row.system, [])
        if any(other.seed == row.seed for other in group):
            raise ValueError(f"{row.system}, {row.budget}, seed {row.seed} is there twice")
        group.append(row)
    order = list(suite["systems"])
    return {budget: dict(sorted(each.items(), key=lambda item: order.index(item[0]))) for budget, each in found.items()}


def values(rows: list[Row], name: str) -> list[float]:
    return [value for row in rows if (value := row.value(name)) is not None]


def markdown(groups: Groups, suite: dict[str, Any], title: Callable[[str], str]) -> list[str]:
    lines = []
    for budget, systems in groups.items():
        scale = suite.get("scale", 1)
        says = (
            f"{suite['kimg'] * scale:g} kimg each"
            if budget == "images"
            else f"{suite['seconds'] * scale:g} {'CPU-seconds' if suite.get('clock') == 'cpu' else 'seconds'} each"
        )
        shown = {key: text for key, text in COLUMNS.items() if any(values(rows, key) for rows in systems.values())}
        rows = [["system", "seeds", *shown.values(), "parameters"]]
        for name, runs in systems.items():
            numbers = [tables.spread(values(runs, key), 3) for key in shown]
            rows.append([tables.cell(title(name)), str(len(runs)), *numbers, f"{runs[0].row['parameters']:,}"])
        lines += [f"**{suite['name']}, {says}**", "", *tables.table(rows), ""]
    found = check_claims(suite["claims"], lambda system, budget, metric: values(
        groups.get(budget, {}).get(system, []), "fd_heldout" if metric.startswith("fd_") else metric))  # fmt: skip
    return [*lines, *tables.claims_table(found, suite["claims"], title), ""]


def main() -> None:
    suite: Any = OmegaConf.to_container(OmegaConf.load(sys.argv[2]))
    groups = read(Path(sys.argv[1]), suite)

    def title(name: str) -> str:
        return suite["systems"][name].get("title", name)

    print("\n".join(markdown(groups, suite, title)))
    if len(sys.argv) > 3 and "seconds" in groups:
        names = [
            name for rows in groups["seconds"].values() for row in rows for point in row.row["curve"] for name in point
        ]
        metric = next(name for name in names if name.startswith("fd_"))
        drawn: Any = groups["seconds"]
        figures.curves(Path(sys.argv[3]), title, suite["name"], drawn, metric, "seconds")


if __name__ == "__main__":
    main()
