"""One setting that was chosen, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

KEYS = (  # in the order in which they are shown
    "recipe", "resolution", "channels", "conditional", "extractor", "metrics", "precision", "compile", "batch_size",
    "micro_batch", "threads", "kimg", "metrics.num_samples", "log_every", "sample_every", "evaluate_every",
    "checkpoint_every",
)  # fmt: skip
FIRST = KEYS[: KEYS.index("batch_size") + 1]  # are chosen before a step was measured


@dataclass(frozen=True)
class Choice:
    """key=value, as on the command line, and the reason in a few words."""

    key: str
    value: Any
    why: str

    @property
    def said(self) -> str:
        """The value, as on the command line."""
        if self.value is None or isinstance(self.value, bool):
            return {True: "true", False: "false", None: "null"}[self.value]
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)

    @property
    def argument(self) -> str:
        return f"{self.key}={self.said}"


def arguments(choices: Iterable[Choice]) -> list[str]:
    """The choices as the arguments of a command."""
    return [each.argument for each in choices]
