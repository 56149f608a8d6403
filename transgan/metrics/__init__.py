"""Measuring generators: torchmetrics Metrics of features, feature extractors, and the evaluator that runs both."""

from transgan.metrics.accuracy import ClassAccuracy
from transgan.metrics.evaluator import Evaluator, Result
from transgan.metrics.frechet import FrechetDistance
from transgan.metrics.image_metric import ImageMetric
from transgan.metrics.kernel import KernelDistance
from transgan.metrics.manifold import PRDC, PrecisionRecall
from transgan.metrics.memorisation import Memorisation
from transgan.metrics.mesh import Mesh
from transgan.metrics.metric import FeatureMetric
from transgan.metrics.protocol import incomparable, ranking
from transgan.metrics.report import Report
from transgan.metrics.score import InceptionScore
from transgan.metrics.spread import FeatureSpread, Spread

__all__ = [
    "PRDC", "ClassAccuracy", "Evaluator", "FeatureMetric", "FeatureSpread", "FrechetDistance", "ImageMetric",
    "InceptionScore", "KernelDistance", "Memorisation", "Mesh", "PrecisionRecall", "Report", "Result", "Spread",
    "incomparable", "ranking",
]  # fmt: skip
