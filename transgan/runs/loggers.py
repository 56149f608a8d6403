"""The logger that a configuration asks for: whether it can be had here, and how it is opened."""

import importlib.util
import sys
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Trainer
from rich.console import Console

from transgan import files
from transgan.callbacks import Session
from transgan.errors import UserError, one_line
from transgan.instantiation import container, make
from transgan.runs.resuming import Rules, leaves

PACKAGES = {  # of the extras of the same names, by the class that needs them
    "Wandb": "wandb", "WandbLogger": "wandb", "MLflow": "mlflow", "MLFlowLogger": "mlflow", "Trackio": "trackio",
}  # fmt: skip


def require_package(config: DictConfig) -> None:
    """Refuses a logger whose package is not installed. Raises UserError."""
    package = PACKAGES.get(target_of(config).rpartition(".")[2])
    if package and package not in sys.modules and importlib.util.find_spec(package) is None:
        raise UserError(f"logger={package}: the package {package} is not installed; pip install 'transgan[{package}]'")


def logger_findings(config: DictConfig) -> list[str]:
    """Why the logger cannot write where this run is: TensorBoard's library encodes every path in UTF-8."""
    folder = str((config.get("logger") or {}).get("save_dir", ""))
    if files.is_utf8(folder) or not target_of(config).endswith("TensorBoardLogger"):
        return []
    return [
        f"logger=tensorboard: TensorBoard writes only to folders whose names are UTF-8, and {folder} is not here; "
        "give another name= or runs=, or logger=none"
    ]


def target_of(config: DictConfig) -> str:
    return str((config.get("logger") or {}).get("_target_"))


def open_logger(config: DictConfig, trainer: Trainer, session: Session, console: Console) -> None:
    """Gives the Trainer its logger, opened, so that what is wrong with it is refused here and not amid a run; says
    where it writes; and logs the configuration. Raises ValueError."""
    try:
        if config.get("logger"):
            trainer.logger = make(config.logger)
        for logger in trainer.loggers:
            _ = getattr(logger, "experiment", None)
            if trainer.is_global_zero and (where := getattr(logger, "where", None)):
                console.print(f"logger  {where}")
    except TypeError as error:
        raise ValueError(f"logger: {one_line(error)}; leave that out") from error
    except Exception as error:  # of trackers, and of their networks
        if isinstance(error, ValueError) or isinstance(error, OSError) and error.strerror:
            raise  # it says what is wrong itself
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"logger: it cannot be opened ({reason}); mend that, or give logger=none") from error
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            session.failures.call(logger, logger.log_hyperparams, hyperparameters(container(config)))


def hyperparameters(config: dict[str, Any]) -> dict[str, Any]:
    """What a run is made of, by the keys of its command line: each key once, without how it is watched."""
    rules, every = Rules.read(), leaves(config)

    def is_copy(key: str) -> bool:
        tail = key.partition(".")[2]  # loss.x of algorithm.loss.x
        return rules.is_repeated(key, every) or "." in tail and tail in every and every[tail] == every[key]

    watching = ("callbacks", "logger", "hydra")
    return {key: value for key, value in every.items() if key.partition(".")[0] not in watching and not is_copy(key)}
