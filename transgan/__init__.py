"""Transformers that generate images and Transformers that discriminate them."""

__version__ = "0.1.0"
