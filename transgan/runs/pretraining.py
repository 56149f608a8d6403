"""The run that another begins with, trained first where it is not there: `pretraining` of conf/train.yaml."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig

from transgan import checkpoint, files
from transgan.config.command_line import read
from transgan.config.compose import compose
from transgan.errors import UserError, setting_up
from transgan.launched import alone, launched
from transgan.runs.folder import open_console
from transgan.warm_start import begins

# What both runs have in common, so that the first is given it as well where the command says it.
SHARED = {
    "runs", "seed", "data", "resolution", "channels", "conditional", "holdout", "mirror", "trainer", "precision",
    "threads", "num_workers", "extractor", "metrics", "logger", "debug",
}  # fmt: skip


def begun(config: DictConfig, arguments: list[str]) -> tuple[DictConfig, list[str], int | None]:
    """-> (the configuration with the run that it begins with, its arguments, an exit code to end with or None)

    Trains that run to its end, unless it is there or the present run has begun already. Raises UserError.
    """
    overrides = list(config.get("pretraining") or ())
    if not overrides or config.checkpoint is not None or config.get("config") or not begins(config):
        return config, arguments, None
    overrides += [word for word in arguments if shared(word)]
    first = compose("train", overrides)
    if first.name == config.name:  # both are named after the images
        overrides.append(f"name={config.name}_first")
        first = compose("train", overrides)
    place = f"{config.runs}/{first.name}"
    whole = [*arguments, f"checkpoint={place}"]
    with setting_up():
        if (files.expanded(config.runs) / config.name / "checkpoints" / "last.ckpt").exists() or finished(first):
            return compose("train", whole), whole, None
    command = f"transgan train {shlex.join(overrides)}"
    if launched().by:
        raise UserError(f"this run begins with another one, which is trained alone: first `{command}`")
    console = open_console()
    if config.dry_run:
        console.print(f"plan    first the run that this one begins with: {command}")
        return config, arguments, 0
    console.print(f"first   {command}")
    if code := run(overrides):
        return config, arguments, code
    console.print(f"then    {config.name}, which begins with {place}")
    return compose("train", whole), whole, None


def shared(word: str) -> bool:
    """Whether an argument says what both runs have in common; a bare word is the images."""
    override = read(word)
    return override.value is None and not override.prefix or override.key.split("@")[0].split(".")[0] in SHARED


def finished(config: DictConfig) -> bool:
    last: Any = files.expanded(config.runs) / config.name / "checkpoints" / "last.ckpt"
    return last.exists() and checkpoint.read(last)["images_seen"] >= 1000 * config.kimg


def run(overrides: list[str]) -> int:
    """`transgan train` in a process of its own, which hears the signals that this one is sent. -> its exit code"""
    process = subprocess.Popen(
        [sys.executable, "-m", "transgan", "train", *overrides], env=alone(),
        start_new_session=True,  # Ctrl-C is for this process, which passes it on once
    )  # fmt: skip
    with passing_on(process):
        return process.wait()


@contextmanager
def passing_on(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Inside, signals that end a command go to another process."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    ignored = {number for number, handler in before.items() if handler is signal.SIG_IGN}
    for number in set(numbers) - ignored:
        signal.signal(number, lambda sent, frame: process.send_signal(sent))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
