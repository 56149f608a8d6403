"""What a run folder tells of its training: what it cost, and how good it was along the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transgan import files
from transgan.runs.begun_with import times
from transgan.runs.run import Run

DIGITS = 12  # of a checkpoint's hash, in tables


@dataclass(frozen=True)
class Point:
    """A number measured while training: images shown and seconds trained until then, and the protocol's id.

    `own_kimg` leaves out what was shown in pre-training.
    """

    kimg: float
    own_kimg: float
    seconds: float
    value: float
    protocol: str


@dataclass
class Record:
    """A run of a system. Costs count what came before it (`before`, the run it began with), too.

    system, budget: words of the table it belongs to. seed: of the training. which: "last" or "best" checkpoint.
    sampler: steps, solver and guidance of a flow, where they are others than it was trained to be sampled by. clock:
    "wall" or "cpu", what its seconds are: those that went by, or those that its threads spent on a CPU. counted: of a
    run that another began with, what that has written of it, for it may have gone on since (runs/begun_with.py).
    """

    folder: Path
    system: str
    budget: str
    seed: int
    which: str = "last"
    before: "Record | None" = None
    sampler: dict[str, Any] = field(default_factory=dict)
    clock: str = "wall"
    counted: dict[str, Any] | None = None
    metrics: dict = field(default_factory=dict)  # of one evaluation, filled in by the command
    evaluation: dict = field(default_factory=dict)  # its file, protocol and likelihood

    @cached_property
    def run(self) -> Run:
        return Run(self.folder, self.which)

    @property
    def path(self) -> Path:
        return self.run.path if self.counted is None else Path(self.counted["path"])

    @property
    def saved(self) -> dict[str, Any]:
        """The checkpoint's configuration and facts, without its weights."""
        return self.run.facts

    @property
    def sha256(self) -> str:
        return self.run.sha256 if self.counted is None else self.counted["sha256"]

    @property
    def there(self) -> bool:
        """Whether its folder is."""
        return (self.folder / "stats.csv").exists()

    @property
    def config(self) -> dict[str, Any]:
        return self.run.config

    @property
    def data(self) -> tuple[str | None, float]:
        """The fingerprint of the images that it was trained on, and the share of them that was held out."""
        if self.counted is not None:
            return self.counted["data"], self.counted["holdout"]
        return self.saved["data"], float(self.config.get("holdout") or 0.0)

    @property
    def levels(self) -> int | None:
        """How many values a pixel has for its likelihood; None without one, or where colours are tokens."""
        network = self.config["algorithm"].get("network") or {}
        return (network.get("tokens") or network.get("observation") or network).get("levels")

    @property
    def sampled(self) -> dict[str, Any]:
        """How images are made, for protocols: as `sampler` of a module that makes them in steps; {} of others."""
        algorithm = self.config["algorithm"]
        if "likelihood_steps" not in algorithm:
            return {}
        found = {key: algorithm[key] for key in ("steps", "solver", "guidance")} | self.sampler
        return {key: value for key, value in found.items() if key != "guidance" or value != 1}

    @property
    def chain(self) -> "list[Record]":
        """The runs it began with, first to last, and itself."""
        return [*(self.before.chain if self.before else []), self]

    @property
    def own_kimg(self) -> float:
        return (self.counted or self.saved)["images_seen"] / 1000

    @property
    def kimg(self) -> float:
        """Thousands of images shown, including pre-training."""
        return self.own_kimg + (self.before.kimg if self.before else 0.0)

    @property
    def seconds(self) -> float:
        """Of training alone, by its clock, without evaluations, samples and checkpoints, including pre-training."""
        return self.seconds_at(self.own_kimg)

    @property
    def images_per_second(self) -> float:
        """Over the run itself."""
        own = self.seconds - (self.before.seconds if self.before else 0.0)
        return 1000 * self.own_kimg / own if own > 0 else float("nan")

    @cached_property
    def times(self) -> tuple[np.ndarray, np.ndarray]:
        """-> (kimg, seconds of training until then, NaN from where they are not known)"""
        return times(self.folder, self.clock)

    def seconds_at(self, kimg: float) -> float:
        """Of training until so many of its own images were shown, pre-training with it."""
        before = self.before.seconds if self.before else 0.0
        if self.counted is not None and kimg == self.own_kimg:
            return before + self.counted["seconds"][self.clock]
        return before + float(np.interp(kimg, *self.times))

    def curve(self, name: str) -> list[Point]:
        """A number of metrics.jsonl along the training; without those measured after it. Costs include pre-training."""
        points: dict[float, Point] = {}
        for line in files.read_json_lines(self.folder / "metrics.jsonl"):
            protocol, value = line["protocol"], line["metrics"].get(name)
            if value is None or "checkpoint" in protocol or line["kimg"] > self.own_kimg:
                continue
            if any(protocol.get(key, own) != own for key, own in self.sampled.items()):
                continue  # of images made in other steps
            before = self.before.kimg if self.before else 0.0
            # a likelihood has no id of its own: what it was measured on, and how
            kind = protocol.get("id") or f"{protocol.get('data', '')[:8]} {protocol.get('likelihood', '')}".strip()
            kimg = line["kimg"]
            points[kimg] = Point(kimg + before, kimg, self.seconds_at(kimg), value, kind)
        return [points[kimg] for kimg in sorted(points)]


def mixed(records: list[Record]) -> list[str]:
    """Why the runs may not stand in one table: sentences, each with two of them; empty if they may."""
    found = []
    kinds = {
        "resolution": lambda r: r.config["resolution"], "channels": lambda r: r.config["channels"],
        "training images": lambda r: str(r.saved["data"])[:8], "holdout": lambda r: r.config.get("holdout", 0.0),
        "classes": lambda r: len(r.saved["class_names"] or []) if r.config.get("num_classes") else "none asked for",
    }  # fmt: skip
    for what, of in kinds.items():
        found += differing(records, what, of)
    counted = [record for record in records if record.levels is not None]
    return found + differing(counted, "the levels a pixel has in their likelihoods", lambda r: r.levels)


def leaks(records: list[Record]) -> list[str]:
    """Why what runs began with may have been trained on images that are held out of them: sentences."""
    found = []
    for record in records:
        for earlier in record.chain[:-1]:
            (ours, holdout), (theirs, other) = record.data, earlier.data
            if None in (ours, theirs) or (ours, holdout) == (theirs, other):
                continue
            how = f"holdout={other:g} and holdout={holdout:g}" if other != holdout else f"{theirs:.8} and {ours:.8}"
            found.append(
                f"{record.folder} began with {earlier.folder}, which was trained on other images ({how}), maybe on "
                "those held out now; begin it with a run of the same images and holdout="
            )
    return list(dict.fromkeys(found))


def differing(records: list[Record], what: str, of: Callable[[Record], Any]) -> list[str]:
    """A sentence with the first two records that are not alike, if there are any."""
    other = next((record for record in records if of(record) != of(records[0])), None)
    if other is None:
        return []
    return [f"{records[0].folder} and {other.folder} differ in {what}: {of(records[0])} and {of(other)}"]
