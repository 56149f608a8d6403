"""What `transgan train` says at its end, and the best checkpoint measured again."""

from pathlib import Path

from transgan import checkpoint
from transgan.callbacks.evaluation import append
from transgan.callbacks.interval import moment
from transgan.errors import setting_up


def report(config, module, evaluation, likelihood, folder: Path, console, device) -> None:
    """Says how good the run became, with best.ckpt measured again where there is one, and what to do next."""
    if evaluation is not None and evaluation.best:
        name, best = evaluation.evaluator.primary, evaluation.best
        start = f" (untrained {evaluation.first[name]:.3g})" if config.evaluate_at_start else ""
        console.print(f"done    best {name} {best['value']:.4g} at {best['kimg']:g} kimg{start}")
        if (folder / "checkpoints" / "best.ckpt").exists():  # not where nothing was better than untrained
            with console.status("measuring the best again"):
                again = measure_again(module, evaluation, folder, device)
            console.print(f"again   {name} {again:.4g} with fresh seeds: the best of several is chosen by luck, too")
    else:
        console.print(f"done    {module.images_seen / 1000:g} kimg")
    if likelihood is not None:
        last, best = likelihood.latest, likelihood.best
        console.print(
            f"bits    {last['value']:.4g} per dimension of {len(likelihood.indices):,} held-out images, best "
            f"{best['value']:.4g} at {best['kimg']:g} kimg ({module.likelihood})"
        )
    grid = folder / "samples" / f"{moment(module.images_seen)}.png"
    console.print(f"look    {grid}\nnext    transgan sample {folder} to=grid · transgan evaluate {folder}")


def measure_again(module, evaluation, folder: Path, device) -> float:
    """The primary number of best.ckpt by seeds that did not choose it; a line of metrics.jsonl says so."""
    path = folder / "checkpoints" / "best.ckpt"
    saved = checkpoint.read(path)
    checkpoint.load_weights(module, saved, path)
    module.eval().to(device)
    evaluator = evaluation.evaluator
    evaluator.seed += evaluator.blocks
    result = evaluator(module.generate)
    facts = evaluator.protocol() | {
        "flags": sorted(result.flags), "checkpoint": path.name,
        "selection": "chosen by other seeds, measured again by these",
    }  # fmt: skip
    with setting_up():
        append(folder / "metrics.jsonl", saved["images_seen"] / 1000, evaluation.stats.seconds, result.numbers, facts)
    return result.numbers[evaluator.primary]
