"""metrics.jsonl: the numbers of the EMA weights with their protocol, and which moment was the best."""

import logging
import math
import time
from pathlib import Path
from typing import Any, Protocol

from pytorch_lightning import Callback, Trainer

from transgan import files
from transgan.callbacks.interval import Alarm, Interval
from transgan.callbacks.session import Session, Trained
from transgan.callbacks.tracking import EVAL, log_numbers

log = logging.getLogger(__name__)


class Result(Protocol):
    """What the evaluator returns on rank 0."""

    numbers: dict[str, float]
    flags: dict[str, str]


class Evaluator(Protocol):
    """`evaluator(generate, context)` measures on all processes and returns a result on rank 0, None on the others.
    `primary` names the number to choose by, `identity` says what that depends on, `protocol()` how it is measured."""

    with_heldout: bool
    num_samples: int | None

    @property
    def primary(self) -> str: ...

    @property
    def identity(self) -> list[Any]: ...

    def prepare(self, dataset: Any, heldout: Any, device: Any, *, main: bool, conditional: bool) -> None: ...

    def few(self) -> str | None: ...

    def __call__(self, generate: Any, context: Any, /) -> Result | None: ...

    def protocol(self) -> dict[str, Any]: ...


class Evaluation(Callback):
    """Runs an evaluator on the module at every interval; a failure is reported and noted as null, training continues.

    An evaluation is left out, and that is reported, while evaluations have taken more than `share` of the run's time;
    the last one is always made. `best` is the lowest value of the evaluator's primary number so far, {"kimg", "value"};
    `improved` tells whether the evaluation just made is it. All numbers are in `trainer.callback_metrics` by name.

    Args:
        every_kimg: between evaluations. at_start: also before the first step. share: of the time.
        every_minutes: if not None, an evaluation is also due when so much time has passed since the last one.
        evaluator: None for the run's own, which metrics= chooses.
    """

    def __init__(
        self,
        every_kimg: float,
        at_start: bool = False,
        share: float = 1.0,
        evaluator: Evaluator | None = None,
        every_minutes: float | None = None,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"evaluate_share must be more than 0 and at most 1, not {share:g}")
        self.interval, self.at_start, self.share = Interval(every_kimg), at_start, share
        self.alarm = Alarm(every_minutes)
        self.given = evaluator
        self.best: dict[str, float] | None = None
        self.latest: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.improved = False
        self.measured_at: int | None = None  # images shown at the latest evaluation of this session that did not fail
        self.count = 0  # of this session's evaluations, also of those that failed
        self.took = 0.0  # seconds of the latest evaluation
        self.spent = 0.0  # seconds of all evaluations of the run

    def applies(self, session: Session, module: Trained) -> bool:
        """Whether there is something to evaluate by; with metrics=none there is not."""
        return self.given is not None or session.evaluator is not None

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = session = Session.of(trainer)
        self.path = session.folder / "metrics.jsonl"
        self.interval = Interval(self.interval.kimg, session.kimg, spaced=True)
        self.alarm = session.alarm(self.alarm.minutes)
        evaluator: Evaluator = self.given or session.evaluator
        self.evaluator = evaluator
        heldout = session.heldout if evaluator.with_heldout else None
        with session.preparing("preparing the metrics: features of all real images"):
            evaluator.prepare(
                session.dataset, heldout, trainer.strategy.root_device, main=trainer.is_global_zero,
                conditional=module.num_classes > 0,
            )  # fmt: skip
        if trainer.is_global_zero:
            session.console.print(
                f"metrics {evaluator.primary}: {evaluator.num_samples:,} generated against {len(session.dataset):,} "
                f"real images every {self.interval.kimg:g} kimg, for at most {100 * self.share:g} % of the time"
            )
            if few := evaluator.few():
                session.console.print(f"note    small_sample: {few}")

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
        if self.at_start and module.images_seen == 0:
            self.evaluate(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.improved = False
        if self.interval.due_after(module) or self.alarm.due:
            self.alarm.wind(time.monotonic())
            # one process decides for all: their clocks differ
            if trainer.strategy.broadcast(self.affordable(module)):
                self.evaluate(trainer, module)
            else:
                log.warning(
                    "no evaluation at %g kimg: evaluations took %.0f %% of the time, and evaluate_share allows %.0f %%",
                    module.images_seen / 1000, 100 * self.spent / self.session.clock.seconds, 100 * self.share,
                )  # fmt: skip

    def affordable(self, module: Trained) -> bool:
        last = self.interval.finished(module.images_seen)
        return last or self.spent <= self.share * self.session.clock.seconds

    def evaluate(self, trainer: Trainer, module: Trained) -> None:
        start = time.monotonic()
        self.count += 1
        numbers: dict[str, float] = {}
        flags: list[str] = []
        try:
            result = self.evaluator(module.generate, self.session.context)
            if result is not None:
                numbers, flags = result.numbers, sorted(result.flags)
        except Exception as error:  # images that are not finite, too little memory, ...: training continues
            log.warning("evaluation failed at %g kimg: %s", module.images_seen / 1000, error or type(error).__name__)
            numbers, flags = {self.evaluator.primary: float("nan")}, ["failed"]
        numbers = trainer.strategy.broadcast(numbers)
        self.took = time.monotonic() - start
        self.spent += self.took
        kimg, value = module.images_seen / 1000, numbers[self.evaluator.primary]
        self.latest = numbers
        self.measured_at = module.images_seen if math.isfinite(value) else None
        self.first = self.first or numbers
        self.improved = math.isfinite(value) and (self.best is None or value < self.best["value"])
        if self.improved:
            self.best = {"kimg": kimg, "value": value}
        if trainer.is_global_zero:
            seconds = self.session.clock.seconds
            append(self.path, kimg, seconds, numbers, self.protocol(module) | {"flags": flags})
        log_numbers(trainer, EVAL, numbers, module.images_seen)
        self.session.report(trainer, numbers)

    def protocol(self, module: Any) -> dict[str, Any]:
        """Of the numbers; with how images are made, where that takes steps."""
        return self.evaluator.protocol() | getattr(module, "sampler", {})

    def state_dict(self) -> dict[str, Any]:
        return {
            "evaluator": self.evaluator.identity, "best": self.best, "latest": self.latest, "first": self.first,
            "spent": self.spent,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spent = state["spent"]
        if state["evaluator"] == self.evaluator.identity:  # the best by another evaluator does not compare
            self.best, self.latest, self.first = state["best"], state["latest"], state["first"]


def append(path: Path, kimg: float, seconds: float, numbers: dict[str, float], protocol: dict[str, Any]) -> None:
    """One line of metrics.jsonl, in one write. What is not finite is null: JSON has no word for it."""
    files.append_json_line(path, {"kimg": kimg, "seconds": round(seconds, 3), "metrics": numbers, "protocol": protocol})


def keep_until(path: Path, kimg: float) -> None:
    """Removes the lines after `kimg`, and a last line that is incomplete."""
    files.keep_json_lines(path, lambda line: line["kimg"] <= kimg)
