"""What is wrong with a configuration of `transgan train`, said before anything heavy begins."""

from omegaconf import DictConfig

from transgan import checkpoint
from transgan.config.classes import unknown_arguments
from transgan.errors import UserError, setting_up
from transgan.instantiation import container
from transgan.runs.folder import folder_of
from transgan.runs.loggers import logger_findings
from transgan.runs.machine import impossible_here


def check(config: DictConfig) -> None:
    """Raises UserError with all that is wrong."""
    found = list(unknown_arguments(container(config)))
    found += impossible_here(config) + logger_findings(config)
    evaluation = (config.get("callbacks") or {}).get("evaluation")
    if evaluations_of(config) and not (evaluation and (config.get("metrics") or evaluation.get("evaluator"))):
        found.append("patience= counts evaluations, and there are none: give metrics=fast, or patience=null")
    if found:
        raise UserError(*found)


def require_checkpoints(config: DictConfig) -> None:
    """Raises UserError where a run that begins now is to begin with a checkpoint that is not there, or is none."""
    with setting_up():
        if (folder_of(config) / "checkpoints" / "last.ckpt").exists():
            return
        for path in filter(None, (config.get("init_from"), config.get("checkpoint"))):
            checkpoint.read(checkpoint.find(path))


def evaluations_of(config: DictConfig) -> int | None:
    """After how many without a better one the run stops, if it does."""
    node = (config.get("callbacks") or {}).get("patience")
    found: int | None = node.get("evaluations") if node else None
    return found
