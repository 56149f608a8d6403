"""Hydra's own part of a sweep's configuration: which sweeper and launcher, and where the runs are kept."""

from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan import files
from transgan.config.command_line import CONF
from transgan.errors import UserError, one_line

EXTRAS = {
    "hydra/launcher=joblib": "joblib", "hydra/launcher=submitit_local": "submitit",
    "hydra/launcher=submitit_slurm": "submitit", "hydra/sweeper=optuna": "optuna",
}  # fmt: skip
# Nothing is logged twice, and a run has its config.yaml: no .hydra folder. What a user sets takes the place of these.
QUIET = {
    "hydra/job_logging": "none", "hydra/hydra_logging": "none", "hydra.output_subdir": "null",
    "hydra.job.config.override_dirname.kv_sep": "-", "hydra.job.config.override_dirname.item_sep": "_",
    "hydra.sweep.subdir": "${hydra.job.override_dirname}",
}  # fmt: skip


def loader(arguments: list[str]) -> ConfigLoaderImpl:
    """Hydra's loader of the package's configuration."""
    setup_globals()
    if version.getbase() is None:
        version.setbase("1.3")
    return ConfigLoaderImpl(create_config_search_path(str(CONF)))


def options(found: ConfigLoaderImpl, group: str) -> list[str]:
    """The choices of a group; none if there is no such group."""
    try:
        return found.get_group_options(group)
    except HydraException:
        return []


def hydra_settings(loader: ConfigLoaderImpl, config_name: str, words: list[str]) -> DictConfig:
    """The `hydra` node that these hydra.* arguments make. Raises UserError."""
    given = {word.partition("=")[0].lstrip("+") for word in words}
    defaults = [f"{key}={value}" for key, value in QUIET.items() if key not in given]
    try:
        config = loader.load_configuration(config_name, [*defaults, *words], RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException) as error:
        missing = [word for word in words if word in EXTRAS and word.partition("=")[2] in str(error)]
        if missing:
            raise UserError(
                *(f'{word} is not installed here; pip install "transgan[{EXTRAS[word]}]"' for word in missing)
            ) from error
        raise UserError(f"{', '.join(words)}: {one_line(error)}") from error
    return config


def place_of(config: DictConfig, named: bool) -> Path:
    """The sweep's folder, which is also set as hydra.sweep.dir. Raises UserError if it is a run's.

    config: a job's keys beside `hydra`. named: whether the user has named the sweep by name=.
    """
    if "multirun/" in str(OmegaConf.to_container(config.hydra.sweep, resolve=False)["dir"]):  # Hydra's own default
        with flag_override(config.hydra, ["struct", "readonly"], False):
            config.hydra.sweep.dir = "${runs}/${name}" if named else "${runs}/${name}-sweep"
    try:
        place = files.expanded(str(config.hydra.sweep.dir))
    except OmegaConfBaseException as error:
        raise UserError(f"hydra.sweep.dir: {one_line(error)}") from error
    if (place / "checkpoints").exists():
        raise UserError(f"{place} is a run, not a sweep; give the sweep another name=NAME, which is its folder")
    return place


def parameters(settings: DictConfig) -> list[str]:
    """Takes the swept arguments out of hydra.sweeper.params, which sweepers would add to those of the command line."""
    found: Any = settings.sweeper.get("params")
    if not found:
        return []
    words = [f"{key}={value}" for key, value in OmegaConf.to_container(found, resolve=True).items()]
    with flag_override(settings, ["struct", "readonly"], False):
        settings.sweeper.params = {} if is_basic(settings) else None
    return words


def is_basic(settings: DictConfig) -> bool:
    return str(settings.sweeper._target_).endswith(".BasicSweeper")


def is_optuna(settings: DictConfig) -> bool:
    return str(settings.sweeper._target_).endswith(".OptunaSweeper")


def launcher_of(settings: DictConfig) -> str:
    """basic, joblib, submitit_local, submitit_slurm, or the class of another."""
    target = str(settings.launcher._target_).rpartition(".")[2]
    names = {
        "BasicLauncher": "basic", "JoblibLauncher": "joblib", "LocalLauncher": "submitit_local",
        "SlurmLauncher": "submitit_slurm",
    }  # fmt: skip
    return names.get(target, target)
