"""Sources of images: every one gives uint8 tensors, and a data module that shows them endlessly."""

from .arrays import Cifar10, Digits
from .datamodule import ImageData
from .files import Folder, Zip
from .part import Part, hold_out
from .sampler import EndlessSampler

__all__ = ["Cifar10", "Digits", "EndlessSampler", "Folder", "ImageData", "Part", "Zip", "hold_out"]
