"""Runs near a folder of images: what it may be compared with, where the user has named nothing."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from transgan.config import from_file
from transgan.errors import UserError
from transgan.runs.images import is_run, training_data
from transgan.runs.proposals import ALONE

ABOVE = 3  # folders above the images, in whose runs/ is looked
MOST = 100  # runs that are looked at


@dataclass(frozen=True)
class Nearby:
    """A run by the path to type and its configuration, which may name images to compare others with."""

    path: str
    config: dict[str, Any]

    @property
    def resolution(self) -> int:
        return int(self.config["resolution"])

    @property
    def channels(self) -> int:
        return int(self.config["channels"])

    def images(self, resolution: int, channels: int | None = None) -> tuple[Any, Any]:
        """-> (the images it was trained on, those it held out, or None), at another resolution, in other channels than
        its own. Raises ValueError or OSError if they are not on this machine."""
        data = self.config["data"] | {"resolution": resolution, "channels": channels or self.channels}
        return training_data({"data": data, "holdout": self.config.get("holdout", 0.0)})

    @property
    def source(self) -> dict[str, Any]:
        """Which images it was trained on, however large and wherever they are held."""
        ignored = ("resolution", "channels", "in_memory")
        own = {key: value for key, value in self.config["data"].items() if key not in ignored}
        return own | {"holdout": self.config.get("holdout", 0.0)}

    @property
    def extractor(self) -> dict[str, Any] | None:
        """The features it is measured by; None where it was not, and they may need weights that are not here."""
        measured = (self.config.get("metrics") or {}).get("extractor")
        own = self.config.get("extractor") or {}
        without_weights = str(own.get("_target_")).rpartition(".")[2] in (*ALONE, "Classifier")
        return measured or (own if without_weights else None)


def run_at(path: str | Path) -> Nearby | None:
    """The run in a folder; None where there is none whose configuration says what it was trained on."""
    file = Path(path) / "config.yaml"
    if not file.is_file():
        return None
    try:
        config: Any = OmegaConf.to_container(from_file.load(str(file)))
    except (UserError, OSError, ValueError):
        return None
    whole = isinstance(config.get("data"), dict) and {"resolution", "channels"} <= set(config)
    return Nearby(str(path), config) if whole else None


def runs_near(images: Path) -> list[Nearby]:
    """The run that the images lie in; else all in runs/ of the current folder and of those above the images."""
    above = list(Path(os.path.abspath(images)).parents)[:ABOVE]
    inside = next((each for each in above if is_run(each)), None)
    if inside is not None and (found := run_at(shown(inside))) is not None:
        return [found]
    return list(each_run([Path.cwd(), *above]))


Opened = tuple[Nearby, tuple[Any, Any]]  # a run, and its images and those it held out


def openable(
    runs: Sequence[Nearby], size: int, channels: int, asked: int | None = None
) -> tuple[Opened | None, Opened | None]:
    """The first two runs that were trained on different images which are on this machine; those of another size than
    `size` px only where there are none of it, and those of other channels after those of these. asked: channels to
    bring them to."""
    found: list[Opened] = []
    known: set[str] = set()
    last: tuple[bool, bool] | None = None
    for run in sorted(runs, key=lambda run: (run.resolution != size, run.channels != channels)):
        kind = run.resolution != size, run.channels != channels
        if found and kind != last:
            break  # what is of another size, or of other colours, is only the last resort
        what = json.dumps([run.source, run.channels, run.extractor], sort_keys=True, default=str)
        if what in known:
            continue
        known.add(what)
        try:
            found.append((run, run.images(size, asked)))
            last = kind
        except (UserError, ValueError, OSError):
            continue
        if len(found) == 2:
            break
    return (*found, None, None)[0], (*found, None, None)[1]


def each_run(folders: list[Path]) -> Iterator[Nearby]:
    """The runs in runs/ of these folders, each once, in order of their names."""
    taken: set[Path] = set()
    for folder in folders:
        try:
            places = sorted((folder / "runs").iterdir())[:MOST]
        except OSError:  # there is none, or it is not ours to read
            continue
        for place in places:
            if place.resolve() not in taken and (found := run_at(shown(place))) is not None:
                taken.add(place.resolve())
                yield found


def shown(path: Path) -> Path:
    """A path as one types it: relative where it is in the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else Path(relative)
