"""checkpoints/last.ckpt and best.ckpt: at every interval, and whenever training ends at a whole step."""

import logging
from pathlib import Path

from pytorch_lightning import Callback

from transgan.callbacks.interval import Interval
from transgan.callbacks.stopping import Stop

log = logging.getLogger(__name__)


class SaveCheckpoints(Callback):
    """last.ckpt at every interval and when stopping, best.ckpt when an evaluation was the best so far.

    `extra` (plain containers) goes into every checkpoint: the configuration and the data's fingerprint. At an interval
    amid steps without a finite gradient nothing is saved; when training stops, everything is. `saved`: images shown at
    the last.ckpt that this process has written or begun with; None without one.
    """

    def __init__(self, run: Path, interval: Interval, stop: Stop, evaluation, extra: dict, saved: int | None = None):
        self.folder, self.interval, self.stop = Path(run) / "checkpoints", interval, stop
        self.evaluation, self.extra, self.saved = evaluation, extra, saved
        self.whole = False  # whether a step and everything that follows it are done

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        self.whole = False

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        ends = self.stop.reason is not None or self.interval.finished(module.images_seen)
        due = self.interval.due_after(module) and not module.nonfinite_in_a_row
        if self.evaluation is not None and self.evaluation.improved:
            trainer.save_checkpoint(self.folder / "best.ckpt")
        if due or ends:
            self.save(trainer, module)
        self.whole = True

    def on_train_end(self, trainer, module) -> None:
        if self.saved != module.images_seen and self.whole:  # something else has asked the Trainer to stop
            self.save(trainer, module)

    def on_exception(self, trainer, module, exception) -> None:
        """Images that cannot be read any more, or a second Ctrl-C: between two steps all is whole and can be saved.

        Alone: with other processes saving waits for all of them.
        """
        if self.whole and trainer.world_size == 1 and self.saved != module.images_seen:
            try:
                self.save(trainer, module)
            except Exception as error:  # the disk may be what has failed
                log.warning("the state at %g kimg could not be saved: %s", module.images_seen / 1000, error)

    def save(self, trainer, module) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt")
        self.saved = module.images_seen

    def on_save_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        checkpoint |= self.extra
