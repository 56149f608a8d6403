"""Where a distance lies between floor and ceiling, as a drawing."""

import math
from dataclasses import dataclass

from transgan.reporting.chart import brief
from transgan.reporting.measured import Measured

WIDTH = 360
INSET = 8  # of the line's ends


@dataclass(frozen=True)
class Scale:
    """marks: (x, label, kind) of floor, value, ceiling and beginning; the axis is logarithmic."""

    description: str
    marks: list[tuple[float, str, str]]
    width: int = WIDTH

    @property
    def height(self) -> int:
        """With a further row of labels where there is a beginning."""
        return 78 if any(kind == "begun" for _, _, kind in self.marks) else 62


def scale(first: Measured | None) -> Scale | None:
    """Of the primary number; None unless the floor and the ceiling or the beginning are known, too."""
    if first is None or first.value is None or first.value <= 0:
        return None
    known = {
        "real images": first.bounds.get("floor"),
        "this run": first.value,
        "untrained": first.bounds.get("ceiling"),
        "as it began": first.bounds.get("begun"),
    }
    marks = {name: value for name, value in known.items() if value is not None and value > 0}
    if len(marks) < 3:
        return None
    low, high = math.log(min(marks.values())), math.log(max(marks.values()))
    span = high - low or 1.0
    places = {name: INSET + (math.log(value) - low) / span * (WIDTH - 2 * INSET) for name, value in marks.items()}
    said = ", ".join(f"{name} {brief(value)}" for name, value in marks.items())
    return Scale(
        f"{first.primary} on a logarithmic scale: {said}.",
        [(round(places[name], 1), f"{name} {brief(value)}", kind(name)) for name, value in marks.items()],
    )


def kind(name: str) -> str:
    return {"this run": "value", "as it began": "begun"}.get(name, "bound")
