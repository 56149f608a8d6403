"""A run while it is trained: what its callbacks share, the clock they read, and the order in which they are called."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Checkpoint
from rich.console import Console
from torch import Tensor

from transgan.callbacks.interval import Alarm, Counting
from transgan.callbacks.tracking import Failures

ALONE = SimpleNamespace(rank=0, world_size=1, is_main=True, gather=None, together=nullcontext)
Kind = TypeVar("Kind", bound=Callback)
TOGETHER = 8  # steps between looks at the clock that several processes share


class Trained(Counting, Protocol):
    """What callbacks ask of a module."""

    num_classes: int
    nonfinite: dict[str, int]
    nonfinite_in_a_row: int
    log_values: dict[str, Any]
    device: torch.device

    def generate(self, seeds: list[int], labels: Tensor | None = None, /) -> Tensor: ...


class Clock:
    """Seconds since the run began, over all of its sessions, and seconds of training in this session.

    Training is what happens between callbacks: waiting for a batch, and the training step. `training_cpu` is what this
    process, all of its threads together, spent of CPUs on it.
    """

    def __init__(self) -> None:
        self.before = 0.0  # seconds of earlier sessions
        self.training = self.training_cpu = 0.0
        self.begin()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def begin(self) -> None:
        self.start = self.mark = time.monotonic()
        self.mark_cpu = time.process_time()

    def callbacks_begin(self) -> None:
        now, now_cpu = time.monotonic(), time.process_time()
        self.training += now - self.mark
        self.training_cpu += now_cpu - self.mark_cpu
        self.mark, self.mark_cpu = now, now_cpu

    def callbacks_end(self) -> None:
        self.mark, self.mark_cpu = time.monotonic(), time.process_time()


class Session(Callback):
    """The first callback of a run. Others find it in their `setup`: `session = Session.of(trainer)`.

    With a Trainer of your own: `Trainer(callbacks=Session("runs/mine", kimg=20).around([Stats(0.5), ...]))`.

    Args:
        folder: of the run. kimg: its length. dataset, heldout: images to train on, and held-out ones, if any.
        evaluator: what `Evaluation` runs, if anything. console: where progress is printed. context: the processes that
            train together, see runs/distributed.py. facts: plain containers that every checkpoint holds.
        preparing: a context for what may take long or fail before the first step, given a sentence about it.
    """

    def __init__(
        self,
        folder: str | Path,
        kimg: float = math.inf,
        dataset: Any = None,
        heldout: Any = None,
        evaluator: Any = None,
        console: Console | None = None,
        context: Any = ALONE,
        facts: Mapping[str, Any] | None = None,
        preparing: Callable[[str], AbstractContextManager] = lambda text: nullcontext(),
    ) -> None:
        self.folder, self.kimg = Path(folder), kimg
        self.dataset, self.heldout, self.evaluator = dataset, heldout, evaluator
        self.console, self.context = console or Console(highlight=False, markup=False), context
        self.facts, self.preparing = dict(facts or {}), preparing
        self.clock, self.failures = Clock(), Failures()
        self.last = SessionEnd(self)
        self.alarms: list[Alarm] = []  # what is also due after minutes
        self.measured = False  # whether new metrics have been reported since the last step

    @staticmethod
    def of(trainer: Trainer) -> "Session":
        """The session of a Trainer. Raises ValueError if it has none."""
        session = find(trainer, Session)
        if session is None:
            raise ValueError(
                "these callbacks belong to a session: give the Trainer "
                "callbacks=transgan.callbacks.Session(folder, kimg).around([...])"
            )
        return session

    def around(self, callbacks: Iterable[Callback]) -> list[Callback]:
        """The session, the callbacks in the order given, those that save checkpoints, and those that show progress.

        A checkpoint holds the state of all others after the step; none of them can be called after it.
        """
        from transgan.callbacks.progress import ProgressLine

        def place(callback: Callback) -> int:
            return 1 if isinstance(callback, Checkpoint) else 2 if isinstance(callback, ProgressLine) else 0

        return [self, *sorted(callbacks, key=place), self.last]

    def finished(self, module: Counting) -> bool:
        return module.images_seen >= 1000 * self.kimg

    def report(self, trainer: Trainer, numbers: Mapping[str, float]) -> None:
        """Makes metrics known to callbacks that monitor one, such as EarlyStopping; they look after this step.

        To be called on every process with the same numbers. What is not finite is left out: it was not measured.
        """
        finite = {name: torch.tensor(value) for name, value in numbers.items() if math.isfinite(value)}
        trainer.callback_metrics.update(finite)
        self.measured = self.measured or bool(finite)

    def alarm(self, minutes: float | None) -> Alarm:
        """An alarm that goes off on all processes after the same step; to be called in every process's `setup`."""
        made = Alarm(minutes, time.monotonic())
        if minutes is not None:
            self.alarms.append(made)
        return made

    def look_at_clock(self, trainer: Trainer, step: int) -> None:
        """Of several processes the first one's clock counts, at every few steps."""
        now = time.monotonic()
        passed = [each.passed(now) for each in self.alarms]
        if trainer.world_size > 1:
            passed = trainer.strategy.broadcast(passed) if step % TOGETHER == 0 else [False] * len(passed)
        for each, due in zip(self.alarms, passed, strict=True):
            each.due = each.due or due

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        for logger in trainer.loggers:
            self.failures.shield(logger)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        for each in self.alarms:
            each.wind(time.monotonic())
        self.clock.begin()

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.clock.callbacks_begin()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.clock.callbacks_begin()
        if self.alarms:
            self.look_at_clock(trainer, batch_idx)

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint |= self.facts

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get("callbacks", {})  # earlier versions kept the seconds with the statistics
        self.clock.before = states.get("Session", states.get("Stats", {})).get("seconds", 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.clock.seconds}


class SessionEnd(Callback):
    """The last callback of a run: training continues, once the callbacks that monitor metrics have seen new ones."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.session.measured = False
        self.session.clock.callbacks_end()

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.session.clock.callbacks_end()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.session.measured:  # an evaluation is what Lightning calls a validation
            self.session.measured = False
            for callback in callbacks_of(trainer):
                callback.on_validation_end(trainer, module)
        self.session.clock.callbacks_end()


def find(trainer: Trainer, kind: type[Kind]) -> Kind | None:
    """The Trainer's first callback of a kind."""
    return next((each for each in callbacks_of(trainer) if isinstance(each, kind)), None)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """All of a Trainer's callbacks, whose attribute Lightning declares nowhere."""
    found: list[Callback] = vars(trainer)["callbacks"]
    return found
