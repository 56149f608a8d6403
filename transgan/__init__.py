"""Transformers that generate images, judged by Transformers."""

__version__ = "0.1.0"
