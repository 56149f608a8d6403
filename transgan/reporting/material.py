"""What is in a run folder, as far as it is there: configuration, numbers, images and checkpoint."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from transgan import files
from transgan.checkpoint import CheckpointError
from transgan.config import from_file
from transgan.errors import UserError, setting_up
from transgan.runs.lock import owner
from transgan.runs.run import Run, opened

Row = dict[str, float]


@dataclass(frozen=True)
class Gap:
    """Why a part of the report is not there, and the command that gives it, if one does."""

    why: str
    command: str = ""


class Material:
    """Reads a run lazily. `given` is the run's folder or checkpoint as the user has named it, for commands.

    which: "best" or "last" checkpoint to make images with. device: where.
    """

    def __init__(self, given: str, which: str = "best", device: str = "cpu") -> None:
        self.given, self.which, self.device = given, which, device
        self.folder = self.folder_of(given)
        self.run: Run | None = None
        self.broken = ""  # why there is no checkpoint to use
        try:
            self.run = opened(given, which, device)
            _ = self.run.facts  # read now
        except (CheckpointError, UserError, OSError) as error:
            self.run, self.broken = None, str(error)

    def load(self) -> None:
        """Makes the module of the checkpoint; where that cannot be, `run` is None and `broken` says why."""
        if self.run is None:
            return
        try:
            with setting_up():
                _ = self.run.module
        except UserError as error:
            self.config = self.run.config
            self.run, self.broken = None, str(error)

    def release(self) -> None:
        """Gives the module's memory back."""
        if self.run is not None:
            vars(self.run).pop("module", None)

    @staticmethod
    def folder_of(given: str) -> Path:
        """The run's folder, of itself or of a checkpoint in it."""
        path = files.expanded(given)
        inside = path.parent.parent if path.parent.name == "checkpoints" else path.parent
        return inside if path.is_file() else path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The checkpoint's configuration, else that of config.yaml; {} where neither can be read."""
        if self.run is not None:
            return self.run.config
        try:
            return cast(dict[str, Any], OmegaConf.to_container(from_file.load(str(self.folder / "config.yaml"))))
        except (UserError, OSError):
            return {}

    @cached_property
    def config_text(self) -> str:
        """config.yaml as it is in the folder, or as the checkpoint has it."""
        try:
            return files.read_text(self.folder / "config.yaml")
        except (OSError, ValueError):
            return OmegaConf.to_yaml(OmegaConf.create(self.config)) if self.config else ""

    @cached_property
    def name(self) -> str:
        """The run's name, or that of its folder where it was moved."""
        name, folder = str(self.config.get("name") or ""), self.folder.resolve()
        return name if name and folder.as_posix().endswith(f"/{name}") else folder.name

    @cached_property
    def moved(self) -> bool:
        """Whether there is nothing any more where its images were."""
        path = (self.config.get("data") or {}).get("path")
        return path is not None and not files.expanded(str(path)).exists()

    @property
    def algorithm(self) -> dict[str, Any]:
        return self.config.get("algorithm") or {}

    @property
    def class_names(self) -> list[str]:
        return self.run.class_names if self.run is not None else []

    @cached_property
    def kimg(self) -> float:
        """Thousands of images shown so far: those of the last checkpoint, or of the last line of statistics."""
        found = [self.stats[-1]["kimg"]] if self.stats else [0.0]
        try:
            found.append(Run(self.folder, "last").kimg)
        except (CheckpointError, OSError):
            found.append(self.run.kimg if self.run is not None else 0.0)
        return max(found)

    @cached_property
    def health(self) -> tuple[str, str, str]:
        """The word on how the training went at the last checkpoint, its reason and its remedy; empty without one."""
        try:
            found = Run(self.folder, "last").facts["health"]
        except (CheckpointError, OSError):
            found = None
        word, reason, remedy = (*(map(str, found or ())), "", "", "")[:3]
        return word, reason, remedy

    @cached_property
    def out_of_patience(self) -> str | None:
        """Why the run has stopped before its length, where that is because it no longer became better."""
        try:
            found = Run(self.folder, "last").facts["out_of_patience"]
        except (CheckpointError, OSError):
            found = None
        return None if found is None else str(found)

    @property
    def planned(self) -> float | None:
        """The length of the run in kimg, where it is known."""
        value = self.config.get("kimg")
        return float(value) if isinstance(value, int | float) else None

    @cached_property
    def owner(self) -> Mapping[str, Any] | None:
        """The process that is training this run now: host, pid and since, as far as they are known."""
        return owner(self.folder)

    @property
    def finished(self) -> bool:
        return self.planned is None or self.kimg >= self.planned

    @cached_property
    def environment(self) -> dict[str, Any]:
        """env.json; {} where it cannot be read."""
        try:
            found = files.read_json(self.folder / "env.json")
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def stats(self) -> list[Row]:
        """The lines of stats.csv, each with its numbers; complete lines alone."""
        header, *lines = files.read_csv(self.folder / "stats.csv") or [[]]
        rows = [numbers(dict(zip(header, line, strict=True))) for line in lines if len(line) == len(header)]
        return [row for row in rows if "kimg" in row]

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl that say what was measured when, and how."""
        found = files.read_json_lines(self.folder / "metrics.jsonl")
        return [
            each
            for each in found
            if isinstance(each.get("kimg"), int | float)
            and isinstance(each.get("metrics"), dict)
            and isinstance(each.get("protocol"), dict)
        ]

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """What `transgan evaluate` and `compare` have written of this run, the newest first."""
        found = []
        for path in sorted((self.folder / "evaluations").glob("*.json"), key=lambda path: -path.stat().st_mtime):
            try:
                content = files.read_json(path)
            except (OSError, ValueError):
                continue
            if isinstance(content, dict) and all(isinstance(content.get(key), dict) for key in ("metrics", "protocol")):
                found.append(content | {"file": path.name})
        return found

    @cached_property
    def grids(self) -> list[tuple[float, Path]]:
        """(kimg, file) of the grids of generated images, in order."""
        found = [(shown(path.stem), path) for path in (self.folder / "samples").glob("*.png")]
        return sorted((kimg, path) for kimg, path in found if kimg is not None)

    @property
    def reals(self) -> Path | None:
        """The grid of real images in the same layout."""
        path = self.folder / "samples" / "reals.png"
        return path if path.is_file() else None


def shown(stem: str) -> float | None:
    """The kimg of a grid's file name: 4.032 of 000004_032; None for other files."""
    found = re.fullmatch(r"(\d{6,})(?:_(\d{3}))?", stem)
    return int(found[1]) + int(found[2] or 0) / 1000 if found else None


def numbers(row: Mapping[str, str]) -> Row:
    """The finite numbers of a line of a CSV."""
    found = {}
    for name, text in row.items():
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            found[name] = value
    return found
