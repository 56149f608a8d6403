"""checkpoints/last.ckpt and best.ckpt: at every interval, and whenever training ends at a complete step."""

import logging
import time
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint

from transgan.callbacks.evaluation import Evaluation
from transgan.callbacks.interval import Alarm, Interval
from transgan.callbacks.session import Session, Trained, find

log = logging.getLogger(__name__)


class SaveCheckpoints(Checkpoint):
    """last.ckpt at every interval of kimg or of minutes and when training stops, best.ckpt when an evaluation was the
    best so far.

    At an interval amid steps without a finite gradient nothing is saved; when training stops, everything is. `saved`:
    images shown at the last.ckpt that this process has written or continued from; None without one.
    """

    def __init__(self, every_kimg: float, every_minutes: float | None = None) -> None:
        self.interval, self.alarm = Interval(every_kimg), Alarm(every_minutes)
        self.evaluation: Evaluation | None = None
        self.saved: int | None = None
        self.complete = False  # whether a step and everything that follows it are done

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        session = Session.of(trainer)
        self.folder = session.folder / "checkpoints"
        self.interval = Interval(self.interval.kimg, session.kimg)
        self.alarm = session.alarm(self.alarm.minutes)
        self.evaluation = find(trainer, Evaluation)

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self.saved = checkpoint["images_seen"]

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.complete = False

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        due = (self.interval.due_after(module) or self.alarm.due) and not module.nonfinite_in_a_row
        if self.evaluation is not None and self.evaluation.improved:
            trainer.save_checkpoint(self.folder / "best.ckpt")
        if due or trainer.should_stop:
            self.save(trainer, module)
        self.complete = True

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.saved != module.images_seen and self.complete:  # a callback after this one asked the Trainer to stop
            self.save(trainer, module)

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        """Images that cannot be read any more, or a second Ctrl-C: between two steps the state is complete, and saved.

        Not with other processes, for all of which saving would wait.
        """
        if self.complete and trainer.world_size == 1 and self.saved != module.images_seen:
            try:
                self.save(trainer, module)
            except Exception as error:  # the disk may be what has failed
                log.warning("the state at %g kimg could not be saved: %s", module.images_seen / 1000, error)

    def save(self, trainer: Trainer, module: Trained) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt")
        self.alarm.wind(time.monotonic())
        self.saved = module.images_seen
