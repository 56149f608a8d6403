"""metrics.jsonl: the averaged generator's numbers with their protocol, and which moment was the best."""

import json
import logging
import math
import os
import time
from pathlib import Path

from pytorch_lightning import Callback

from transgan.callbacks.interval import Interval

log = logging.getLogger(__name__)


class Evaluation(Callback):
    """Runs `judge` on the module at every interval; a failure is reported and noted as null, training goes on.

    `best` is the lowest value of the judge's primary number so far, {"kimg", "value"}; `improved` tells whether the
    evaluation just made is it.
    """

    def __init__(self, run: Path, interval: Interval, judge, at_start: bool, stats):
        self.path, self.interval, self.judge, self.stats = Path(run) / "metrics.jsonl", interval, judge, stats
        self.at_start = at_start
        self.best: dict[str, float] | None = None
        self.latest: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.improved = False
        self.took = 0.0                     # seconds of the latest evaluation

    def on_train_start(self, trainer, module) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
        if self.at_start and module.images_seen == 0:
            self.evaluate(trainer, module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.improved = False
        if self.interval.due(module.images_seen, module.batch_size):
            self.evaluate(trainer, module)

    def evaluate(self, trainer, module) -> None:
        start = time.monotonic()
        try:
            numbers = self.judge(module.generate, trainer.global_rank, trainer.world_size, module.all_gather)
        except ValueError as error:         # images that are not finite, on all processes alike
            log.warning("evaluation failed at %g kimg: %s", module.images_seen / 1000, error)
            numbers = {self.judge.primary: float("nan")}
        numbers = trainer.strategy.broadcast(numbers)
        self.took = time.monotonic() - start
        kimg, value = module.images_seen / 1000, numbers[self.judge.primary]
        self.latest = numbers
        self.first = self.first or numbers
        self.improved = math.isfinite(value) and (self.best is None or value < self.best["value"])
        if self.improved:
            self.best = {"kimg": kimg, "value": value}
        if trainer.is_global_zero:
            append(self.path, kimg, self.stats.seconds, numbers, self.judge.protocol())
        if trainer.logger is not None:
            trainer.logger.log_metrics(numbers, step=module.images_seen)

    def state_dict(self) -> dict:
        return {"primary": self.judge.primary, "best": self.best, "latest": self.latest, "first": self.first}

    def load_state_dict(self, state: dict) -> None:
        if state["primary"] == self.judge.primary:      # another judge's best is no measure
            self.best, self.latest, self.first = state["best"], state["latest"], state["first"]


def append(path: Path, kimg: float, seconds: float, numbers: dict[str, float], protocol: dict) -> None:
    """One line of metrics.jsonl. What is not finite is null: JSON has no word for it."""
    metrics = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    line = {"kimg": kimg, "seconds": round(seconds, 3), "metrics": metrics, "protocol": protocol}
    with open(path, "a") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")


def keep_until(path: Path, kimg: float) -> None:
    """Takes out the lines after `kimg`, and a last line cut off in the middle."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["kimg"] <= kimg:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    beside = path.with_name(path.name + ".tmp")
    beside.write_text("".join(kept))
    os.replace(beside, path)
