"""Where images come from: a run's own data with its held-out part, and folders or zips as they are."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from transgan import files
from transgan.data import Folder, Npz, Zip, hold_out
from transgan.data.own import refusal
from transgan.errors import UserError
from transgan.instantiation import make


def training_data(config: Mapping[str, Any] | DictConfig) -> tuple[Any, Any]:
    """-> (the images to train on, those held out by holdout=, or None) of a run's configuration."""
    dataset = make(config["data"])
    share = config.get("holdout", 0.0)
    return hold_out(dataset, share) if share else (dataset, None)


def is_run(path: str | Path) -> bool:
    """Whether a path means a run folder or a checkpoint, and not images."""
    path = files.expanded(path)
    if path.is_dir():
        return (path / "checkpoints").is_dir() or (path / "config.yaml").is_file()
    return path.suffix.lower() not in (".zip", ".npz")


def images_at(
    path: str | Path, resolution: int | None = None, channels: int | None = None, key: str = "", like: Any = None
) -> Npz | Zip | Folder:
    """The images of a folder, a zip or an npz, as they are unless a resolution is given.

    key: the option that names them, such as against. like: a data set; what is white in its files is white here.
    """
    path, said = files.expanded(path), f"{key}={path}: " if key else ""
    if not path.exists():
        raise UserError(f"{said}there is nothing at {path}: give a folder or a zip of images")
    if path.is_file() and path.suffix.lower() == ".npz":
        return Npz(path, resolution, channels)
    if wrong := refusal(path):
        raise UserError(f"{said}{wrong}")
    if path.is_file() and not zipfile.is_zipfile(path):
        raise UserError(f"{said}{path} is neither a folder nor a zip of images")
    try:
        return (Zip if path.is_file() else Folder)(path, resolution, channels, white=getattr(like, "levels", None))
    except ValueError as error:  # data.* says nothing about these
        if "data.white=" in str(error):
            kind = "zip" if path.is_file() else "folder"
            way = (
                f"give data={kind} data.path={path} with it in the place of against="
                if key == "against"
                else (f"data.white= is for images that are named by data.path=, so save those in {path} with 8 bits")
            )
            raise UserError(f"{said}{error}; {way}") from error
        ways = {key: way for key, way in getattr(error, "ways", {"": ""}).items() if not key.startswith("data.")}
        vars(error).update(ways=ways, what=getattr(error, "what", str(error)))
        raise
