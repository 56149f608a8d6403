"""Optimizer steps that are skipped because their gradient is not finite, and how the program learns of them.

To ask a GPU whether a gradient is finite is to wait for it. So a raw optimizer that can skip a step by itself (Adam
with `fused=True`) is decided on the device, and the answers of a training step are read together, when one is needed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor


class NonFiniteTraining(RuntimeError):
    """Too many steps in a row without a finite gradient."""


class SkippedSteps:
    """Counts the skipped steps of each network, in the run (`counts`) and since its last good one (`in_a_row`).

    After `limit` of one network in a row `step` and `read` raise NonFiniteTraining.
    """

    def __init__(self, networks: Iterable[str], limit: int):
        self.counts = dict.fromkeys(networks, 0)
        self.in_a_row = dict.fromkeys(self.counts, 0)
        self.limit = limit
        self.unread: list[tuple[str, Tensor]] = []  # whether a step was finite, on the device

    def step(
        self, name: str, optimizer: torch.optim.Optimizer | LightningOptimizer, finite: Tensor, images: int
    ) -> bool:
        """Takes the step of a network unless its gradient is not finite, after so many images; False if it is known
        to have been skipped."""
        self.unread.append((name, finite))
        raw: Any = optimizer
        if getattr(raw, "_step_supports_amp_scaling", False) and not isinstance(raw, LightningOptimizer):
            raw.found_inf = (~finite).float()  # as torch.amp.GradScaler does
            try:
                raw.step()
            finally:
                del raw.found_inf
            return True
        if taken := self.read(images):
            optimizer.step()
        return taken

    def read(self, images: int) -> bool:
        """Counts the steps that were not yet read; whether the last of them was finite."""
        finite = [True]
        if self.unread:
            names, flags = zip(*self.unread, strict=True)
            self.unread.clear()
            finite = torch.stack(flags).tolist()
            for name, good in zip(names, finite, strict=True):
                self.count(name, good, images)
        return finite[-1]

    def count(self, name: str, finite: bool, images: int) -> None:
        self.counts[name] += not finite
        self.in_a_row[name] = 0 if finite else self.in_a_row[name] + 1
        if self.in_a_row[name] >= self.limit:
            raise NonFiniteTraining(
                f"{self.in_a_row[name]} steps of the {name} in a row had no finite gradient, at {images / 1000:g} kimg"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"nonfinite": dict(self.counts), "in_a_row": dict(self.in_a_row)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.counts = dict(state["nonfinite"])
        self.in_a_row = dict(state.get("in_a_row", self.in_a_row))  # earlier versions saved none
