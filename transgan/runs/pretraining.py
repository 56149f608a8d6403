"""The runs that another one begins with, trained first where they are not there: `pretraining` of conf/train.yaml."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from transgan import checkpoint, warm_start
from transgan.config.command_line import read
from transgan.config.compose import compose
from transgan.errors import UserError, setting_up
from transgan.instantiation import container
from transgan.launched import alone, launched
from transgan.planning.settings import in_words
from transgan.runs.continuing import other_settings
from transgan.runs.folder import folder_of, open_console
from transgan.runs.images import training_data
from transgan.runs.lock import owner
from transgan.runs.parent import ENDS_WITH
from transgan.runs.planned import planned
from transgan.runs.resuming import settle
from transgan.runs.run import Run
from transgan.runs.timed import minutes_of, within
from transgan.warm_start import begins

# What all of them have in common, so that the first ones are given it as well where the command says it.
SHARED = {
    "runs", "seed", "data", "resolution", "channels", "conditional", "holdout", "mirror", "trainer", "precision",
    "threads", "num_workers", "extractor", "metrics", "logger", "debug", "hydra",
}  # fmt: skip
LOOK = 1.0  # seconds between looks at a run that another process trains


@dataclass
class Stage:
    """A run that another one begins with: the arguments of `transgan train`, and what they are composed to."""

    overrides: list[str]
    config: DictConfig

    @property
    def folder(self) -> Path:
        return folder_of(self.config)

    @property
    def place(self) -> str:
        return f"{self.config.runs}/{self.config.name}"

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def command(self) -> str:
        return f"transgan train {shlex.join(self.overrides)}"

    def named(self, name: str) -> "Stage":
        overrides = [*(word for word in self.overrides if read(word).key != "name"), f"name={name}"]
        return Stage(overrides, compose("train", overrides))

    def within(self, minutes: float) -> "Stage":
        """With so much time, in place of a length that `pretraining` gives."""
        others = [word for word in self.overrides if read(word).key != "kimg"]
        overrides = within(others, minutes, self.config)
        return Stage(overrides, compose("train", overrides))

    def beginning_with(self, first: "Stage") -> "Stage":
        overrides = [*self.overrides, f"checkpoint={first.place}"]
        return Stage(overrides, compose("train", overrides))

    def differences(self) -> list[str]:
        """What the run that is there was trained with otherwise than this one would be; none where there is none."""
        if not self.last.exists():
            return []
        previous = checkpoint.read(self.last)
        _, overrides, _ = planned(self.config, self.overrides)
        return other_settings(overrides, previous, self.folder)

    def finished(self) -> bool:
        """Whether it has come to its end: to its length, or to the end of its patience."""
        if not self.last.exists():
            return False
        config, _, _ = planned(self.config, self.overrides)
        if checkpoint.read(self.last)["images_seen"] >= 1000 * config.kimg:
            return True
        return Run(self.folder, "last").facts["out_of_patience"] is not None


def begun(config: DictConfig, arguments: list[str]) -> tuple[DictConfig, list[str], int | None]:
    """-> (the configuration with the run that it begins with, its arguments, an exit code to end with or None)

    Trains the runs before this one to their ends, one after the other, unless they are there or the present run has
    begun already. The time that a command gives is shared out equally among all of them. Raises UserError.
    """
    if not first_overrides(config):
        return config, arguments, None
    with setting_up():
        links, overrides, minutes = linked(config, arguments), arguments, minutes_of(config)
        if minutes is not None:
            part = float(f"{minutes / (len(links) + 1):.4g}")
            links, overrides = [link.within(part) for link in links], within(arguments, part, config)
        last = folder_of(config) / "checkpoints" / "last.ckpt"
        if last.exists() and (place := checkpoint.read(last)["config"].get("checkpoint")):
            whole = [*overrides, f"checkpoint={place}"]  # what it has begun with
            return compose("train", whole), whole, None
        every = named(links, str(config.name))
        whole = [*overrides, f"checkpoint={every[-1].place}"]
        missing = [each for each in every if not each.finished()]
        if missing:
            require_agreement([*every, Stage(whole, compose("train", whole))])
    if not missing:
        return compose("train", whole), whole, None
    if launched().by:
        command = missing[0].command
        raise UserError(f"this run begins with another one, which is trained alone: first `{command}`")
    console = open_console()
    if minutes is not None:
        console.print(
            f"plan    {in_words(part)} for each of {len(every) + 1} runs; checkpoint=RUN would leave all to this one"
        )
    if config.dry_run:
        return config, arguments, dry_run(every, Stage(whole, compose("train", whole)), console)
    for stage in missing:
        if waited(stage, console):  # what is there now may have other settings
            return begun(config, arguments)
        console.print(f"first   {stage.command}")
        if code := run(stage.overrides):
            if waited(stage, console):  # another process was quicker
                return begun(config, arguments)
            return config, arguments, of_signal(code, stage)
        if not stage.finished():
            raise UserError(f"{stage.place} has stopped before its end; the same command goes on with it")
    console.print(f"then    {config.name}, which begins with {every[-1].place}")
    return compose("train", whole), whole, None


def first_overrides(config: DictConfig) -> list[str]:
    """The arguments of the run that one begins with; none where it begins with none, or with one that is named."""
    named = config.checkpoint is not None or config.get("config")
    return [] if named or not begins(config) else list(config.get("pretraining") or ())


def linked(config: DictConfig, arguments: Sequence[str]) -> list[Stage]:
    """The runs before this one, in the order in which they are trained. Raises UserError for one that begins with
    itself."""
    given = [word for word in arguments if shared(word)]
    found: list[Stage] = []
    overrides, seen = first_overrides(config), set[tuple[str, ...]]()
    while overrides:
        if tuple(overrides) in seen:
            raise UserError(f"pretraining=[{','.join(overrides)}]: a run that begins with itself has no beginning")
        seen.add(tuple(overrides))
        whole = [*overrides, *given]
        found.insert(0, Stage(whole, compose("train", whole)))
        overrides = first_overrides(found[0].config)
    return found


def named(links: Sequence[Stage], name: str) -> list[Stage]:
    """The runs, each with the one before it as its checkpoint, under names under which they are not there with other
    settings. name: of the run after them. Raises UserError."""
    found: list[Stage] = []
    for stage in links:
        begun = stage if not found else stage.beginning_with(found[-1])
        found.append(with_a_name(begun, name, {name, *(str(each.config.name) for each in found)}))
    return found


def with_a_name(stage: Stage, name: str, taken: set[str]) -> Stage:
    """A run that is under its usual name, or one of its own where another one is there. taken: names of the others."""
    if stage.config.name not in taken and not stage.differences():
        return stage
    kind = str(stage.config.algorithm["_target_"]).rpartition(".")[2].lower()
    own = stage.named(f"{name}_{kind}")
    if own.config.name in taken:
        own = stage.named(f"{name}_{kind}_{len(taken)}")
    if found := own.differences():
        raise UserError(
            f"{own.place} holds a run with other settings ({'; '.join(found)}); give this one another name=, or "
            f"checkpoint={shlex.quote(own.place)} to begin with it as it is"
        )
    return own


def shared(word: str) -> bool:
    """Whether an argument says what all runs have in common; a bare word is the images."""
    if word.startswith("--"):  # where configurations are from
        return True
    override = read(word)
    return override.value is None and not override.prefix or override.key.split("@")[0].split(".")[0] in SHARED


def require_agreement(every: Sequence[Stage]) -> None:
    """Refuses a chain in which one run cannot begin with the one before it, before any of them is trained. What only
    the images know, such as the number of their classes, is seen when they are read. Raises UserError."""
    shape: dict[str, Any] | None = None
    for before, stage in pairwise(every):
        config = stage.config
        if config.resolution is None or config.channels is None:
            return  # chosen by the images
        first = None if before.last.exists() else shape or container(before.config)
        warm_start.settle(config, stage.overrides, first=first)
        shape = container(config)


def dry_run(every: list[Stage], present: Stage, console: Console) -> int:
    """Says the plans of the runs that are not there and of the present one, as if those before it were. -> exit code"""
    with TemporaryDirectory(prefix="transgan-") as folder, setting_up():
        place = every[0].place
        for i, stage in enumerate([*every, present]):
            if stage is not present and stage.finished():
                place = stage.place
                continue
            if stage is not present:
                console.print(f"plan    first the run that this one begins with: {stage.command}")
            overrides = [each for each in stage.overrides if read(each).key not in ("checkpoint", "dry_run")]
            if i:
                overrides.append(f"checkpoint={place}")
            if code := run([*overrides, "dry_run=true"]):
                return code
            if stage is not present:
                place = str(stand_in(Stage(overrides, compose("train", overrides)), Path(folder)))
    return 0


def stand_in(stage: Stage, folder: Path) -> Path:
    """An untrained checkpoint as a run would have it. -> its run folder, in `folder`"""
    config, _, _ = planned(stage.config, stage.overrides)
    settle(config, training_data(config)[0])
    warm_start.settle(config, stage.overrides)
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


def waited(stage: Stage, console: Console) -> bool:
    """Whether another process trained this run, whose end is waited for."""
    if (other := owner(stage.folder)) is None:
        return False
    who = f"process {other['pid']} on {other['host']}" if other else "another process"
    console.print(f"wait    for {stage.place}, which {who} trains")
    while owner(stage.folder) is not None:
        time.sleep(LOOK)
    return True


def of_signal(code: int, stage: Stage) -> int:
    """The exit code of a run that a signal has ended. Raises UserError where it was a mistake."""
    if 0 < code <= 128:
        error = UserError(f"the run that this one begins with was not trained: {stage.command}")
        error.said = True  # by that process
        raise error
    return code if code > 0 else 128 - code


def run(overrides: list[str]) -> int:
    """`transgan train` in a process of its own, which hears the signals that this one is sent, and ends with it. -> its
    exit code"""
    process = subprocess.Popen(
        [sys.executable, "-m", "transgan", "train", *overrides], env=alone() | {ENDS_WITH: str(os.getpid())},
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
