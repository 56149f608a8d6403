"""What a configuration has a run do beside training, as plain numbers for a plan."""

from collections.abc import Collection
from typing import Any

from omegaconf import DictConfig

from transgan.callbacks.likelihood import spread_over
from transgan.instantiation import make
from transgan.metrics import cache
from transgan.metrics.extractors.trained import TrainedOnImages
from transgan.metrics.reference import facts_of
from transgan.planning import Beside
from transgan.runs.measuring import Speed, Trial

AS_MANY = 10_000  # images of an evaluation, at most, where their number is not given
TRAINING_IT = 15.0  # seconds to train an extractor on the images themselves


def beside_of(config: DictConfig, left: Collection[str], count: int, processes: int) -> Beside:
    """left: keys that are still to be chosen; count: of real images."""
    watched: Any = config.get("callbacks") or {}
    grid, health = (int((watched.get(name) or {}).get("count") or 0) for name in ("samples", "health"))
    metrics = config.get("metrics") if watched.get("evaluation") else None
    every = ("sample_every", "evaluate_every")
    given: dict[str, Any] = {key: config[key] for key in every if key not in left}
    if not metrics:
        return Beside(grid, health, distances=False, processes=processes, **given)
    samples = None if "metrics.num_samples" in left else metrics.get("num_samples") or min(AS_MANY, count)
    return Beside(
        grid, health, True, samples, int(metrics.get("blocks") or 1), processes, config.evaluate_share,
        bool(config.evaluate_at_start), **given,
    )  # fmt: skip


def likelihood_of(config: DictConfig, trial: Trial, speed: Speed) -> float:
    """Seconds to measure the likelihood of the held-out images once."""
    node: Any = (config.get("callbacks") or {}).get("likelihood")
    if not node or not speed.likelihood:
        return 0.0
    most = min(node.get("count") or AS_MANY, getattr(trial.module, "likelihood_count", AS_MANY))
    return speed.likelihood * len(spread_over(len(trial.heldout), most))


def preparing(config: DictConfig, dataset: Any, each: float) -> float:
    """Seconds until there are an extractor and the features of all real images, `each` for one of them; what an earlier
    run has left in the cache takes none. Raises ValueError for an extractor whose weights cannot be had."""
    extractor = make(config.metrics).extractor
    if isinstance(extractor, TrainedOnImages) and not extractor.is_kept(dataset):
        return TRAINING_IT + each * len(dataset)
    extractor.prepare(dataset)
    return 0.0 if cache.is_kept(facts_of(dataset, "train"), extractor) else each * len(dataset)
