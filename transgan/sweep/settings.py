"""Hydra's own part of a sweep's configuration: which sweeper and launcher, and where the runs are kept."""

import difflib
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan import files
from transgan.config import hydra_node, search
from transgan.config.command_line import read, split
from transgan.errors import UserError, one_line

EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "optuna": "optuna"}
# A run has its own log.txt, and what Hydra would log is said in other words.
QUIET = {"hydra/job_logging": "none", "hydra/hydra_logging": "none"}
DEFAULT = "${runs}/${name}-sweep"  # as conf/train.yaml has it
LAUNCHERS = {
    "BasicLauncher": "basic", "JoblibLauncher": "joblib", "LocalLauncher": "submitit_local",
    "SlurmLauncher": "submitit_slurm",
}  # fmt: skip


def with_hydra(command: str, config: DictConfig, arguments: list[str], hydra: list[str]) -> DictConfig:
    """A job's configuration with Hydra's settings for a sweep in it, as these hydra.* words have them.

    Raises UserError.
    """
    words = {read(word).key: word for word in hydra}
    if missing := list(not_installed(arguments, words)):
        raise UserError(*missing)
    defaults = [f"{key}={value}" for key, value in QUIET.items() if key not in words]
    arguments = [*arguments, *defaults, *hydra]
    return hydra_node.attached(command, config, split(command, arguments, []), arguments, RunMode.MULTIRUN)


def not_installed(arguments: list[str], words: dict[str, str]) -> list[str]:
    """A sentence for every launcher and sweeper that is not there."""
    found, loader = [], search.loader(arguments)
    for group in ("hydra/launcher", "hydra/sweeper"):
        name = read(words[group]).value if group in words else None
        if name is None or name in (there := loader.get_group_options(group)):
            continue
        if name in EXTRAS:
            found.append(f'{group}={name} is not installed here: pip install "transgan[{EXTRAS[name]}]"')
        else:
            near = difflib.get_close_matches(name, [*there, *EXTRAS], 1)
            hint = f"did you mean {near[0]}? " if near else ""
            found.append(f"{group}={name}: there is no such {group}; {hint}There are: {', '.join(there)}")
    return found


def place_of(config: DictConfig, named: bool) -> Path:
    """The sweep's folder: hydra.sweep.dir, where that is not set runs/NAME. Raises UserError if it is a run's.

    config: a job's keys beside `hydra`. named: whether the user has named the sweep by name=.
    """
    raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    if named and isinstance(raw, dict) and raw["dir"] == DEFAULT:
        with flag_override(config.hydra, ["struct", "readonly"], [False, False]):
            config.hydra.sweep.dir = "${runs}/${name}"
    try:
        place = files.expanded(str(config.hydra.sweep.dir))
    except OmegaConfBaseException as error:
        raise UserError(f"hydra.sweep.dir: {one_line(error)}") from error
    if (place / "checkpoints").exists():
        raise UserError(f"{place} is a run and no sweep; give the sweep another name=NAME, which is its folder")
    return place


def parameters(config: DictConfig) -> list[str]:
    """Takes the swept arguments out of hydra.sweeper.params, which sweepers would add to those of the command line."""
    found: Any = config.hydra.sweeper.get("params")
    if not found:
        return []
    words = [f"{key}={value}" for key, value in found.items()]
    with flag_override(config.hydra, ["struct", "readonly"], [False, False]):
        config.hydra.sweeper.params = {} if is_basic(config.hydra) else None
    return words


def is_basic(settings: DictConfig) -> bool:
    return str(settings.sweeper._target_).endswith(".BasicSweeper")


def is_optuna(settings: DictConfig) -> bool:
    return str(settings.sweeper._target_).endswith(".OptunaSweeper")


def launcher_of(settings: DictConfig) -> str:
    """basic, joblib, submitit_local, submitit_slurm, or the class of another."""
    target = str(settings.launcher._target_).rpartition(".")[2]
    return LAUNCHERS.get(target, target)
