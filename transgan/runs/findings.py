"""What is wrong with a configuration of `transgan train`, said before anything heavy begins."""

from typing import Any

from omegaconf import DictConfig

from transgan import checkpoint
from transgan.config.classes import unknown_arguments
from transgan.config.command_line import read
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


def without_effect(config: DictConfig, arguments: list[str]) -> list[str]:
    """Sentences about keys that have no effect beside the others, once the number of classes is known."""
    algorithm, found = config.algorithm, list[str]()
    given = {read(word).key for word in arguments}
    if algorithm.get("label_dropout") and not config.num_classes:
        found.append(
            f"algorithm.label_dropout={algorithm.label_dropout:g}: it hides classes, and there are none; leave it out"
        )
    if algorithm.get("images_per_class") and "algorithm.images_per_class" in given and not config.num_classes:
        found.append(
            f"algorithm.images_per_class={algorithm.images_per_class}: it puts images of a class beside each other, "
            "and there are no classes; leave it out"
        )
    if algorithm.get("reuse") == 1 and "algorithm.delay" in given:
        found.append(
            f"algorithm.delay={algorithm.delay}: with algorithm.reuse=1 nothing comes up again; leave one of them out"
        )
    generator = algorithm.get("generator") or {}
    for key in ("levels", "quantise"):
        if f"generator.{key}" in given and str(generator.get("_target_")).endswith(".OneStep"):
            found.append(f"generator.{key}={generator[key]}: a one-step generator has no levels; leave it out")
    for name in ("generator", "discriminator"):
        start = (config.get("warm_start") or {}).get(name)
        key = f"warm_start.{name}.freeze"
        if start is not None and not start.get("frozen") and (start.get("freeze", "stack") != "stack" or key in given):
            found.append(f"{key}={start.freeze}: nothing is frozen; give warm_start.{name}.frozen=KIMG as well")
    return found


def require_penalty(module: Any, batch_size: int, processes: int) -> None:
    """Every process penalises images of its own, and a share of few images is none. Raises ValueError."""
    part = batch_size // processes
    if processes > 1 and part < module.fewest:
        raise ValueError(
            f"batch_size={batch_size} in {processes} processes: penalty.share= of the {part} images of each is not one "
            f"image; give batch_size={module.fewest * processes} or more"
        )


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
