"""What `transgan train` reports at its end: what was made, how good it is, and what to do next."""

from typing import Any

import torch
from pytorch_lightning import Trainer

from transgan import checkpoint, files
from transgan.callbacks import Evaluation, Likelihood, Session, find
from transgan.callbacks.evaluation import append
from transgan.callbacks.interval import moment
from transgan.callbacks.progress import clock
from transgan.checkpoint import CheckpointError
from transgan.errors import UserError, setting_up
from transgan.metrics.meanings import explained
from transgan.numerals import number
from transgan.runs.proposals import measuring, typed
from transgan.runs.run import Run

FEW = 2048  # images; the distance of fewer real ones from each other is high by bias
CHEAP = 0.05  # of a run's time: an evaluation that takes no more is made of an untrained generator, too


def report(module: Any, trainer: Trainer, session: Session, device: torch.device, explain: bool = False) -> None:
    """Says in three lines what was made, how good that is, and what to do next.

    best.ckpt is measured again, where there is one. explain: with a sentence on what each number is.
    """
    folder, console = session.folder, session.console
    grid = folder / "samples" / f"{moment(module.images_seen)}.png"
    look = f"; look at {grid}" if grid.exists() else ""
    console.print(f"done    {module.images_seen / 1000:g} kimg in {clock(session.clock.seconds)}{look}")
    evaluation, likelihood = find(trainer, Evaluation), find(trainer, Likelihood)
    sentences: list[str] = []
    if evaluation is None:
        console.print("good    not measured: the run has no evaluation")
    else:
        said, sentences = quality(module, evaluation, session, device)
        console.print(f"good    {said}")
    if likelihood is not None and likelihood.latest and likelihood.best:
        last, best = likelihood.latest, likelihood.best
        console.print(
            f"bits    {number(last['value'], 4)} per dimension of {len(likelihood.indices):,} held-out images, best "
            f"{number(best['value'], 4)} at {best['kimg']:g} kimg ({module.likelihood})"
        )
        sentences += explained({"bits_per_dim_heldout": last["value"]})
    for sentence in sentences if explain else ():
        console.print(f"explain {sentence}")
    if (folder / "checkpoints" / "last.ckpt").exists():
        classes = getattr(session.dataset, "num_classes", 0) > 0
        ways = [typed("transgan", "sample", folder, "to=grid"), typed("transgan", "report", folder)]
        if len(session.dataset) > 1:  # one image has no distribution to compare with
            config = session.facts.get("config", {})
            ways.insert(1, typed("transgan", "evaluate", folder, *measuring(config, classes)))
        console.print("next    " + " · ".join(ways))


def quality(module: Any, evaluation: Evaluation, session: Session, device: torch.device) -> tuple[str, list[str]]:
    """-> (how good the best checkpoint is, in words; what each of its numbers is, in sentences)"""
    name, best = evaluation.evaluator.primary, evaluation.best
    if not best:
        return f"not measured: no evaluation gave a finite {name}; {session.folder / 'log.txt'} says why", []
    with session.console.status("measuring the best again, and real images"):
        bounds = bounds_of(evaluation, session, device)
        numbers, how = dict(evaluation.latest) | {name: best["value"]}, "chosen for it"
        if (session.folder / "checkpoints" / "best.ckpt").exists():  # not where nothing was better than untrained
            numbers, how = measure_again(module, evaluation, session, device, bounds), "measured again by other seeds"
    said = f"{name} {number(numbers[name], 4)} (the best, of {best['kimg']:g} kimg, {how})"
    return said + place(numbers[name], bounds), explained(numbers, name, bounds)


def place(value: float, bounds: dict[str, Any]) -> str:
    """Where a distance lies between the real images' own and an untrained generator's, in words."""
    floor, ceiling = bounds.get("floor"), bounds.get("ceiling")
    count = bounds.get("floor_num", FEW)
    few = f" ({count:,} of them)" if count < FEW else ""
    known = [f"real images against each other {number(floor)}{few}"] if floor is not None else []
    known += [f"untrained {number(ceiling)}"] if ceiling is not None else []
    known += [f"as it began {number(bounds['begun'])}"] if "begun" in bounds else []
    said = f"; {', '.join(known)}" if known else ""
    if floor is not None and (ceiling is not None and floor >= ceiling or count < FEW and value <= floor):
        return f"{said}: too few real images to say how near"
    if ceiling is not None and value >= ceiling:
        return f"{said}: no nearer to real images than untrained"
    if floor is not None and value <= floor:
        return f"{said}: no farther from real images than these from each other"
    if floor is None or ceiling is None:
        return said
    share = min(99.9, 100 * (ceiling - value) / (ceiling - floor))
    times = f", {number(value / floor, 2)} times the real ones' own" if floor > 0 else ""
    return f"{said}: {number(share)} % of the way{times}"


def bounds_of(evaluation: Evaluation, session: Session, device: torch.device) -> dict[str, Any]:
    """Floor and ceiling of the primary number, as far as they are known or cheap: `transgan evaluate` gives both."""
    evaluator: Any = evaluation.evaluator
    name, own = evaluator.primary, evaluator.protocol().get("id")
    before = [
        line["metrics"].get(name)
        for line in files.read_json_lines(session.folder / "metrics.jsonl")
        if line.get("kimg") == 0 and (line.get("protocol") or {}).get("id") == own and name in line["metrics"]
    ]
    begun: dict[str, Any] = {}
    if before and before[0] is not None and begins_trained(session.facts.get("config", {})):
        begun = {"begun": before[0]}
    elif before and before[0] is not None:
        ceiling = {"ceiling": before[0], "ceiling_num": evaluator.num_samples}
        return ceiling | (evaluator.floor() if hasattr(evaluator, "floor") else {})
    if hasattr(evaluator, "bounds") and evaluation.took <= CHEAP * session.clock.seconds:
        try:
            untrained = Run(session.folder, "last", device).untrained()
        except (CheckpointError, UserError, ValueError, OSError):  # what it begins with is not there any more
            pass
        else:
            return evaluator.bounds(untrained.generate) | begun
    return (evaluator.floor() if hasattr(evaluator, "floor") else {}) | begun


def begins_trained(config: dict[str, Any]) -> bool:
    """Whether a run's first weights are another run's: then what it measured at first is no untrained generator's."""
    return bool((config.get("warm_start") or {}).get("source") or config.get("init_from"))


def measure_again(
    module: Any, evaluation: Evaluation, session: Session, device: torch.device, bounds: dict[str, Any]
) -> dict[str, float]:
    """The numbers of best.ckpt by seeds that did not choose it, which become a line of metrics.jsonl."""
    path = session.folder / "checkpoints" / "best.ckpt"
    saved = checkpoint.read(path)
    checkpoint.load_weights(module, saved, path)
    module.eval().to(device)
    evaluator: Any = evaluation.evaluator
    evaluator.seed += evaluator.blocks
    result = evaluator(module.generate)
    facts = evaluation.protocol(module) | {
        "flags": sorted(result.flags), "checkpoint": path.name, "bounds": bounds,
        "selection": "chosen by other seeds, measured again by these",
    }  # fmt: skip
    with setting_up():
        kimg, seconds = saved["images_seen"] / 1000, session.clock.seconds
        append(session.folder / "metrics.jsonl", kimg, seconds, result.numbers, facts)
    return result.numbers
