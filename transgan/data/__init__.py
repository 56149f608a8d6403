"""Sources of images, each yielding uint8 tensors, and a data module of endless batches."""

from transgan.data.arrays import Digits, Stl10
from transgan.data.cifar import Cifar10
from transgan.data.datamodule import ImageData
from transgan.data.dataset import ImageDataset
from transgan.data.file import UnreadableFile
from transgan.data.folder import Folder
from transgan.data.mnist import FashionMnist, Mnist
from transgan.data.npz import Npz
from transgan.data.part import Part, hold_out
from transgan.data.published import CelebA, ImageNet, Lsun
from transgan.data.sampler import EndlessSampler
from transgan.data.zip import Zip

__all__ = [
    "CelebA", "Cifar10", "Digits", "EndlessSampler", "FashionMnist", "Folder", "ImageData", "ImageDataset", "ImageNet",
    "Lsun", "Mnist", "Npz", "Part", "Stl10", "UnreadableFile", "Zip", "hold_out",
]  # fmt: skip
