"""metrics.jsonl: the averaged generator's numbers with their protocol, and which moment was the best."""

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from pytorch_lightning import Callback

from transgan.callbacks.interval import Interval
from transgan.files import append_text, write_text

log = logging.getLogger(__name__)


class Evaluation(Callback):
    """Runs `evaluator` on the module at every interval; a failure is reported and noted as null, training goes on.

    `prepare(device, main)` readies the evaluator where the strategy computes; `context`: the processes that share it.
    An evaluation is left out, and that is said, while evaluations have taken more than `share` of the run's time; the
    last one is always made. `best` is the lowest value of the evaluator's primary number so far, {"kimg", "value"};
    `improved` tells whether the evaluation just made is it.
    """

    def __init__(
        self, run: Path, interval: Interval, evaluator, prepare: Callable, context, at_start: bool, share: float, stats
    ):
        if not 0 < share <= 1:
            raise ValueError(f"evaluate_share must be more than 0 and at most 1, not {share:g}")
        self.path, self.interval, self.evaluator, self.stats = Path(run) / "metrics.jsonl", interval, evaluator, stats
        self.prepare, self.context, self.at_start, self.share = prepare, context, at_start, share
        self.best: dict[str, float] | None = None
        self.latest: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.improved = False
        self.took = 0.0  # seconds of the latest evaluation
        self.spent = 0.0  # seconds of all evaluations of the run

    def setup(self, trainer, module, stage) -> None:
        with self.context.together():
            self.prepare(device=trainer.strategy.root_device, main=trainer.is_global_zero)

    def on_train_start(self, trainer, module) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
        if self.at_start and module.images_seen == 0:
            self.evaluate(trainer, module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.improved = False
        if self.interval.due_after(module):
            # one process decides for all: their clocks differ
            if trainer.strategy.broadcast(self.affordable(module)):
                self.evaluate(trainer, module)
            else:
                log.warning(
                    "no evaluation at %g kimg: evaluations took %.0f %% of the time, and evaluate_share allows %.0f %%",
                    module.images_seen / 1000, 100 * self.spent / self.stats.seconds, 100 * self.share,
                )  # fmt: skip

    def affordable(self, module) -> bool:
        return self.interval.finished(module.images_seen) or self.spent <= self.share * self.stats.seconds

    def evaluate(self, trainer, module) -> None:
        start = time.monotonic()
        result = None
        try:
            context = self.context
            result = self.evaluator(module.generate, context.rank, context.world_size, context.gather, context.together)
            numbers, flags = (result.numbers, sorted(result.flags)) if result is not None else ({}, [])
        except Exception as error:  # images that are not finite, too little memory, ...: training goes on
            log.warning("evaluation failed at %g kimg: %s", module.images_seen / 1000, error or type(error).__name__)
            numbers, flags = {self.evaluator.primary: float("nan")}, ["failed"]
        numbers = trainer.strategy.broadcast(numbers)
        self.took = time.monotonic() - start
        self.spent += self.took
        kimg, value = module.images_seen / 1000, numbers[self.evaluator.primary]
        self.latest = numbers
        self.first = self.first or numbers
        self.improved = math.isfinite(value) and (self.best is None or value < self.best["value"])
        if self.improved:
            self.best = {"kimg": kimg, "value": value}
        if trainer.is_global_zero:
            append(self.path, kimg, self.stats.seconds, numbers, self.evaluator.protocol() | {"flags": flags})
        if trainer.logger is not None:
            trainer.logger.log_metrics(numbers, step=module.images_seen)

    def state_dict(self) -> dict:
        return {
            "evaluator": self.evaluator.identity, "best": self.best, "latest": self.latest, "first": self.first,
            "spent": self.spent,
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        self.spent = state["spent"]
        if state["evaluator"] == self.evaluator.identity:  # another evaluator's best is no measure
            self.best, self.latest, self.first = state["best"], state["latest"], state["first"]


def append(path: Path, kimg: float, seconds: float, numbers: dict, protocol: dict) -> None:
    """One line of metrics.jsonl, in one write. What is not finite is null: JSON has no word for it."""
    line = {"kimg": kimg, "seconds": round(seconds, 3), "metrics": numbers, "protocol": protocol}
    append_text(path, json.dumps(plain(line), allow_nan=False) + "\n")


def plain(node):
    """Nested containers with every number that is not finite as None."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [plain(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def keep_until(path: Path, kimg: float) -> None:
    """Takes out the lines after `kimg`, and a last line cut off in the middle."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            if json.loads(line)["kimg"] <= kimg:
                kept.append(line.decode() + "\n")
        except (ValueError, KeyError, TypeError):  # cut off, or a disk's zeros
            continue
    write_text(path, "".join(kept))
