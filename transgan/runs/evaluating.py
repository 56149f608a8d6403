"""An evaluation, from its configuration to what is printed and written."""

import time
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from transgan import files
from transgan.errors import UserError, setting_up
from transgan.instantiation import container, escaped, make
from transgan.metrics.meanings import explained
from transgan.metrics.statistics import write_statistics
from transgan.runs.distributed import DistributedContext
from transgan.runs.folder import hush
from transgan.runs.images import is_run
from transgan.runs.images_target import ImagesTarget
from transgan.runs.machine import device_named
from transgan.runs.proposals import measuring, typed
from transgan.runs.report import latex_row, print_table, protocol_line
from transgan.runs.run import opened
from transgan.runs.targets import RunTarget, Target
from transgan.runs.trainer import trainer_of


def target_of(config: DictConfig, device: torch.device, arguments: list[str]) -> Target:
    """The run or the images that `run` names."""
    if not is_run(config.run):
        return ImagesTarget(config, arguments)
    return RunTarget(opened(config.run, config.checkpoint, device, config.ema), config)


def measured(
    config: DictConfig, arguments: list[str], context: DistributedContext, console: Console
) -> dict[str, Any] | None:
    """Evaluates, prints and writes -> everything that is written; None on processes other than the first."""
    start = time.monotonic()
    with context.together(), setting_up():
        target = target_of(config, context.device, arguments)
        console.print(f"{target.kind:7} {target.description}")
        evaluator = make(evaluator_config(config, target.trained, target.extractor))
        real, heldout, statistics = target.reals(config, evaluator)
        console.print(f"data    {statistics.describe() if statistics else real.describe(hints=False)}")
        for note in target.notes:
            console.print(f"note    {note}")
        target.size(evaluator)
        with console.status("features of all real images"):
            evaluator.prepare(
                real, heldout, context.device, main=context.is_main, conditional=target.takes_classes_of(real),
                reference=statistics,
            )  # fmt: skip
        target.label(evaluator)
        if config.export and context.is_main:
            write_statistics(files.expanded(config.export), evaluator.reference, evaluator.extractor)
            console.print(f"export  mu and sigma of the real images -> {config.export}")
    with setting_up():
        with console.status("generating"):
            result = evaluator(target.generate, context)
        if not context.is_main:
            return None
        bounds = {}
        if config.bounds:
            with console.status("floor and ceiling"):
                bounds = evaluator.bounds(target.untrained())
        likelihood = target.likelihood()
        protocol = target.protocol(evaluator)
    classes = real.class_names if real is not None and target.takes_classes_of(real) else ()
    print_table(console, result, bounds, evaluator.primary, target.ceiling, classes)
    for sentence in explained(result.numbers, evaluator.primary, bounds) if config.explain else ():
        console.print(f"explain {sentence}")
    for flag, sentence in result.flags.items():
        console.print(f"note    {flag}: {sentence}")
    if likelihood:
        console.print(
            f"bits    {likelihood['bits_per_dim_heldout']:.4g} per dimension of {likelihood['num_real']:,} "
            f"held-out images ({likelihood['likelihood']})"
        )
    line, row = protocol_line(protocol), latex_row(target.name, result)
    console.print(f"protocol {line}\nlatex   {row}")
    with setting_up():
        seconds = round(time.monotonic() - start, 3)
        everything = {
            "name": target.name, "kimg": target.kimg, "metrics": result.numbers, "spread": result.spread,
            "bounds": bounds, "details": result.details, "likelihood": likelihood, "flags": result.flags,
            "protocol": protocol, "protocol_line": line, "latex": row, "seconds": seconds,
            "command": ["transgan", "evaluate", *arguments],
        }  # fmt: skip
        console.print(f"written to {target.write(config, everything)}")
    return everything


def context_of(config: DictConfig, arguments: list[str]) -> DistributedContext:
    """The processes that share the work: those that were started, or `devices` of them."""
    device = torch.device(device_named(config.device))
    devices = config.devices if device.index is None or config.devices > 1 else [device.index]
    settings = {"_target_": "pytorch_lightning.Trainer", "accelerator": device.type, "devices": devices}
    hush()
    said = [f"trainer.{word}" for word in arguments if word.startswith("devices=")]
    trainer = trainer_of(
        settings, said,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    return DistributedContext(trainer, ["evaluate", *arguments])


def evaluator_config(config: DictConfig, trained: dict | None, extractor_near: dict | None = None) -> dict:
    """The evaluator asked for, else that of the training; its extractor, samples, seed and blocks likewise.

    extractor_near: of a run that images are compared with the images of.
    """
    saved = OmegaConf.create(escaped(trained)) if trained is not None else OmegaConf.create({})
    evaluator = config.get("metrics") or saved.get("metrics")
    if trained is None and not evaluator:
        from transgan.config.compose import compose

        evaluator = compose("evaluate", ["run=none", "metrics=fast"]).metrics
    if not evaluator:
        whole = typed(
            "transgan",
            "evaluate",
            config.get("run") or "RUN",
            *measuring(trained or {}, bool((trained or {}).get("num_classes"))),
        )
        raise UserError(
            f"the run was trained with metrics=none; say what to measure, metrics=fast or metrics=paper: `{whole}`"
        )
    extractor = config.get("extractor") or (saved.get("metrics") or {}).get("extractor") or saved.get("extractor")
    if not extractor and extractor_near:
        extractor = OmegaConf.create(escaped(extractor_near))
    if not extractor:
        raise UserError(
            "say which features to measure by: extractor=inception, or another one of `transgan evaluate --help`"
        )
    evaluator, extractor = (container(each) for each in (evaluator, extractor))
    evaluator["extractor"] = extractor
    return evaluator | {key: config[key] for key in ("num_samples", "seed", "blocks") if config[key] is not None}
