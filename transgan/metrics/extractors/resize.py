"""Images as a network has learnt to see them: resized as Pillow does it, then normalised."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Resize:
    """uint8 N x 3 x H x W -> float32 N x 3 x `size`, less `mean` and divided by `std` (of images in [0, 1]).

    The whole image is resized with antialias, nothing is cropped, and the result is rounded to 0..255 as an image
    file would be. Width comes first, then height, each rounded: that is how Pillow does it, and torchvision on a CPU.
    Both at once in floating point, as torchvision does it on CUDA, is up to 23 of 255 away from that at hard edges.
    """

    def __init__(self, size: Sequence[int], interpolation: str, mean: tuple[float, ...], std: tuple[float, ...]):
        self.size, self.interpolation, self.mean, self.std = tuple(size), interpolation, tuple(mean), tuple(std)

    def __call__(self, images: Tensor) -> Tensor:
        from torchvision.transforms.v2 import InterpolationMode, functional

        for size in ((images.shape[2], self.size[1]), self.size):
            images = functional.resize(images, list(size), InterpolationMode(self.interpolation), antialias=True)
        return functional.normalize(functional.to_dtype(images, torch.float32, scale=True), self.mean, self.std)

    def __str__(self) -> str:
        size = "x".join(str(side) for side in self.size)
        mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"{self.interpolation} with antialias to {size} px, mean {mean}, std {std}, grey repeated to RGB"
