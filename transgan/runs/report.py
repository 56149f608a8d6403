"""Numbers to read: a table, one line that says how they were measured, and a row for a LaTeX table."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from transgan.data.dataset import printable
from transgan.metrics.evaluator import Result


def print_table(
    console: Console, result: Result, bounds: dict[str, Any], primary: str, ceiling: str, classes: Sequence[str] = ()
) -> None:
    """A line per number, with its spread over the blocks of seeds; floor and ceiling beside the primary one.

    classes: their names, where they are known.
    """
    of = dict(enumerate(map(printable, classes)))
    columns = ["metric", "value"] + ["± std"] * bool(result.spread) + ["floor", ceiling] * bool(bounds)
    table = Table(*columns, box=None)
    for name, value in result.numbers.items():
        cells = [name, number(value)]
        if result.spread:
            cells.append(number(result.spread[name]["std"]))
        if bounds:
            own = name == primary
            cells += [number(bounds.get("floor")) if own else "", number(bounds.get("ceiling")) if own else ""]
        table.add_row(*cells)
    console.print(table)
    if bounds:
        floor = f"floor: {bounds['floor_of']}, {bounds['floor_num']:,}; " if "floor" in bounds else ""
        console.print(f"        {floor}{ceiling}: {bounds['ceiling_num']:,} images", style="dim")
    for name, values in result.details.items():
        if name.endswith("_per_class"):
            shown = ", ".join(f"{of.get(int(k), k)}: {number(value)}" for k, value in values.items())
            console.print(f"        {name}: {shown}")


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"


def protocol_line(protocol: dict[str, Any]) -> str:
    """How the numbers were measured, in a sentence for a caption."""
    name = "temperature" if "temperature" in protocol else "psi"
    psi = "" if protocol["truncation"] is None else f", {name} {protocol['truncation']}"
    psi += ", " + sampler_said(protocol) if "steps" in protocol else ""
    blocks = "" if protocol["blocks"] == 1 else f" x {protocol['blocks']} disjoint seed blocks"
    kind = {"ema": "EMA weights", "raw": "raw weights"}.get(protocol["weights"])
    made = f"{protocol['num_generated']:,} " + (
        f"generated{blocks} ({kind}{psi}, seed {protocol['seed']})" if kind else protocol["weights"]
    )
    reference = protocol["reference"]
    of = f"all {reference['num_real']:,} {reference['split']} images"
    if "file" in reference:
        of = f"{reference['file']}, statistics of {reference['num_real']:,} images (resize: {reference['resize']})"
    neighbours = "; ".join(
        f"{name.replace('_', ' ')}: {facts['k']} neighbours, ties {'in' if facts['closer'] == '<=' else 'out'}"
        for name, facts in protocol["measures"].items() if "closer" in facts
    )  # fmt: skip
    return (
        f"{protocol['id']}: {made} against {of}, {protocol['resolution']} px; "
        f"{protocol['extractor']} {protocol['extractor_sha256'][:8]} "
        f"({protocol['preprocessing']})"
        + (f"; {neighbours}" if neighbours else "")
        + ("" if protocol["comparable_to_published"] else "; not comparable to published FIDs")
    )


def sampler_said(facts: dict[str, Any]) -> str:
    """16 Euler steps, guidance 2: how a flow's images were made."""
    guidance = f", guidance {facts['guidance']:g}" if facts.get("guidance", 1) != 1 else ""
    return f"{facts['steps']} {facts['solver'].capitalize()} step{'s' * (facts['steps'] != 1)}{guidance}"


LATEX: dict[str | int, str | int | None] = {  # the ten characters that mean something else there
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
}  # fmt: skip


def latex_row(name: str, result: Result) -> str:
    """`name & value $\\pm$ std & ... \\\\` and, as a comment, the names of the columns; all of it one line.

    std: over blocks of seeds, else over the subsets of a number that has some.
    """
    cells = [" ".join(name.translate(str.maketrans(LATEX)).split())]
    columns = [key for key in result.numbers if not key.endswith("_std")]
    for key in columns:
        std = result.spread[key]["std"] if result.spread else result.numbers.get(f"{key}_std")
        cells.append(f"{result.numbers[key]:.4g}" + (rf" $\pm$ {std:.2g}" if std is not None else ""))
    return " & ".join(cells) + r" \\  % " + " ".join(", ".join(columns).split())
