"""A trained run, as every command after training sees it: a checkpoint, its folder, and what is known of them."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import checkpoint, files, provenance
from transgan.at_once import AtOnce
from transgan.callbacks.evaluation import append
from transgan.callbacks.likelihood import Likely, bits_of, spread_over
from transgan.callbacks.patience import sentence
from transgan.errors import UserError
from transgan.runs.lock import owner
from transgan.runs.names import earlier_evaluation_file, evaluation_file
from transgan.sampling import Sampler
from transgan.training.generative import Generative


class Images(Protocol):
    """A data set, as far as a run is measured on it."""

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Any, /) -> tuple[Tensor, Tensor]: ...


class Run:
    """A checkpoint of a run.

    Args:
        place: the run's folder, or a checkpoint's file. which: "best" or "last" of a folder. device: of the module.
        ema: whether the module generates by the EMA weights; False: by those that are trained.

    Raises CheckpointError if there is none.
    """

    def __init__(
        self, place: str | Path, which: str = "best", device: str | torch.device = "cpu", ema: bool = True
    ) -> None:
        self.path = checkpoint.find(place, which)
        self.device, self.ema = device, ema
        self.folder = self.path.parent.parent if self.path.parent.name == "checkpoints" else self.path.parent

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the checkpoint holds beside weights and states."""
        saved = checkpoint.read(self.path)
        states = saved.get("callbacks") or {}
        health = states.get("Health") or {}
        found = {
            key: saved.get(key) for key in ("config", "images_seen", "data", "class_names", "begun_with", "chosen")
        }
        patience = (saved.get("watched_by") or {}).get("patience") or {}
        why = sentence(states.get("Patience"), patience.get("evaluations"))
        return found | {"health": health.get("finding"), "out_of_patience": why}

    @cached_property
    def module(self) -> Generative:
        module = cast(Generative, checkpoint.load(self.path)[0])
        if not self.ema:
            module.ema.load_state_dict(getattr(module, module.networks[0]).state_dict())
        return module.to(self.device)

    @property
    def config(self) -> dict[str, Any]:
        return self.facts["config"]

    @property
    def kimg(self) -> float:
        return self.facts["images_seen"] / 1000

    @property
    def class_names(self) -> list[str]:
        """The names of the classes; their numbers where the checkpoint knows no names, [] without classes."""
        if names := list(self.facts["class_names"] or []):
            return names
        count = self.config["num_classes"] if "num_classes" in self.config else getattr(self.module, "num_classes", 0)
        return [str(i) for i in range(count or 0)]

    @property
    def name(self) -> str:
        return self.config.get("name", self.folder.name)

    @cached_property
    def sha256(self) -> str:
        return files.sha256(self.path)

    @cached_property
    def weights_sha256(self) -> str:
        """Of the weights that make images."""
        return provenance.weights_hash(self.module.ema.state_dict())

    @property
    def has_likelihood(self) -> bool:
        return hasattr(self.module, "bits_per_dim")

    def strength(self, config: DictConfig) -> float:
        """How typical samples are: psi of a GAN, which truncates its styles, the temperature of a model with a
        likelihood. Raises UserError for the key that is for the other kind, and for both where there are no styles."""
        own, other = ("temperature", "psi") if self.has_likelihood else ("psi", "temperature")
        given = [f"{key}={config[key]:g}" for key in ("psi", "temperature") if config[key] != 1]
        if given and not self.has_likelihood and not hasattr(self.module.ema, "mapping"):
            raise UserError(
                f"{', '.join(given)}: {self.path} makes images at once and has no styles to truncate; leave it out"
            )
        if config[other] != 1:
            kind = "has a likelihood and no styles to truncate" if self.has_likelihood else "is a GAN"
            raise UserError(f"{other}={config[other]:g}: {self.path} {kind}; give {own}={config[other]:g}")
        return config[own]

    def sample_by(self, config: DictConfig) -> None:
        """Sets the steps, solver and guidance of a flow that are given. Raises UserError for a run without them."""
        given = {key: config[key] for key in ("steps", "solver", "guidance") if config[key] is not None}
        module: Any = self.module
        if given and not hasattr(module, "sampling"):
            said = ", ".join(f"{key}={value}" for key, value in given.items())
            raise UserError(f"{said}: {self.path} {not_a_flow(module)}; leave it out")
        try:
            if given:
                module.sampling(**given)
        except ValueError as error:
            raise UserError(str(error)) from error

    @property
    def sampler(self) -> dict[str, Any]:
        """How images are made in steps, for protocols; empty where they are made at once."""
        return getattr(self.module, "sampler", {})

    def bits_per_dim(self, images: Images) -> Tensor:
        """Of each of these images, or of as many, evenly spread, as the module's `likelihood_count` says."""
        every = spread_over(len(images), getattr(self.module, "likelihood_count", len(images)))
        return bits_of(cast(Likely, self.module), images, every, AtOnce())

    def untrained(self) -> Generative:
        """The same module with the weights it had before the first step."""
        torch.manual_seed(self.config["seed"])
        return cast(Generative, checkpoint.build(self.config)).eval().to(self.device)

    def evaluation_file(self, protocol: dict[str, Any]) -> Path:
        return evaluation_file(self.folder, self.kimg, self.path, protocol)

    def evaluated(self, protocol: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
        """The file of an evaluation of this very checkpoint by this protocol and seed, and its content, if there is
        one with everything in it."""
        place = self.folder, self.kimg, self.path, protocol
        for path in (evaluation_file(*place), earlier_evaluation_file(*place)):
            if not path.exists():
                continue
            saved = files.read_json(path)
            same = saved.get("checkpoint_sha256") == self.sha256 and saved["protocol"]["seed"] == protocol["seed"]
            if same and "likelihood" in saved:
                return path, saved
        return None

    def write_evaluation(self, everything: dict[str, Any], out: str | None = None) -> Path:
        """Writes all that an evaluation found to a file, and its numbers to metrics.jsonl, if that can be written.
        Returns the file."""
        protocol = everything["protocol"]
        path = files.expanded(out) if out else self.evaluation_file(protocol)
        files.write_json(path, everything | {"checkpoint_sha256": self.sha256})
        if self.writable:
            facts = protocol | {"checkpoint": self.path.name, "flags": sorted(everything["flags"])}
            append(self.folder / "metrics.jsonl", self.kimg, everything["seconds"], everything["metrics"], facts)
        return path

    @property
    def writable(self) -> bool:
        """Whether files of the run's folder can be made and changed."""
        metrics = self.folder / "metrics.jsonl"
        return os.access(metrics if metrics.exists() else self.folder, os.W_OK)


def opened(place: str | Path, which: str = "best", device: str | torch.device = "cpu", ema: bool = True) -> Run:
    """The run at a place, for other processes than the one that trains it, whose lock is lost where that asks."""
    try:
        return Run(place, which, device, ema)
    except checkpoint.NoCheckpoint as error:
        if owner(files.expanded(place)) is None:
            raise
        raise checkpoint.NoCheckpoint(
            f"{place} is being trained and has no checkpoint yet; wait for the first one"
        ) from error


def how_of(module: Any) -> str:
    """How a module makes images, in a few words."""
    try:
        return module.sampler_of_images().how
    except (AttributeError, NotImplementedError):
        return Sampler.how


def not_a_flow(module: Any) -> str:
    """What to say of keys that only a flow has."""
    return f"makes images {how_of(module)}, and this is for a flow"
