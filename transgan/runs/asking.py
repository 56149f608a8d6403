"""What `transgan evaluate IMAGES` lacks: all of it at once, with one command that has everything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transgan.errors import UserError
from transgan.runs.nearby import Nearby
from transgan.runs.proposals import typed

FEATURES = (
    "say which features to measure by: extractor=masked needs no weights, extractor=inception is the standard of FID, "
    "and `transgan evaluate --help` lists more"
)
SHOWN = 3  # runs that are named


def against_what(path: Path, runs: Sequence[Nearby], size: int) -> str:
    """The sentence where nothing is named to compare images of `size` px with. runs: all that are near, of any size."""
    said = (
        f"{path} holds images; say what to compare them with: against=FOLDER, against=FILE.zip, against=FILE.npz, "
        "data=cifar10, or against=RUN for the images that a run was trained on"
    )
    names = [f"{run.path} ({run.resolution} px)" for run in runs[:SHOWN]]
    more = f" and {len(runs) - SHOWN:,} more" if len(runs) > SHOWN else ""
    return f"{said}; near these {size} px are {', '.join(names)}{more}" if names else said


def command(arguments: Sequence[str], values: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """The user's own command with these keys as well, and without others."""
    kept = [word for word in arguments if word.partition("=")[0].lstrip("+") not in (*values, *without)]
    return typed("transgan", "evaluate", *kept, *(f"{key}={value}" for key, value in values.items()))


def ask(findings: Sequence[str], whole: str) -> UserError:
    """All findings, and the command that has everything."""
    if len(findings) == 1:
        return UserError(f"{findings[0]}; the whole command: `{whole}`")
    return UserError(*findings, f"all of it in one command: `{whole}`")
