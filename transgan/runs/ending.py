"""What `transgan train` reports at its end, and the best checkpoint evaluated again."""

from typing import Any

import torch
from pytorch_lightning import Trainer

from transgan import checkpoint
from transgan.callbacks import Evaluation, Likelihood, Session, find
from transgan.callbacks.evaluation import append
from transgan.callbacks.interval import moment
from transgan.errors import setting_up


def report(module: Any, trainer: Trainer, session: Session, device: torch.device) -> None:
    """Says how good the run became, with best.ckpt evaluated again where there is one, and what to do next."""
    evaluation, likelihood = find(trainer, Evaluation), find(trainer, Likelihood)
    folder, console = session.folder, session.console
    if evaluation is not None and evaluation.best:
        name, best = evaluation.evaluator.primary, evaluation.best
        start = f" (untrained {evaluation.first[name]:.3g})" if evaluation.at_start else ""
        console.print(f"done    best {name} {best['value']:.4g} at {best['kimg']:g} kimg{start}")
        if (folder / "checkpoints" / "best.ckpt").exists():  # not where nothing was better than untrained
            with console.status("evaluating the best again"):
                again = measure_again(module, evaluation, session, device)
            console.print(f"again   {name} {again:.4g} with other seeds: the best of several is chosen by luck, too")
    else:
        console.print(f"done    {module.images_seen / 1000:g} kimg")
    if likelihood is not None and likelihood.latest and likelihood.best:
        last, best = likelihood.latest, likelihood.best
        console.print(
            f"bits    {last['value']:.4g} per dimension of {len(likelihood.indices):,} held-out images, best "
            f"{best['value']:.4g} at {best['kimg']:g} kimg ({module.likelihood})"
        )
    grid = folder / "samples" / f"{moment(module.images_seen)}.png"
    if grid.exists():
        console.print(f"look    {grid}")
    if (folder / "checkpoints" / "last.ckpt").exists():
        console.print(
            f"next    transgan sample {folder} to=grid · transgan evaluate {folder} · transgan report {folder}"
        )


def measure_again(module: Any, evaluation: Evaluation, session: Session, device: torch.device) -> float:
    """The primary number of best.ckpt by seeds that did not choose it, which becomes a line of metrics.jsonl."""
    path = session.folder / "checkpoints" / "best.ckpt"
    saved = checkpoint.read(path)
    checkpoint.load_weights(module, saved, path)
    module.eval().to(device)
    evaluator: Any = evaluation.evaluator
    evaluator.seed += evaluator.blocks
    result = evaluator(module.generate)
    facts = evaluator.protocol() | {
        "flags": sorted(result.flags), "checkpoint": path.name,
        "selection": "chosen by other seeds, measured again by these",
    }  # fmt: skip
    with setting_up():
        kimg, seconds = saved["images_seen"] / 1000, session.clock.seconds
        append(session.folder / "metrics.jsonl", kimg, seconds, result.numbers, facts)
    return result.numbers[evaluator.primary]
