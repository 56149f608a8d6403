"""What every logger of a Trainer is given, under which names; and that none of them ends the training."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from PIL import Image
from pytorch_lightning import Trainer
from torch import Tensor

TRAIN, EVAL, SAMPLES = "train", "eval", "samples"  # groups, as trackers show them: what stands before the /
# What Lightning and its callbacks call of a logger, and we do.
CALLED = (
    "log_metrics", "log_hyperparams", "log_graph", "log_image", "save", "finalize", "after_save_checkpoint",
)  # fmt: skip
WAIT = 10  # times as long as a call took that failed: a server that is gone may hold up each of them for minutes

log = logging.getLogger(__name__)


class Failures:
    """Calls loggers so that a failure is reported, once for each, and ends nothing. A logger that failed is left alone
    for a while."""

    def __init__(self) -> None:
        self.failed: dict[int, tuple[Any, float]] = {}  # id: the logger, and when it is called again

    def call(self, logger: Any, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """What the method returns; None where it fails."""
        began = time.monotonic()
        if id(logger) in self.failed and began < self.failed[id(logger)][1]:
            return None
        try:
            return method(*arguments, **named)
        except Exception as error:  # of others' code, and of networks
            if id(logger) not in self.failed:
                log.warning(
                    "%s failed: %s; training goes on, and everything is in stats.csv, metrics.jsonl and samples/ too",
                    type(logger).__name__, " ".join(str(error).split()) or type(error).__name__,
                )  # fmt: skip
            now = time.monotonic()
            self.failed[id(logger)] = logger, now + WAIT * (now - began)
            return None

    def shield(self, logger: Any) -> None:
        """From now on the logger's own methods are called so, whoever calls them."""
        for name in CALLED:
            method = getattr(logger, name, None)
            if callable(method) and not hasattr(method, "shielded"):
                with suppress(AttributeError):  # a class with slots
                    setattr(logger, name, self.shielded(logger, method))

    def shielded(self, logger: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **named: Any) -> Any:
            return self.call(logger, method, *arguments, **named)

        vars(call)["shielded"] = True
        return call


def log_numbers(trainer: Trainer, group: str, numbers: Mapping[str, float], step: int) -> None:
    """Gives numbers to every logger as group/name, at a step that counts images; to be called on every process."""
    for logger in trainer.loggers:
        logger.log_metrics({f"{group}/{name}": value for name, value in numbers.items()}, step=step)


def log_grid(trainer: Trainer, name: str, grid: Tensor, step: int, failures: Failures) -> None:
    """Gives a grid, uint8 (3, H, W), as samples/name to every logger that takes images."""
    for logger in trainer.loggers:
        failures.call(logger, give, logger, f"{SAMPLES}/{name}", grid, step)


def give(logger: Any, name: str, grid: Tensor, step: int) -> None:
    """Images are taken by `log_image(key, images, step)` of a logger, as by Lightning's for Weights & Biases, or by
    `add_image` of its `experiment`, as by TensorBoard's."""
    log_image = getattr(logger, "log_image", None)
    add_image = getattr(getattr(logger, "experiment", None), "add_image", None)
    if callable(log_image):
        log_image(key=name, images=[Image.fromarray(grid.permute(1, 2, 0).numpy())], step=step)
    elif callable(add_image):
        add_image(name, grid, step)
