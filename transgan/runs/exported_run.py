"""What `transgan export` has written, or somebody has put on the Hub, as `transgan sample` sees a run."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from transgan import exported, files
from transgan.errors import UserError
from transgan.ode import check
from transgan.runs.run import Run, not_a_flow, opened
from transgan.sampling import FlowSampler, LatentSampler, Sampler


class Made:
    """A sampler with what commands ask of a module besides."""

    def __init__(self, sampler: Sampler) -> None:
        self.made_by: Any = sampler

    def __getattr__(self, name: str) -> Any:
        if name == "made_by":  # before there is one
            raise AttributeError(name)
        return getattr(self.made_by, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "made_by":
            super().__setattr__(name, value)
        else:
            setattr(self.made_by, name, value)

    @property
    def ema(self) -> Any:
        return self.made_by.network

    def sampler_of_images(self) -> Sampler:
        return self.made_by


class ExportedRun(Run):
    """An exported file in the place of a run's checkpoint.

    Args:
        place: a safetensors file, a folder with one, or hf://USER/NAME. device: of the network.

    Raises ExportError if there is none.
    """

    def __init__(self, place: str | Path, device: str | torch.device = "cpu") -> None:
        self.path, self.device, self.ema = exported.find(place), device, True
        address = str(place).partition("@")[0]
        remote = address.startswith(exported.HUB)  # what is made of it goes to a folder of its name
        self.folder = Path(address.rpartition("/")[2]) if remote else self.path.parent

    @cached_property
    def sampler_of_file(self) -> Sampler:
        return exported.load(self.path).to(self.device)

    @cached_property
    def facts(self) -> dict[str, Any]:
        own = self.sampler_of_file.facts
        config = {key: own.get(key) for key in ("resolution", "channels")} | {"name": own.get("run") or self.path.stem}
        return {
            "config": config, "images_seen": 1000 * float(own.get("kimg") or 0), "data": None,
            "class_names": own.get("class_names"), "health": None,
        }  # fmt: skip

    @cached_property
    def module(self) -> Any:
        return Made(self.sampler_of_file)

    @property
    def has_likelihood(self) -> bool:
        return not isinstance(self.sampler_of_file, LatentSampler)

    def sample_by(self, config: Any) -> None:
        """Sets the steps and the solver of a flow. Raises UserError for what there is not."""
        given = {key: config[key] for key in ("steps", "solver", "guidance") if config[key] is not None}
        if not given:
            return
        said, sampler = ", ".join(f"{key}={value}" for key, value in given.items()), self.sampler_of_file
        if not isinstance(sampler, FlowSampler):
            raise UserError(f"{said}: {self.path} {not_a_flow(self.module)}; leave it out")
        if "guidance" in given:
            raise UserError(f"{said}: an exported flow keeps the guidance it was exported with; leave guidance out")
        try:
            check(given.get("steps", sampler.steps), given.get("solver", sampler.solver))
        except ValueError as error:
            raise UserError(str(error)) from error
        for key, value in given.items():
            setattr(sampler, key, value)

    @property
    def sampler(self) -> dict[str, Any]:
        return getattr(self.sampler_of_file, "protocol", {})


def run_at(place: str | Path, which: str = "best", device: str | torch.device = "cpu") -> Run:
    """The run, checkpoint or exported file at a place. Raises CheckpointError or ExportError."""
    if exported.is_exported(place) and not (files.expanded(place) / "checkpoints").is_dir():
        return ExportedRun(place, device)
    return opened(place, which, device)
