"""A table for a paper: a row a run, of those numbers that were measured by one protocol."""

from transgan.reporting.measured import Measured
from transgan.runs.report import LATEX

COLUMNS = 6  # numbers at most
SIGNS = str.maketrans(LATEX)


def latex(names: list[str], firsts: list[Measured | None]) -> str:
    """A tabular, with the protocol and the runs of other protocols as comments; "" where nothing was measured.

    Needs no package. names: of the runs.
    """
    measured = [(name, first) for name, first in zip(names, firsts, strict=True) if first is not None]
    if not measured:
        return ""
    blocks = []
    for id in dict.fromkeys(first.id for _, first in measured):
        rows = [(name, first) for name, first in measured if first.id == id]
        columns = [name for name in rows[0][1].numbers if not name.endswith("_std")]
        columns = [name for name in columns if all(name in first.numbers for _, first in rows)][:COLUMNS]
        head = " & ".join(["run", *(escaped(name) for name in columns)])
        lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\hline", rf"{head} \\", r"\hline"]
        for name, first in rows:
            cells = [escaped(name), *(cell(first, column) for column in columns)]
            lines.append(" & ".join(cells) + r" \\")
        protocol = rows[0][1].line or f"protocol {id}"
        blocks.append("\n".join([f"% {' '.join(protocol.split())}", *lines, r"\hline", r"\end{tabular}"]))
    if len(blocks) > 1:
        blocks.insert(0, "% Numbers of different protocols do not compare: a table for each.")
    return "\n\n".join(blocks)


def cell(first: Measured, name: str) -> str:
    std = first.deviation(name) if first.spread else ""
    return f"{first.numbers[name]:.4g}" + (rf" $\pm$ {float(std):.2g}" if std else "")


def escaped(text: str) -> str:
    """Text on one line, with the characters that mean something to LaTeX written out."""
    return " ".join(text.translate(SIGNS).split())
