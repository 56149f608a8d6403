"""Measuring generators: feature extractors, measures of their features, and the evaluator that brings both together."""

from transgan.metrics.evaluator import Evaluator, Result
from transgan.metrics.measures import Accuracy, Frechet, Kernel, Memorisation, Score
from transgan.metrics.neighbours import Manifold, PrecisionRecall
from transgan.metrics.protocol import incomparable, ranking

__all__ = [
    "Accuracy", "Memorisation", "Frechet", "Evaluator", "Kernel", "Manifold", "PrecisionRecall", "Result", "Score",
    "incomparable", "ranking",
]  # fmt: skip
