"""Checkpoints: complete or absent on disk, loaded without running code, with the configuration inside."""

import errno
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from pytorch_lightning import LightningModule
from pytorch_lightning.plugins.io import TorchCheckpointIO

from transgan import files, instantiation, migration, trust

EXPORTS = (".safetensors", ".onnx", ".pt2", ".html")  # what transgan export writes


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another architecture; the message says the way out."""


class NoCheckpoint(CheckpointError):
    """A run folder in which there is none."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file and renames it, so that a checkpoint under its name is always complete."""

    def save_checkpoint(self, checkpoint: dict, path: str | os.PathLike, storage_options: Any = None) -> None:
        with files.replacing(path) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: Any, map_location: Any = lambda storage, location: storage, weights_only: bool | None = None
    ) -> dict:
        """Runs no code from the file, whatever the environment variables of Lightning and torch say."""
        return migration.checkpoint(super().load_checkpoint(path, map_location, weights_only=True))


def find(run: str | Path, which: str = "best") -> Path:
    """The checkpoint file meant by a run folder (its `which`, "best" or "last", else the other) or by a file's path.

    Of a folder that another program made, such as a ModelCheckpoint's, it is the only .ckpt file in it or in its
    `checkpoints`. Raises CheckpointError when there is none.
    """
    run = files.expanded(run)
    if run.is_file():
        return run
    if not run.exists():
        raise CheckpointError(f"there is no run folder or checkpoint at {run}; `ls runs` shows the runs there are")
    names = {"best": ("best", "last"), "last": ("last",)}.get(which)
    if names is None:
        raise CheckpointError(f"checkpoint must be best or last, not {which!r}; a file's path goes into run=")
    for name in names:
        if (path := run / "checkpoints" / f"{name}.ckpt").is_file():
            return path
    found = sorted(run.glob("*.ckpt")) or [path for path in sorted(run.glob("checkpoints/*.ckpt")) if which == "best"]
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(
            f"{run} holds {len(found)} checkpoints and none is best.ckpt or last.ckpt; give the path of one, such as "
            f"{found[-1]}"
        )
    raise NoCheckpoint(f"{run} holds no checkpoints/{names[-1]}.ckpt; train it first, or give another run=")


def read(path: str | Path, given: Collection[str] = (), cls: type | None = None) -> dict:
    """The checkpoint at `path`, on the CPU, under today's names, with a configuration that may be built.

    One of a user's own Trainer has a configuration with nothing but an algorithm. Left out of that are arguments that
    are `given`, and the name of its class where it is that of `cls`, which is at hand.
    Raises CheckpointError if it is damaged, not one of ours, or would run what is not trusted.
    """
    if Path(path).suffix in EXPORTS:
        raise CheckpointError(
            f"{path} is an export, which holds no more of a run than makes images; give the run that it was made from "
            "(transgan sample and project take a .safetensors, too)"
        )
    checkpoint = migration.checkpoint(opened(path))
    if isinstance(checkpoint, dict) and "config" not in checkpoint and "algorithm" in checkpoint:
        checkpoint = checkpoint | {"config": {"algorithm": checkpoint["algorithm"]}}
    missing = {"state_dict", "config", "images_seen"} - set(checkpoint) if isinstance(checkpoint, dict) else {"all"}
    if missing:
        raise CheckpointError(f"{path} is not a checkpoint of transgan: it lacks {', '.join(sorted(missing))}")
    if checkpoint.get("format", 1) > migration.FORMAT:
        raise CheckpointError(f"{path} was written by a newer version of transgan; update it: pip install -U transgan")
    config = checkpoint["config"]
    if not isinstance(config, dict) or not isinstance(config.get("algorithm"), dict):
        raise CheckpointError(f"{path} is not a checkpoint of transgan: its configuration has no algorithm")
    algorithm = {key: value for key, value in config["algorithm"].items() if key not in given}
    if cls is not None and str(algorithm.get("_target_")).split(".")[-1] == cls.__name__:
        del algorithm["_target_"]
    if algorithm != config["algorithm"]:
        config = checkpoint["config"] = {"algorithm": algorithm}
    try:
        require_trusted(config, f"{path}: the checkpoint")
    except CheckpointError as error:
        raise CheckpointError(f"{error}, or use {call_that_loads(algorithm)}") from error
    return checkpoint


def call_that_loads(algorithm: dict) -> str:
    """The call that loads a checkpoint without the classes in it that are not trusted."""
    parts = []
    for key, value in algorithm.items():
        try:
            trust.require({key: value} if key != "_target_" else None, "")
        except trust.Untrusted:
            parts.append(f", {key}=...")
    return f"{str(algorithm.get('_target_', 'cls')).split('.')[-1]}.load_from_checkpoint(path{''.join(parts)})"


def opened(path: str | Path) -> Any:
    """The content of the file. Raises CheckpointError if it cannot be read."""
    try:
        return load_file(path)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... depending on where it breaks
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: the file is cut short
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
        if found := re.search(r"GLOBAL (\S+) was not an allowed global", str(error)):
            raise CheckpointError(
                f"{path} holds an object of {found[1]}, and only tensors and plain containers are loaded from a "
                "checkpoint; save it without that (a callback's state, or hyperparameters)"
            ) from error
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint (it has {Path(path).stat().st_size:,} bytes); "
            "restore it from a copy, or remove it and use another"
        ) from error


def load_file(path: str | Path) -> dict:
    """What torch has saved, without running code from it; where possible, tensors are read when they are used."""
    if files.is_utf8(path):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with open(path, "rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def build(config: dict) -> LightningModule:
    """The Lightning module that a resolved configuration describes, initialised. Raises ValueError for others."""
    module = instantiation.build(config["algorithm"])
    if not isinstance(module, LightningModule):
        raise CheckpointError(
            f"algorithm: {config['algorithm']['_target_']} cannot be trained; give "
            "algorithm=gan or another that transgan train --help lists"
        )
    return module


def without_weights(config: dict) -> dict:
    """The configuration without published weights to initialise from, since a checkpoint replaces them."""
    algorithm = dict(config["algorithm"])
    for key, part in algorithm.items():
        if isinstance(part, dict) and "pretrained" in part:
            algorithm[key] = part | {"pretrained": False}
    return config | {"algorithm": algorithm}


def require_trusted(config: dict, source: str = "the checkpoint") -> None:
    """Refuses a configuration that could run anything else than trust.py allows. Raises CheckpointError."""
    try:
        trust.require(config, source)
    except trust.Untrusted as error:
        raise CheckpointError(str(error)) from error


def load(path: str | Path) -> tuple[LightningModule, dict]:
    """The trained module in eval mode on the CPU, and its checkpoint (with "config" and "images_seen")."""
    checkpoint = read(path)
    module = rebuild(path, without_weights(checkpoint["config"])["algorithm"], {}, LightningModule)
    load_weights(module, checkpoint, path)
    module.images_seen = checkpoint["images_seen"]
    return module.eval(), checkpoint


def rebuild(path: str | Path, algorithm: dict, parts: dict[str, Any], cls: type[LightningModule]) -> LightningModule:
    """The module that a checkpoint's algorithm describes, initialised, given some of its arguments.

    It is of `cls` where the algorithm names no class. Raises CheckpointError with the way out where none can be built.
    """
    name = str(algorithm.get("_target_", cls.__name__)).split(".")[-1]
    try:
        if "_target_" not in algorithm:
            return cls(**instantiation.arguments(algorithm), **parts)
        return instantiation.make(algorithm, **parts) if parts else build({"algorithm": algorithm})
    except (InstantiationException, instantiation.Misfit, TypeError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        if lacking := re.search(r"missing \d+ required .*?arguments?: (.*)", reason):
            raise lacks(path, re.findall(r"'(\w+)'", lacking[1]), name) from error
        raise CheckpointError(
            f"{path} was written by another version of transgan and cannot be built by this one ({reason}); "
            "use the version it was written by, which env.json beside it names"
        ) from error


def lacks(path: str | Path, names: list[str], cls: str) -> CheckpointError:
    """What to say of a checkpoint that does not hold how parts of its module were built."""
    return CheckpointError(
        f"{path} does not say how its {' and '.join(names)} was built; give what was trained: "
        f"{cls}.load_from_checkpoint(path, {', '.join(f'{name}=...' for name in names)})"
    )


def load_weights(module: LightningModule, checkpoint: dict, path: str | Path) -> None:
    """Copies all weights into `module`. Raises CheckpointError with every difference if they do not match."""
    require_fitting(module, checkpoint, path)
    module.load_state_dict(checkpoint["state_dict"])


def require_fitting(module: LightningModule, checkpoint: dict, path: str | Path) -> None:
    """Raises CheckpointError with every difference between the weights of `module` and those of a checkpoint."""
    ours = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
    both = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    found = [f"{n} is {theirs[n]} in the checkpoint and {ours[n]} in the network" for n in both]
    found += [f"{n} is only in the network" for n in ours if n not in theirs]
    found += [f"{n} is only in the checkpoint" for n in theirs if n not in ours]
    if found:
        more = f" and {len(found) - 6} more" if len(found) > 6 else ""
        raise CheckpointError(
            f"the weights in {path} are of another architecture: {'; '.join(found[:6])}{more}; "
            "use the generator and discriminator settings it was trained with"
        )
