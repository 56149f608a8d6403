"""checkpoints/last.ckpt and best.ckpt, and the ways a run ends: at its length, or by a signal, after a whole step."""

import signal
import threading
from pathlib import Path

from pytorch_lightning import Callback

from transgan.callbacks.interval import Interval


class Stop(Callback):
    """Ends training after the step that reaches the run's length, or in which Ctrl-C or SIGTERM came.

    A signal must not cut a step in half: half a step cannot be resumed exactly. A second Ctrl-C does not wait, unless
    everything is saved already.
    """

    def __init__(self, interval: Interval):
        self.interval = interval
        self.signal: int | None = None
        self.over = False
        self.previous: dict[int, object] = {}

    def on_train_start(self, trainer, module) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, self.note)

    def note(self, number: int, frame) -> None:
        if self.over:
            return
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if trainer.world_size > 1:          # one process may have been told and the others not
            told = trainer.strategy.reduce_boolean_decision(self.signal is not None, all=False)
            self.signal = self.signal or (signal.SIGTERM if told else None)
        if self.signal is not None or self.interval.finished(module.images_seen):
            trainer.should_stop = True

    def restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def teardown(self, trainer, module, stage) -> None:
        self.over = True


class SaveCheckpoints(Callback):
    """last.ckpt at every interval and when stopping, best.ckpt when an evaluation was the best so far.

    `extra` (plain containers) goes into every checkpoint: the configuration and the data's fingerprint. Nothing is
    saved amid steps without a finite gradient.
    """

    def __init__(self, run: Path, interval: Interval, stop: Stop, evaluation, extra: dict):
        self.folder, self.interval, self.stop = Path(run) / "checkpoints", interval, stop
        self.evaluation, self.extra = evaluation, extra

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        due = self.interval.due_after(module) or self.stop.signal is not None
        if module.nonfinite_in_a_row:
            return
        if self.evaluation is not None and self.evaluation.improved:
            trainer.save_checkpoint(self.folder / "best.ckpt")
        if due:
            trainer.save_checkpoint(self.folder / "last.ckpt")

    def on_save_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        checkpoint |= self.extra
