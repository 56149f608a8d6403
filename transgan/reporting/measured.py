"""The numbers of a run: which of all that was measured stand for it, and how each of them is to be read."""

from dataclasses import dataclass, field
from typing import Any

from transgan.metrics.meanings import meaning
from transgan.reporting.material import Material
from transgan.runs.ending import begins_trained
from transgan.runs.report import number, protocol_line

MOST = 6  # further evaluations that are shown
BOUNDS = {  # and what they are of
    "floor": "real images against real ones",
    "ceiling": "an untrained generator",
    "begun": "its first weights, another run's",
}


@dataclass
class Measured:
    """One evaluation: its numbers and their protocol, and where they are from.

    bounds: floor and ceiling of the primary number, as far as they are known, as `transgan evaluate` writes them; and
    begun, the number of a run with weights of another one before its first step.
    """

    kimg: float
    numbers: dict[str, float]
    protocol: dict[str, Any]
    source: str
    spread: dict[str, dict[str, float]] = field(default_factory=dict)
    bounds: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    likelihood: dict[str, Any] | None = None

    @property
    def primary(self) -> str | None:
        """The name of the Fréchet distance; None where there is none, as with a user's own evaluator."""
        names = ("fid", f"fd_{self.protocol.get('extractor')}")
        return next((name for name in names if name in self.numbers), None)

    @property
    def value(self) -> float | None:
        return self.numbers.get(self.primary) if self.primary else None

    @property
    def rows_of_bounds(self) -> list[tuple[str, str, float]]:
        """name, what it is of, and value of floor, ceiling and beginning, as far as they are known."""
        of = {"floor": self.bounds.get("floor_of", "real images")}
        counts = {name: self.bounds.get(f"{name}_num") for name in BOUNDS}
        return [
            (
                name if name != "begun" else "as it began",
                f"{self.primary} of {of.get(name, what)}" + (f", {counts[name]:,} images" if counts[name] else ""),
                self.bounds[name],
            )
            for name, what in BOUNDS.items() if self.bounds.get(name) is not None
        ]  # fmt: skip

    @property
    def id(self) -> str:
        return str(self.protocol.get("id", ""))

    def repeats(self, other: "Measured") -> bool:
        """Whether it is an evaluation that is there already, with the same numbers."""
        return (self.id, self.kimg, self.numbers) == (other.id, other.kimg, other.numbers)

    @property
    def line(self) -> str:
        """The protocol in a sentence for a caption; "" where it lacks what the sentence needs."""
        try:
            return protocol_line(self.protocol)
        except (KeyError, TypeError):
            return ""

    @property
    def rows(self) -> list[dict[str, str]]:
        """name, value, deviation over blocks of seeds, and meaning of every number."""
        shown = [name for name in self.numbers if not name.endswith("_std")]
        return [
            {"name": name, "value": number(self.numbers[name]), "deviation": self.deviation(name),
             "meaning": meaning(name)}
            for name in shown
        ]  # fmt: skip

    def deviation(self, name: str) -> str:
        """± of a number: over blocks of seeds, or over its own subsets; "" where it has none."""
        std = self.spread.get(name, {}).get("std", self.numbers.get(f"{name}_std"))
        return "" if std is None else number(std)


def finite(metrics: dict[str, Any]) -> dict[str, float]:
    """Without numbers that could not be measured."""
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}


def of_evaluation(content: dict[str, Any]) -> Measured:
    """From a file in evaluations/."""
    flags = content.get("flags") or {}
    return Measured(
        float(content.get("kimg") or 0), finite(content["metrics"]), content["protocol"],
        f"evaluations/{content['file']}", content.get("spread") or {}, content.get("bounds") or {},
        flags if isinstance(flags, dict) else {}, content.get("likelihood"),
    )  # fmt: skip


def of_line(line: dict[str, Any]) -> Measured:
    """From a line of metrics.jsonl."""
    protocol = line["protocol"]
    source = "metrics.jsonl, measured while training"
    if "selection" in protocol:
        source = "metrics.jsonl; of the best checkpoint, by other seeds than those that chose it"
    elif "checkpoint" in protocol:
        source = f"metrics.jsonl; of {protocol['checkpoint']}"
    bounds = protocol.get("bounds")
    found = Measured(float(line["kimg"]), finite(line["metrics"]), protocol, source)
    found.bounds |= bounds if isinstance(bounds, dict) else {}
    return found


def all_measured(material: Material) -> list[Measured]:
    """Every evaluation of the run, the one that stands for it first; of those while training only the last.

    That is the newest by `transgan evaluate` of the checkpoint in use, else the best one measured again by other seeds
    (the best of several is chosen by luck, too), else the last while training.
    """
    sha256 = material.run.sha256 if material.run is not None and material.evaluations else None
    of_this = [each for each in material.evaluations if each.get("checkpoint_sha256") == sha256]
    rest = [each for each in material.evaluations if each not in of_this]
    lines = [line for line in material.lines if line["protocol"].get("id") and finite(line["metrics"])]
    again = [line for line in lines if "selection" in line["protocol"]]
    training = [line for line in lines if "checkpoint" not in line["protocol"]]
    found = [
        *map(of_evaluation, of_this), *(of_line(line) for line in reversed(again[-1:])),
        *(of_line(line) for line in reversed(training[-1:])), *map(of_evaluation, rest),
    ]  # fmt: skip
    found = [each for i, each in enumerate(found) if each.numbers and not any(each.repeats(one) for one in found[:i])]
    if found:
        found[0].bounds = others_of(found, training, begins_trained(material.config)) | found[0].bounds
    return found[: 1 + MOST]


def others_of(found: list[Measured], training: list[dict[str, Any]], begins_trained: bool) -> dict[str, Any]:
    """Floor and ceiling of the first of `found` by others of the same protocol: an evaluation before the first step
    is a ceiling, too, or `begun` where the first weights were another run's."""
    first = found[0]
    bounds = next((each.bounds for each in found if each.id == first.id and "ceiling" in each.bounds), {})
    name, count = ("begun", "begun_num") if begins_trained else ("ceiling", "ceiling_num")
    for line in training:
        value = finite(line["metrics"]).get(first.primary or "")
        if line["kimg"] == 0 and line["protocol"]["id"] == first.id and value is not None:
            return {name: value, count: line["protocol"].get("num_generated", 0)} | bounds
    return bounds
