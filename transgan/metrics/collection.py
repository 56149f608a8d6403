"""Metrics as the evaluator keeps them: each is given what it names, and none waits for other processes."""

import inspect

from torchmetrics import Metric, MetricCollection


def collection(metrics: dict[str, Metric]) -> MetricCollection:
    """In the order given. Without compute groups: to find them, torchmetrics would compare the features of all metrics
    with each other, and there is nothing to win, for each batch is kept without a copy."""
    found = MetricCollection({}, compute_groups=False)
    for name, metric in metrics.items():
        found.add_metrics({name: metric})
        metric.distributed_available_fn = alone
    return found


def alone() -> bool:
    """For torchmetrics: no process is waiting to be asked for its state."""
    return False


def takes(metric: Metric, argument: str) -> bool:
    return argument in inspect.signature(metric.update).parameters
