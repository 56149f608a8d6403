"""`transgan evaluate`: the numbers of a run, a checkpoint, or any program's images, with their protocol."""

import math
import time
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from transgan import files
from transgan.errors import UserError, setting_up
from transgan.instantiation import escaped, make
from transgan.metrics.statistics import whole
from transgan.runs.distributed import DistributedContext
from transgan.runs.folder import hush, open_console
from transgan.runs.images import is_run
from transgan.runs.names import wrong_suffix
from transgan.runs.report import latex_row, print_table, protocol_line
from transgan.runs.targets import Pictures, Run
from transgan.runs.trainer import trainer_of


def main(config: DictConfig, arguments: list[str]) -> int:
    """Measures and writes. Returns the exit code: 0, or 1 when a number is not finite."""
    found = evaluate(config, arguments)
    return 0 if found is None or all(math.isfinite(value) for value in found["metrics"].values()) else 1


def evaluate(config: DictConfig, arguments: list[str]) -> dict[str, Any] | None:
    """Measures and writes -> everything that is written as JSON; None on processes other than the first."""
    with setting_up():
        check(config)
        context = context_of(config, arguments)
    with context:
        return measured(config, arguments, context, open_console(context.is_main))


def measured(
    config: DictConfig, arguments: list[str], context: DistributedContext, console: Console
) -> dict[str, Any] | None:
    start = time.monotonic()
    with context.together(), setting_up():
        subject = (Run if is_run(config.run) else Pictures)(config, context.device)
        console.print(f"{subject.kind:7} {subject.description}")
        evaluator = make(evaluator_config(config, subject.trained))
        real, heldout, statistics = subject.reals(config, evaluator)
        console.print(f"data    {statistics.describe() if statistics else real.describe(hints=False)}")
        for note in subject.notes:
            console.print(f"note    {note}")
        subject.size(evaluator)
        with console.status("features of all real images"):
            evaluator.prepare(
                real, heldout, context.device, main=context.is_main, conditional=subject.takes_classes_of(real),
                reference=statistics,
            )  # fmt: skip
        subject.label(evaluator)
        if config.export and context.is_main:
            from transgan.metrics.statistics import write_statistics

            write_statistics(files.expanded(config.export), evaluator.reference, evaluator.extractor)
            console.print(f"export  mu and sigma of the real images -> {config.export}")
    with setting_up():
        with console.status("generating"):
            result = evaluator(subject.generate, context)
        if not context.is_main:
            return None
        bounds = {}
        if config.bounds:
            with console.status("floor and ceiling"):
                bounds = evaluator.bounds(subject.untrained())
        likelihood = subject.likelihood()
        protocol = evaluator.protocol(subject.weights, None if config.psi == 1 else config.psi)
    print_table(console, result, bounds, evaluator.primary, subject.ceiling)
    for flag, sentence in result.flags.items():
        console.print(f"note    {flag}: {sentence}")
    if likelihood:
        console.print(
            f"bits    {likelihood['bits_per_dim_heldout']:.4g} per dimension of {likelihood['num_real']:,} "
            f"held-out images ({likelihood['likelihood']})"
        )
    line, row = protocol_line(protocol), latex_row(subject.name, result)
    console.print(f"protocol {line}\nlatex   {row}")
    with setting_up():
        seconds = round(time.monotonic() - start, 3)
        everything = {
            "name": subject.name, "kimg": subject.kimg, "metrics": result.numbers, "spread": result.spread,
            "bounds": bounds, "details": result.details, "likelihood": likelihood, "flags": result.flags,
            "protocol": protocol, "protocol_line": line, "latex": row, "seconds": seconds,
            "command": ["transgan", "evaluate", *arguments],
        }  # fmt: skip
        console.print(f"written to {subject.write(config, result, protocol, seconds, everything)}")
    return everything


def check(config) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if config.against is not None and config.get("data"):
        found.append("against= and data= both name the real images; give one of them")
    if config.num_real is not None:
        if not str(config.against).lower().endswith(".npz"):
            found.append("num_real= is for against=FILE.npz alone")
        try:
            whole(config.num_real, "num_real=")
        except ValueError as error:
            found.append(str(error))
    found += wrong_suffix("out", config.out, ".json") + wrong_suffix("export", config.export, ".npz")
    run = files.expanded(config.run)
    if not run.exists():
        found.append(f"there is no run folder, checkpoint, folder or zip of images at {run}; `ls runs` shows the runs")
    for key in ("against", "heldout"):
        if config[key] is not None and not files.expanded(config[key]).exists():
            found.append(f"{key}={config[key]}: there is nothing at this path")
    for key in ("out", "export"):
        if config[key] is not None and files.expanded(config[key]).is_dir():
            found.append(f"{key}={config[key]}: there is a folder of this name; give the file to write")
    found += device_findings(config.device)
    if found:
        raise UserError(*found)


def context_of(config, arguments: list[str]) -> DistributedContext:
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


def evaluator_config(config: DictConfig, trained: dict | None) -> dict:
    """The evaluator asked for, else that of the training; its extractor, samples, seed and blocks likewise."""
    saved = OmegaConf.create(escaped(trained)) if trained is not None else OmegaConf.create({})
    evaluator = config.get("metrics") or saved.get("metrics")
    if trained is None and not evaluator:
        from transgan.config.compose import compose

        evaluator = compose("evaluate", ["run=none", "metrics=fast"]).metrics
    if not evaluator:
        raise UserError("the run was trained with metrics=none; say what to measure: metrics=fast or metrics=paper")
    extractor = config.get("extractor") or (saved.get("metrics") or {}).get("extractor") or saved.get("extractor")
    if not extractor:
        raise UserError(
            "say which features to measure by: extractor=inception, or another one of `transgan evaluate --help`"
        )
    evaluator, extractor = (OmegaConf.to_container(each, resolve=True) for each in (evaluator, extractor))
    evaluator["extractor"] = extractor
    return evaluator | {key: config[key] for key in ("num_samples", "seed", "blocks") if config[key] is not None}


def device_named(name: str) -> str:
    """The device that auto, cpu, cuda or cuda:1 means here. Raises UserError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        raise UserError(f"device={name}: this machine has no GPU that torch can use; use device=cpu")
    if int(name.partition(":")[2] or 0) >= gpus:
        raise UserError(f"device={name}: this machine has {gpus} GPU; the first is cuda:0")
    return name


def device_findings(name: str) -> list[str]:
    """What is wrong with a device's name, for a list of findings."""
    try:
        device_named(name)
    except UserError as error:
        return list(error.findings)
    return []
