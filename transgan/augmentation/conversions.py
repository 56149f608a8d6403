"""Conversions at the entrance of an augmentation."""

import torch
from torch import Tensor


def at_least_float32(images: Tensor) -> Tensor:
    """In float32, or float64 if they are: half precision is coarser than the 8 bits of an image file."""
    return images.to(torch.promote_types(images.dtype, torch.float32))


def uniform_to_normal(random: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) to standard normal ones."""
    return torch.special.ndtri(random.clamp(2**-24, 1 - 2**-24))
