"""`transgan evaluate`: the numbers of a run, a checkpoint, or any program's images, with their protocol."""

import math
from typing import Any

from omegaconf import DictConfig

from transgan import files
from transgan.errors import UserError, setting_up
from transgan.metrics.statistics import whole
from transgan.runs.evaluating import context_of, measured
from transgan.runs.folder import open_console
from transgan.runs.machine import device_findings
from transgan.runs.names import wrong_suffix


def main(config: DictConfig, arguments: list[str]) -> int:
    """Evaluates and writes. Returns the exit code: 0, or 1 when a number is not finite."""
    found = evaluate(config, arguments)
    return 0 if found is None or all(math.isfinite(value) for value in found["metrics"].values()) else 1


def evaluate(config: DictConfig, arguments: list[str]) -> dict[str, Any] | None:
    """Evaluates and writes -> everything that is written as JSON; None on processes other than the first."""
    with setting_up():
        check(config)
        context = context_of(config, arguments)
    with context:
        return measured(config, arguments, context, open_console(context.is_main))


def check(config: DictConfig) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if config.against is not None and config.get("data"):
        found.append("against= and data= both name the real images; give one of them")
    if config.num_real is not None:
        if not str(config.against).lower().endswith(".npz"):
            found.append("num_real= is for against=FILE.npz alone")
        try:
            whole(config.num_real, "num_real=")
        except ValueError as error:
            found.append(str(error))
    found += wrong_suffix("out", config.out, ".json") + wrong_suffix("export", config.export, ".npz")
    run = files.expanded(config.run)
    if not run.exists():
        found.append(f"there is no run folder, checkpoint, folder or zip of images at {run}; `ls runs` shows the runs")
    for key in ("against", "heldout"):
        if config[key] is not None and not files.expanded(config[key]).exists():
            found.append(f"{key}={config[key]}: there is nothing at this path")
    for key in ("out", "export"):
        if config[key] is not None and files.expanded(config[key]).is_dir():
            found.append(f"{key}={config[key]}: there is a folder of this name; give the file to write")
    found += device_findings(config.device)
    if found:
        raise UserError(*found)
