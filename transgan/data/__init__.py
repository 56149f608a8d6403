"""Sources of images: every one gives uint8 tensors, and a data module that shows them endlessly."""

from .arrays import Cifar10, Digits, FashionMnist, Mnist, Stl10
from .datamodule import ImageData
from .files import UnreadableFile
from .folder import Folder
from .npz import Npz
from .part import Part, hold_out
from .published import CelebA, ImageNet, Lsun
from .sampler import EndlessSampler
from .zip import Zip

__all__ = [
    "CelebA", "Cifar10", "Digits", "EndlessSampler", "FashionMnist", "Folder", "ImageData", "ImageNet", "Lsun", "Mnist",
    "Npz", "Part", "Stl10", "UnreadableFile", "Zip", "hold_out",
]  # fmt: skip
