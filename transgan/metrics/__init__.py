"""Measuring generators: feature extractors, and the judge that turns their features into numbers."""

from transgan.metrics.classifier import Classifier
from transgan.metrics.inception import Inception
from transgan.metrics.judge import Judge

__all__ = ["Classifier", "Inception", "Judge"]
