"""The run that another begins with, trained first where it is not there: `pretraining` of conf/train.yaml.

That run may begin with another one in turn: each command has the one before it trained by a command of its own.
"""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import DictConfig

from transgan import checkpoint, files, warm_start
from transgan.config.command_line import read
from transgan.config.compose import compose
from transgan.errors import UserError, setting_up
from transgan.instantiation import container
from transgan.launched import alone, launched
from transgan.planning.settings import in_words
from transgan.runs.folder import open_console
from transgan.runs.images import training_data
from transgan.runs.resuming import settle
from transgan.runs.timed import minutes_of, within
from transgan.warm_start import begins

# What both runs have in common, so that the first is given it as well where the command says it.
SHARED = {
    "runs", "seed", "data", "resolution", "channels", "conditional", "holdout", "mirror", "trainer", "precision",
    "threads", "num_workers", "extractor", "metrics", "logger", "debug",
}  # fmt: skip


@dataclass
class Stage:
    """A run of a chain, with the words of its command and what these compose; minutes: its part of the time, if there
    is one."""

    config: DictConfig
    arguments: list[str]
    minutes: float | None = None

    @property
    def place(self) -> str:
        return f"{self.config.runs}/{self.config.name}"

    @property
    def last(self) -> Path:
        return files.expanded(self.config.runs) / self.config.name / "checkpoints" / "last.ckpt"

    @property
    def finished(self) -> bool:
        """Whether it is as long as it is to be: of a run that was given this very time, as long as that made it."""
        if not self.last.exists():
            return False
        saved = checkpoint.read(self.last)
        timed = self.minutes is not None and (saved.get("chosen") or {}).get("minutes") == self.minutes
        return bool(saved["images_seen"] >= 1000 * (saved["config"] if timed else self.config)["kimg"])


def begun(config: DictConfig, arguments: list[str]) -> tuple[DictConfig, list[str], int | None]:
    """-> (the configuration with the run that it begins with, its arguments, an exit code to end with or None)

    Trains that run to its end, unless it is there or the present run has begun already. The time that a command gives
    is that of all of them. Raises UserError.
    """
    stages = chain(config, arguments)
    if len(stages) == 1:
        return config, arguments, None
    *_, first, present = shared_out(stages)
    whole = [*present.arguments, f"checkpoint={first.place}"]
    with setting_up():
        if present.last.exists() or first.finished:
            return compose("train", whole), whole, None
    command = f"transgan train {shlex.join(first.arguments)}"
    if launched().by:
        raise UserError(f"this run begins with another one, which is trained alone: first `{command}`")
    console = open_console()
    if (minutes := minutes_of(config)) is not None:
        parts = ", ".join(f"{each.config.name} {each.minutes:g}" for each in shared_out(stages))
        console.print(
            f"plan    {in_words(minutes)} for all, by the kimg of each: {parts}; checkpoint=RUN would leave "
            f"all to {config.name}"
        )
    if config.dry_run:
        console.print(f"plan    first the run that this one begins with: {command}")
        return config, arguments, dry_run(stages[:-1], first, present)
    console.print(f"first   {command}")
    if code := run(first.arguments):
        return config, arguments, code
    console.print(f"then    {config.name}, which begins with {first.place}")
    return compose("train", whole), whole, None


def chain(config: DictConfig, arguments: list[str]) -> list[Stage]:
    """A run and all those that it begins with, the first one first; with nothing to be trained first, itself alone."""
    own = Stage(config, arguments)
    overrides = list(config.get("pretraining") or ())
    if not overrides or config.checkpoint is not None or config.get("config") or not begins(config):
        return [own]
    overrides += [word for word in arguments if shared(word)]
    first = compose("train", overrides)
    if first.name == config.name:  # both are named after the images
        overrides.append(f"name={config.name}_first")
        first = compose("train", overrides)
    return [*chain(first, overrides), own]


def shared_out(stages: list[Stage]) -> list[Stage]:
    """The same, each with its part of the last one's time, in proportion to their own kimg. The words of each hold its
    own part and those of the runs before it, of which it has these trained."""
    minutes = minutes_of(stages[-1].config)
    if minutes is None:
        return stages
    found: list[Stage] = []
    for count in range(len(stages), 0, -1):  # as each command of the chain does it
        stage, lengths = stages[count - 1], [each.config.kimg for each in stages[:count]]
        own = float(f"{minutes * lengths[-1] / sum(lengths):.4g}")
        if count == len(stages):
            given = within(stage.arguments, own, stage.config)
        else:
            given = within(without_kimg(stage.arguments), minutes, stage.config)
        found.insert(0, Stage(stage.config, given, own))
        minutes = float(f"{minutes * sum(lengths[:-1]) / sum(lengths):.4g}")
    return found


def without_kimg(arguments: list[str]) -> list[str]:
    """Without the length that `pretraining` gives, in whose place the time is."""
    return [word for word in arguments if read(word).key != "kimg"]


def dry_run(earlier: list[Stage], first: Stage, present: Stage) -> int:
    """Says the plans of the runs before and of the present one, as if that were there. -> exit code"""
    if code := run([*first.arguments, "dry_run=true"]):
        return code
    with TemporaryDirectory(prefix="transgan-") as folder, setting_up():
        place = stand_in(earlier, Path(folder))
        open_console().print(f"then    {present.config.name}, which begins with {first.place}")
        return run([*present.arguments, f"checkpoint={place}"])


def stand_in(stages: list[Stage], folder: Path) -> Path:
    """An untrained checkpoint as the last of these runs would have it. -> its run folder, in `folder`"""
    *earlier, stage = stages
    config, given = stage.config, stage.arguments
    if earlier:
        before = earlier[-1]
        place = before.last.parent.parent if before.last.exists() else stand_in(earlier, folder)
        config.checkpoint = str(place)
    settle(config, training_data(config)[0])
    warm_start.settle(config, given)
    resolved = checkpoint.without_weights(container(config))
    module = checkpoint.build(resolved)
    saved: dict[str, Any] = {
        "state_dict": module.state_dict(), "config": {key: resolved[key] for key in resolved if key != "callbacks"},
    }  # fmt: skip
    module.on_save_checkpoint(saved)
    path = folder / config.name / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(saved, path)
    return folder / config.name


def shared(word: str) -> bool:
    """Whether an argument says what both runs have in common; a bare word is the images."""
    override = read(word)
    return override.value is None and not override.prefix or override.key.split("@")[0].split(".")[0] in SHARED


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
