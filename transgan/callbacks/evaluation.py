"""metrics.jsonl: the numbers of the EMA generator with their protocol, and which moment of training was the best."""

import json
import logging
import math
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from transgan.callbacks.interval import Interval
from transgan.files import append_text, write_text

log = logging.getLogger(__name__)


class Processes(Protocol):
    """The processes of a run, as far as this callback uses them; the evaluator uses more (metrics/context.py)."""

    def together(self) -> AbstractContextManager[Any]: ...


class Result(Protocol):
    """What the evaluator returns on rank 0."""

    numbers: dict[str, float]
    flags: dict[str, str]


class Evaluator(Protocol):
    """`evaluator(generate, context)` measures on all processes and returns a result on rank 0, None on the others.
    `primary` names the number to choose by, `identity` says what that depends on, `protocol()` how it is measured."""

    @property
    def primary(self) -> str: ...

    @property
    def identity(self) -> list[Any]: ...

    def __call__(self, generate: Any, context: Any, /) -> Result | None: ...

    def protocol(self) -> dict[str, Any]: ...


class Prepare(Protocol):
    def __call__(self, *, device: torch.device, main: bool) -> None: ...


class Clock(Protocol):
    """The seconds of training so far, evaluations included."""

    seconds: float


class Evaluation(Callback):
    """Runs `evaluator` on the module at every interval; a failure is reported and noted as null, training goes on.

    `prepare(device, main)` readies the evaluator where the strategy computes; `context`: the processes that share it.
    An evaluation is left out, and that is reported, while evaluations have taken more than `share` of the run's time;
    the last one is always made. `best` is the lowest value of the evaluator's primary number so far, {"kimg",
    "value"}; `improved` says whether the evaluation just made is it.
    """

    def __init__(
        self,
        run: Path,
        interval: Interval,
        evaluator: Evaluator,
        prepare: Prepare,
        context: Processes,
        at_start: bool,
        share: float,
        stats: Clock,
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

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        with self.context.together():
            self.prepare(device=trainer.strategy.root_device, main=trainer.is_global_zero)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
        if self.at_start and module.images_seen == 0:
            self.evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
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

    def affordable(self, module: Any) -> bool:
        return self.interval.finished(module.images_seen) or self.spent <= self.share * self.stats.seconds

    def evaluate(self, trainer: Trainer, module: Any) -> None:
        start = time.monotonic()
        numbers: dict[str, float] = {}
        flags: list[str] = []
        try:
            result = self.evaluator(module.generate, self.context)
            if result is not None:
                numbers, flags = result.numbers, sorted(result.flags)
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

    def state_dict(self) -> dict[str, Any]:
        return {
            "evaluator": self.evaluator.identity, "best": self.best, "latest": self.latest, "first": self.first,
            "spent": self.spent,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spent = state["spent"]
        if state["evaluator"] == self.evaluator.identity:  # another evaluator's best does not compare
            self.best, self.latest, self.first = state["best"], state["latest"], state["first"]


def append(path: Path, kimg: float, seconds: float, numbers: dict[str, float], protocol: dict[str, Any]) -> None:
    """One line of metrics.jsonl, in one write. What is not finite is null: JSON has no number for it."""
    line = {"kimg": kimg, "seconds": round(seconds, 3), "metrics": numbers, "protocol": protocol}
    append_text(path, json.dumps(plain(line), allow_nan=False) + "\n")


def plain(node: Any) -> Any:
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
