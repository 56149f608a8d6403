"""Measuring generators: feature extractors, measures of their features, and the judge that brings both together."""

from transgan.metrics.judge import Judge, Result, incomparable, ranking
from transgan.metrics.measures import Accuracy, Copies, Frechet, Kernel, Manifold, Score

__all__ = [
    "Accuracy", "Copies", "Frechet", "Judge", "Kernel", "Manifold", "Result", "Score", "incomparable", "ranking",
]  # fmt: skip
