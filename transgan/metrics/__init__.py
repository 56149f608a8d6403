"""Measuring generators: feature extractors, measures of their features, and the judge that brings both together."""

from transgan.metrics.judge import Judge, Result
from transgan.metrics.measures import Accuracy, Copies, Frechet, Kernel, Score
from transgan.metrics.neighbours import Manifold, PrecisionRecall
from transgan.metrics.protocol import incomparable, ranking

__all__ = [
    "Accuracy", "Copies", "Frechet", "Judge", "Kernel", "Manifold", "PrecisionRecall", "Result", "Score",
    "incomparable", "ranking",
]  # fmt: skip
