"""metrics.jsonl: how well a model with a likelihood predicts held-out images."""

import logging
import math
from functools import partial
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from transgan.at_once import AtOnce
from transgan.callbacks.evaluation import append, keep_until
from transgan.callbacks.interval import Interval
from transgan.callbacks.session import Session, Trained
from transgan.callbacks.tracking import EVAL, log_numbers
from transgan.errors import is_out_of_memory, one_line

BATCH = 256  # images at once

log = logging.getLogger(__name__)


class Likely(Trained, Protocol):
    """What has a likelihood: exact, or a bound, as `likelihood` says."""

    likelihood: str

    def bits_per_dim(self, images: Tensor, labels: Tensor, /) -> Tensor: ...


def spread_over(there: int, count: int) -> list[int]:
    """Positions of `count` of so many images, evenly spread; of all if there are fewer."""
    return torch.linspace(0, there - 1, min(count, there)).long().tolist()


def bits_of(module: Likely, images: Any, indices: list[int], at_once: AtOnce) -> Tensor:
    """Bits per dimension of the images with these indices: 256 at once, or as many as fit into memory."""

    def bits(chosen: list[int], part: list[int]) -> Tensor:
        return module.bits_per_dim(*images.__getitems__([chosen[i] for i in part]))

    parts = [indices[i : i + BATCH] for i in range(0, len(indices), BATCH)]
    return torch.cat([at_once.of(len(chosen), partial(bits, chosen)) for chosen in parts])


class Likelihood(Callback):
    """Bits per dimension of held-out images under the EMA weights, at the start and at every interval.

    `count` of them, evenly spread, if there are more; or the module's own `likelihood_count`, where each takes long.
    `latest` and `best` are such numbers, {"kimg", "value"}; where memory was lacking, `latest` is None and the
    line null.
    """

    name = "bits_per_dim_heldout"

    def __init__(self, every_kimg: float, count: int = 10_000) -> None:
        self.interval, self.count = Interval(every_kimg), count
        self.at_once = AtOnce()
        self.latest: dict[str, float] | None = None
        self.best: dict[str, float] | None = None

    def applies(self, session: Session, module: Trained) -> bool:
        """Whether the model has a likelihood, and there are held-out images."""
        return session.heldout is not None and hasattr(module, "bits_per_dim")

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = session = Session.of(trainer)
        self.path, self.heldout = session.folder / "metrics.jsonl", session.heldout
        self.interval = Interval(self.interval.kimg, session.kimg, spaced=True)
        self.indices = spread_over(len(self.heldout), min(self.count, getattr(module, "likelihood_count", self.count)))

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
        if module.images_seen == 0:
            self.measure(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.interval.due_after(module):
            self.measure(trainer, module)

    def measure(self, trainer: Trainer, module: Likely) -> None:
        value = trainer.strategy.broadcast(self.bits_per_dim(module) if trainer.is_global_zero else None)
        kimg = module.images_seen / 1000
        self.latest = None if value is None else {"kimg": kimg, "value": value}
        value = math.nan if value is None else value
        if self.latest and (self.best is None or value < self.best["value"]):
            self.best = self.latest
        if trainer.is_global_zero:
            protocol = {
                "split": "heldout", "num_real": len(self.indices), "weights": "ema", "data": self.heldout.fingerprint,
                "likelihood": module.likelihood,
            }  # fmt: skip
            append(self.path, kimg, self.session.clock.seconds, {self.name: value}, protocol)
        log_numbers(trainer, EVAL, {self.name: value}, module.images_seen)
        self.session.report(trainer, {self.name: value})

    def bits_per_dim(self, module: Likely) -> float | None:
        """The mean; None, which is reported, where memory is lacking for a few images."""
        try:
            return bits_of(module, self.heldout, self.indices, self.at_once).double().mean().item()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning(
                "the likelihood was not measured at %g kimg, and training goes on: memory is lacking (%s)",
                module.images_seen / 1000, one_line(error)[:120],
            )  # fmt: skip
            return None

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.latest, self.best = state["latest"], state["best"]
