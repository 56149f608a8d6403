"""One trial: how fast is it, how many images are that within the budget, train so many, measure."""

import contextlib
import io
import logging
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torchvision.utils import make_grid, save_image

from benchmarks.recipes.clock import Clock
from benchmarks.recipes.systems import SYSTEMS, System
from benchmarks.recipes.task import Task
from transgan import files

CALIBRATION = 0.04  # of the budget, but 2 to 10 s: what the speed is measured by before the trial itself
NUMBERS = (
    "fd",
    "recall",
    "precision",
    "density",
    "coverage",
    "class",
    "mesh",
    "spread",
)  # how a row begins
SHARES = (0.1, 0.3, 0.6)  # of the budget, where the distance is measured along the way


@dataclass(frozen=True)
class Trial:
    """One idea on one task with one seed.

    task, idea: their names. seconds: the budget. system, settings: what the idea is, see systems.py. version: of the
    code behind these settings; counts up where it has changed what they mean.
    """

    task: str
    seconds: float
    seed: int
    idea: str
    system: str
    settings: tuple[str, ...] = field(default=())
    version: int = 1

    @property
    def id(self) -> str:
        facts = self.task, self.seconds, self.seed, self.system, self.settings
        return files.hash_of(repr(facts if self.version == 1 else (*facts, self.version)))[:12]

    def run(self, task: Task, folder: Path) -> dict[str, Any]:
        """Trains and measures -> its line of rows.jsonl. Leaves a grid in the folder."""
        for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
        begun = time.monotonic()
        speed = self.speed(task)
        images = speed * self.seconds
        system = self.system_of(task, images / 1000)
        images = max(1, round(images / system.batch_size)) * system.batch_size
        curve: list[dict[str, float]] = []

        def measure(seconds: float, seen: int) -> None:
            curve.append({"seconds": round(seconds, 2), "kimg": seen / 1000} | self.numbers(system, task))

        shares = getattr(system, "shares", SHARES)
        clock = Clock(1.25 * self.seconds, images, [share * self.seconds for share in shares], measure)
        system.fit(clock)
        seconds = clock.points[-1][0]
        self.draw(system, task, folder / f"{self.task}-{self.idea}-{self.seed}-{self.seconds:g}s.png")
        before = time.process_time()
        system.generate(list(range(256)), labels_of(task, 256))
        sampling = 256 / (time.process_time() - before)
        return {
            "id": self.id, "task": self.task, "budget": self.seconds, "seed": self.seed, "idea": self.idea,
            "system": self.system, "settings": list(self.settings), "version": self.version,
            "batch_size": system.batch_size,
            "seconds": round(seconds, 2), "images": clock.images_seen, "steps": system.steps(),
            "images_per_second": round(clock.images_seen / seconds, 1), "samples_per_second": round(sampling),
            "parameters": system.parameters(), "numbers": self.numbers(system, task) | self.others(system, task),
            "curve": curve,
            "wall": round(time.monotonic() - begun, 1), "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),  # seconds of two kinds of machine do not compare
        }  # fmt: skip

    def system_of(self, task: Task, kimg: float) -> System:
        return SYSTEMS[self.system](task, self.seed, kimg, list(self.settings))

    def speed(self, task: Task) -> float:
        """Images per CPU-second, after the first steps, which allocate."""
        clock = Clock(min(10.0, max(2.0, CALIBRATION * self.seconds)))
        with contextlib.redirect_stdout(io.StringIO()):
            self.system_of(task, 1000.0).fit(clock)
        return clock.speed()

    def numbers(self, system: System, task: Task) -> dict[str, float]:
        found = task.evaluator(system.generate).numbers
        return {name: round(value, 4) for name, value in found.items() if name.split("_")[0] in NUMBERS}

    def others(self, system: System, task: Task) -> dict[str, float]:
        """The distances by other features."""
        found: dict[str, float] = {}
        for evaluator in task.others:
            found |= evaluator(system.generate).numbers
        return {name: round(value, 4) for name, value in found.items()}

    def draw(self, system: System, task: Task, path: Path) -> None:
        """Ten images of each of ten classes, a class a column."""
        classes = min(10, task.num_classes or 10)
        labels = torch.arange(classes).repeat(10)
        images = system.generate(list(range(len(labels))), labels if task.num_classes else None)
        save_image(make_grid(images.float() / 255, nrow=classes, padding=1), path)


def labels_of(task: Task, count: int) -> torch.Tensor:
    return torch.arange(count) % max(1, task.num_classes)
