"""Commands that the output proposes: typed as a shell reads them, and such that they run on this machine."""

import shlex
from collections.abc import Mapping
from typing import Any

ALONE = ("EfficientNetLite0", "Masked", "Pixels")  # extractors that need neither a download nor classes


def typed(*arguments: object) -> str:
    """A command line for a POSIX shell, to paste."""
    return shlex.join(map(str, arguments))


def measuring(config: Mapping[str, Any], classes: bool) -> list[str]:
    """What `transgan evaluate RUN` must be given beside the run; nothing where it was measured while training.

    config: of the run. classes: whether its images have any. A run that was not measured may be of an extractor whose
    weights are not on this machine: then one is named that needs none.
    """
    if config.get("metrics"):
        return []
    kind = str((config.get("extractor") or {}).get("_target_")).rpartition(".")[2]
    fits = kind in ALONE or kind == "Classifier" and classes
    return ["metrics=fast", *([] if fits else ["extractor=masked"])]
