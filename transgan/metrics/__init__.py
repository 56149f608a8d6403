"""Measuring generators: feature extractors, measures of their features, and the judge that brings both together."""

from transgan.metrics.judge import Judge, Result
from transgan.metrics.measures import Accuracy, Copies, Frechet, Kernel, Manifold, Score
from transgan.metrics.protocol import incomparable, ranking

__all__ = [
    "Accuracy", "Copies", "Frechet", "Judge", "Kernel", "Manifold", "Result", "Score", "incomparable", "ranking",
]  # fmt: skip
