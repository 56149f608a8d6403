"""Where images come from: a run's own data with what is kept out of training, and folders or zips as they are."""

import zipfile
from pathlib import Path

from transgan import files
from transgan.data import Folder, Npz, Zip, hold_out
from transgan.errors import UserError
from transgan.instantiation import make


def training_data(config):
    """-> (what is trained on, what is kept out by holdout=, or None) of a run's configuration."""
    dataset = make(config["data"])
    share = config.get("holdout", 0.0)
    return hold_out(dataset, share) if share else (dataset, None)


def is_run(path: str | Path) -> bool:
    """Whether a path means a run folder or a checkpoint, and not images."""
    path = files.expanded(path)
    if path.is_dir():
        return (path / "checkpoints").is_dir() or (path / "config.yaml").is_file()
    return path.suffix.lower() not in (".zip", ".npz")


def pictures(path: str | Path, resolution: int | None = None, channels: int | None = None):
    """The images of a folder, a zip or an npz, as they are unless a resolution is given."""
    path = files.expanded(path)
    if not path.exists():
        raise UserError(f"there is nothing at {path}: give a folder or a zip of images")
    if path.is_file() and path.suffix.lower() == ".npz":
        return Npz(path, resolution, channels)
    if path.is_file() and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is neither a folder nor a zip of images")
    try:
        return (Zip if path.is_file() else Folder)(path, resolution, channels)
    except ValueError as error:             # data.* says nothing about these
        error.ways = {key: way for key, way in getattr(error, "ways", {"": ""}).items() if not key.startswith("data.")}
        error.what = getattr(error, "what", str(error))
        raise
