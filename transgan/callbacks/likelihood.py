"""metrics.jsonl: how well a model with a likelihood predicts held-out images."""

from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from transgan.callbacks.evaluation import Clock, append, keep_until
from transgan.callbacks.interval import Interval


class HeldOut(Protocol):
    """A data set of images that are not trained on."""

    fingerprint: str

    def __len__(self) -> int: ...

    def __getitems__(self, indices: list[int], /) -> tuple[Tensor, Tensor]: ...


class Likelihood(Callback):
    """Bits per dimension of held-out images under the EMA network, at the start and at every interval.

    `count` of them, evenly spread, if there are more. `latest` and `best` are such numbers, {"kimg", "value"}.
    """

    name = "bits_per_dim_heldout"

    def __init__(self, run: Path, interval: Interval, heldout: HeldOut, stats: Clock, count: int = 10_000):
        self.path, self.interval, self.heldout, self.stats = Path(run) / "metrics.jsonl", interval, heldout, stats
        self.indices: list[int] = torch.linspace(0, len(heldout) - 1, min(count, len(heldout))).long().tolist()
        self.latest: dict[str, float] | None = None
        self.best: dict[str, float] | None = None

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)
            if module.images_seen == 0:
                self.measure(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.is_global_zero and self.interval.due_after(module):
            self.measure(trainer, module)

    def measure(self, trainer: Trainer, module: Any) -> None:
        parts = [self.indices[i : i + 256] for i in range(0, len(self.indices), 256)]
        found = torch.cat([module.bits_per_dim(*self.heldout.__getitems__(part)) for part in parts])
        value = found.double().mean().item()
        kimg = module.images_seen / 1000
        self.latest = {"kimg": kimg, "value": value}
        if self.best is None or value < self.best["value"]:
            self.best = self.latest
        protocol = {
            "split": "heldout", "num_real": len(self.indices), "weights": "ema", "data": self.heldout.fingerprint,
            "likelihood": module.likelihood,
        }  # fmt: skip
        append(self.path, kimg, self.stats.seconds, {self.name: value}, protocol)
        if trainer.logger is not None:
            trainer.logger.log_metrics({self.name: value}, step=module.images_seen)

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.latest, self.best = state["latest"], state["best"]
