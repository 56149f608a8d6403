"""The folder of a run, its description and its log; and the console of a command."""

import logging
import platform
import shutil
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import IO, cast

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from transgan import __version__, files
from transgan.config.from_file import OPEN
from transgan.errors import UserError
from transgan.instantiation import escaped
from transgan.runs.output import bearing


def folder_of(config: DictConfig) -> Path:
    """Where a run is kept."""
    return files.expanded(config.runs) / config.name


def hush() -> None:
    """Silences messages of libraries that mean nothing to the user."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in (
        ".*in eval mode at the start of training.*", ".*does not have many workers.*", ".*GPU available but not used.*",
        ".*ModelCheckpoint.*", ".*Checkpoint directory.*", ".*infer the `batch_size`.*", ".*max_epochs.*",
        ".*find_unused_parameters=True was specified.*", ".*sync_dist.*", ".*mmap.*",
    ):  # fmt: skip
        warnings.filterwarnings("ignore", message=message)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [logging.NullHandler()]


def open_console(speaks: bool = True) -> Console:
    """The console of a command; our own warnings go to standard error. Of several processes one `speaks`."""
    hush()
    root = logging.getLogger()
    if speaks:
        root.addHandler(shown := logging.StreamHandler(sys.stderr))
        shown.setFormatter(logging.Formatter("%(message)s"))
        shown.addFilter(lambda record: record.name.startswith("transgan"))
    return Console(
        file=cast(IO[str], bearing(sys.stdout)),
        quiet=not speaks,
        width=None if sys.stdout and sys.stdout.isatty() else 200,
        soft_wrap=True,
        highlight=False,
        markup=False,  # a path may hold [brackets]
        emoji=False,
        force_jupyter=False,  # a notebook shows it as text
        force_terminal=False if "ipykernel" in sys.modules else None,  # and calls itself a terminal
    )


def say_version(console: Console, config: DictConfig) -> None:
    console.print(f"transgan {__version__} · torch {torch.__version__} · run {config.runs}/{config.name}")


def keep_log(path: Path) -> None:
    """From now on everything that is logged goes to this file too."""
    kept = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(kept)


def prepare(folder: Path) -> None:
    """Makes the folders of a run. Raises UserError."""
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        found = f"{error.filename} is a file, where a run folder should be; give another name= or runs="
        raise UserError(found) from error
    except NotADirectoryError as error:
        raise UserError(f"{error.filename}: a part of this path is a file; give another runs=") from error


def require_space(folder: Path, state_bytes: int) -> None:
    """Refuses to begin where two checkpoints and the one being written do not fit."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    need, free = 3 * state_bytes, shutil.disk_usage(there).free
    if free < need:
        raise UserError(
            f"{folder}: its disk has {free / 2**20:.1f} MiB free and the checkpoints of this run need "
            f"{need / 2**20:.1f} MiB; free some space there, or keep runs elsewhere with runs=PATH"
        )


def describe_machine(arguments: list[str], command: str = "train") -> dict:
    """What env.json holds."""
    packages = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "torch-fidelity", "hydra-core", "numpy")
    return {
        "command": ["transgan", command, *arguments],
        "transgan": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in packages},
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def write_description(folder: Path, config: dict, arguments: list[str], command: str = "train") -> None:
    """config.yaml, which holds what was chosen and leaves nothing to be chosen, and env.json."""
    whole = config | {key: value for key, value in OPEN.items() if key in config}
    files.write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(escaped(whole))))
    files.write_json(folder / "env.json", describe_machine(arguments, command), indent=2)
