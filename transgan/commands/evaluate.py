"""`transgan evaluate`: the numbers of a run or checkpoint, with their protocol."""

import time

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.table import Table

from transgan import checkpoint
from transgan.commands.run_folder import escaped, make, open_console
from transgan.errors import UserError, setting_up


def main(config: DictConfig, arguments: list[str]) -> int:
    start = time.monotonic()
    with setting_up():
        console = open_console()
        path = checkpoint.find(config.run, config.checkpoint)
        device = device_named(config.device)
        module, saved = checkpoint.load(path)
        module.to(device)
        console.print(f"run     {path}, {saved['images_seen'] / 1000:g} kimg")
        judge = make(judge_config(config, saved["config"]))
        dataset = make(saved["config"]["data"])
        console.print(f"data    {dataset.describe()}")
        if dataset.fingerprint != saved["data"]:
            console.print("note    these are not the images the run was trained on")
        with console.status("features of all real images"):
            judge.prepare(dataset, device=device)
        with console.status("generating"):
            numbers = judge(lambda seeds, labels: module.generate(seeds, labels, config.psi))
    protocol = judge.protocol(truncation=None if config.psi == 1 else config.psi)
    report(console, numbers, protocol)
    from transgan.callbacks.evaluation import append

    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    target = folder / "metrics.jsonl"
    with setting_up():
        seconds = time.monotonic() - start
        append(target, saved["images_seen"] / 1000, seconds, numbers, protocol | {"checkpoint": path.name})
    console.print(f"written to {target}")
    return 0


def judge_config(config: DictConfig, trained: dict) -> DictConfig:
    """The judge asked for, else the one the run was trained with, with the samples and the seed asked for."""
    judge = config.metrics if config.get("metrics") else OmegaConf.create(escaped(trained, "\\${")).get("metrics")
    if not judge:
        raise UserError(
            "the run was trained with metrics=none; say what to measure: metrics=classifier or metrics=inception"
        )
    with open_dict(judge):
        for key in ("num_samples", "seed"):
            if config[key] is not None:
                judge[key] = config[key]
    return judge


def report(console, numbers: dict[str, float], protocol: dict) -> None:
    """A table of the numbers, and one line that says how they were measured."""
    table = Table("metric", "value", box=None)
    for name, value in numbers.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    psi = "no truncation" if protocol["truncation"] is None else f"psi {protocol['truncation']}"
    console.print(
        f"protocol: {protocol['extractor']} ({protocol['extractor_sha256'][:8]}), "
        f"{protocol['num_generated']:,} generated (averaged weights, {psi}, seed {protocol['seed']}) "
        f"against all {protocol['num_real']:,} training images, {protocol['resolution']} px"
        + ("" if protocol["comparable_to_published"] else "; not comparable with published FIDs")
    )


def device_named(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device={name}: this machine has no GPU that torch can use; use device=cpu")
    if name != "cpu" and not name.startswith("cuda"):
        raise UserError(f"device={name}: it takes auto, cpu or cuda")
    return name
