"""Train, evaluate and sample from Python, with the keys of the commands.

    import transgan

    run = transgan.train("~/pictures", kimg=100, generator="vitgan", **{"algorithm.gamma": 1})
    run.metrics                                        # {"fd_inception": 17.3, ...}
    transgan.evaluate(run, metrics="paper")            # the same as a dict, with .protocol
    images = transgan.sample(run, seeds=range(8))      # uint8, N x C x H x W
    transgan.sample(run, to="grid", out="grid.png")    # the path
    transgan.project(run, "cat.jpg")                   # the nearest image to a photo; the folder
    transgan.report(run)                               # one HTML file; the path
    transgan.export(run, to="onnx")                    # the generator for other programs; the path

A key of the command line is an argument: `name="cats"`, and with a dot `**{"algorithm.gamma": 1}` or
`algorithm={"gamma": 1}`. A mistake is a UserError, whose message is what the command would print; nothing exits. What a
command changes in its process (signal handlers, logging, the random state, the number of threads) is as it was when a
function returns.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transgan import files
from transgan.config.command_line import quoted
from transgan.config.flags import SOURCES
from transgan.errors import OFFERED, UserError

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig
    from pytorch_lightning import LightningModule


@dataclass(frozen=True)
class TrainedRun:
    """A run on disk."""

    folder: Path

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of every metric that was measured in training or by `evaluate`."""
        found: dict[str, float] = {}
        for line in files.read_json_lines(self.folder / "metrics.jsonl"):
            found |= {name: float(value) for name, value in line["metrics"].items() if value is not None}
        return found

    @cached_property
    def module(self) -> "LightningModule":
        """The trained module, of the best checkpoint if there is one; `module.generate(seeds)` makes images."""
        from transgan import checkpoint

        return checkpoint.load(checkpoint.find(self.folder))[0]

    def __fspath__(self) -> str:
        return str(self.folder)


class Evaluation(dict[str, float]):
    """The value of every metric by its name, and how it was measured."""

    def __init__(self, everything: dict[str, Any]):
        super().__init__(everything["metrics"])
        self.protocol: dict[str, Any] = everything["protocol"]
        self.protocol_line: str = everything["protocol_line"]
        self.spread: dict[str, Any] = everything["spread"]
        self.bounds: dict[str, Any] = everything["bounds"]
        self.details: dict[str, Any] = everything["details"]
        self.flags: dict[str, str] = everything["flags"]


def train(images: "str | os.PathLike[str] | None" = None, /, **keys: Any) -> TrainedRun:
    """Trains, or continues, the run that these keys describe, as `transgan train` does.

    images: a folder or a zip; without it, what data= says, which is the digits of scikit-learn.

    >>> run = train(kimg=1, name="first", trainer="cpu")        # doctest: +SKIP
    >>> run.folder                                              # doctest: +SKIP
    PosixPath('runs/first')

    Raises UserError for a mistake, KeyboardInterrupt if Ctrl-C has stopped it; the same call continues.
    """
    places = [] if images is None else [os.path.abspath(os.path.expanduser(images))]
    with composed("train", [*places, *overrides(keys)]) as (config, arguments):
        from transgan.commands.train import main

        code = main(config, arguments)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise UserError(f"training was stopped by signal {code - 128}; the same call continues")
    return TrainedRun(files.expanded(config.runs) / config.name)


def evaluate(run: "str | os.PathLike[str]", /, **keys: Any) -> Evaluation:
    """Measures a run, a checkpoint, or any program's images, as `transgan evaluate` does.

    >>> evaluate("runs/first", metrics="fast")["fd_classifier"]         # doctest: +SKIP
    3.21
    """
    with composed("evaluate", overrides({"run": os.fspath(run)} | keys)) as (config, arguments):
        from transgan.commands.evaluate import evaluate as measure

        found = measure(config, arguments)
    return Evaluation(found or NOT_THE_FIRST)


def sample(run: "str | os.PathLike[str]", /, **keys: Any) -> "torch.Tensor | Path":
    """Images of a run by seed, as `transgan sample` makes them: uint8, N x C x H x W.

    With out= or like= they are written instead, as to= says, and the path is returned.

    >>> sample("runs/first", seeds=range(8), psi=0.7).shape             # doctest: +SKIP
    torch.Size([8, 1, 8, 8])
    """
    with composed("sample", overrides({"run": os.fspath(run)} | keys)) as (config, _):
        from transgan.commands.sample import check, draw, of_latent
        from transgan.commands.sample import sample as write
        from transgan.errors import setting_up

        with setting_up():
            if config.out is not None or config.like is not None:
                return write(config)[1]
            if config.latent is not None:
                return of_latent(config).images
            check(config)
            return draw(config).images


def project(run: "str | os.PathLike[str]", photo: "str | os.PathLike[str]", /, **keys: Any) -> Path:
    """Finds the nearest image to a photo and its latent, as `transgan project` does -> the folder of what was written.

    >>> project("runs/first", "three.png")                              # doctest: +SKIP
    PosixPath('runs/first/projections/three-1.024kimg')
    """
    with composed("project", overrides({"run": os.fspath(run), "photo": os.fspath(photo)} | keys)) as (config, _):
        from transgan.commands.project import project as write

        return write(config)


def report(*runs: "str | os.PathLike[str]", **keys: Any) -> Path:
    """Writes one HTML file about a run, or about several beside each other, as `transgan report` does -> the file.

    >>> report("runs/first", "runs/second", out="both.html")            # doctest: +SKIP
    PosixPath('both.html')
    """
    places = [f"run={os.fspath(run)}" for run in runs]
    with composed("report", [*places, *overrides(keys)]) as (config, _):
        from transgan.commands.report import report as write

        return write(config)


def export(run: "str | os.PathLike[str]", /, **keys: Any) -> Path:
    """Writes the generator of a run for other programs, as `transgan export` does -> the file or folder.

    >>> export("runs/first", to="onnx", out="first.onnx")               # doctest: +SKIP
    PosixPath('first.onnx')
    """
    with composed("export", overrides({"run": os.fspath(run)} | keys)) as (config, _):
        from transgan.commands.export import export as write

        return write(config)


NOT_THE_FIRST: dict[str, Any] = dict.fromkeys(("metrics", "protocol", "spread", "bounds", "details", "flags"), {}) | {
    "protocol_line": ""
}  # what processes other than the first return


@contextlib.contextmanager
def composed(command: str, arguments: list[str]) -> "Iterator[tuple[DictConfig, list[str]]]":
    """The configuration of a command, while the process is as a command wants it; afterwards it is as before."""
    from transgan.config import own
    from transgan.config.compose import compose, keys_of

    with own.allowed(arguments):
        config = compose(command, arguments)
        token = OFFERED.set(frozenset(keys_of(config)))
        try:
            with undone():
                yield config, arguments
        finally:
            OFFERED.reset(token)


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Takes back what commands change in their process: logging, warnings, random states and the number of threads."""
    import torch

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loggers = {name: logging.getLogger(name).level for name in ("pytorch_lightning", "lightning.fabric")}
    threads, showwarning = torch.get_num_threads(), warnings.showwarning
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=devices):
            try:
                yield
            finally:  # while showwarning is logging's still, or logging would never take warnings again
                if warnings.showwarning is not showwarning:
                    logging.captureWarnings(False)
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers, root.level = handlers, level
        for name, before in loggers.items():
            logging.getLogger(name).setLevel(before)
        torch.set_num_threads(threads)


def overrides(keys: Mapping[str, Any], place: str = "") -> list[str]:
    """Python's arguments as those of the command line."""
    found: list[str] = []
    for name, value in keys.items():
        key = place + (name.removesuffix("_") if not place else name)  # class_ is the key class
        if isinstance(value, Mapping) and "_target_" not in value:
            found += overrides(value, f"{key}.")
        elif key in SOURCES.values():  # config_dir=
            found.append(f"--{key.replace('_', '-')}={os.fspath(value)}")
        elif key == "seeds" and not isinstance(value, str | int):
            found.append(f"seeds={','.join(map(str, value))}")
        else:
            found.append(f"{key}={word(value, inside=False)}")
    return found


def word(value: Any, inside: bool = True) -> str:
    """A value as it is typed; `inside` a list or a mapping, texts stand between quotation marks."""
    if hasattr(value, "item") and not isinstance(value, Mapping) and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a number of NumPy or torch
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str | os.PathLike):
        return quoted(os.fspath(value)) if inside else os.fspath(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {word(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(word, value)) + "]"
    return str(value)
