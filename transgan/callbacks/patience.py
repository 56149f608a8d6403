"""Ends a run that no longer improves: Lightning's EarlyStopping with a margin that is a share of the best."""

import math
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping

from transgan.callbacks.evaluation import Evaluation
from transgan.callbacks.session import Session, Trained, find
from transgan.numerals import number

TRAIN_ON = "To train on, the same command with patience=null, or with a larger patience="


class Patience(EarlyStopping):
    """Training stops when so many `evaluations` in a row had no primary number lower than the best by `margin` of it.

    It looks right after each evaluation, before the checkpoint is written, which so knows that the run has stopped.
    One that failed or was left out does not count: it says nothing about the images.
    """

    def __init__(self, evaluations: int | None, margin: float = 0.01) -> None:
        if not 0 <= margin < 1:
            raise ValueError(f"the margin must be at least 0 and below 1, not {margin:g}: it is a share of the best")
        self.margin = margin
        super().__init__("", patience=evaluations or 0, mode="min", strict=False, check_on_train_epoch_end=False)

    @property
    def min_delta(self) -> float:
        best = getattr(self, "best_score", torch.tensor(math.inf)).item()
        return -self.margin * abs(best) if math.isfinite(best) else 0.0

    @min_delta.setter
    def min_delta(self, value: float) -> None:
        """It follows from the best."""

    @property
    def state_key(self) -> str:
        return "Patience"

    def applies(self, session: Session, module: Trained) -> bool:
        return self.patience > 0

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        super().setup(trainer, module, stage)
        evaluation = find(trainer, Evaluation)
        if evaluation is None:
            raise ValueError("patience counts evaluations, and there are none: leave it at null, or give metrics=fast")
        self.evaluation, self.monitor = evaluation, evaluation.evaluator.primary

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        super().on_train_start(trainer, module)
        self.counted = self.evaluation.count

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.evaluation.count != self.counted:
            self.counted = self.evaluation.count
            if self.evaluation.measured_at != module.images_seen:
                return
            super().on_validation_end(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        """Not here: the checkpoint is written by then."""

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"monitor": self.monitor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        own = self.patience
        super().load_state_dict(state)
        self.patience, self.stopping_reason_message = own, None


def sentence(state: dict[str, Any] | None, evaluations: int | None) -> str | None:
    """Why a run whose Patience has this state has stopped, at so many evaluations; None if it has not."""
    if state is None or not evaluations or state["wait_count"] < evaluations:
        return None
    best, count = state["best_score"].item(), state["wait_count"]
    within = f"in {count} evaluations" if count != 1 else "in one evaluation"
    return f"{state['monitor']} has not become better than {number(best, 4)} {within}"
