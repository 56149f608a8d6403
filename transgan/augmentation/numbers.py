"""What an augmentation makes of the numbers it is handed, before it uses them."""

import torch
from torch import Tensor


def wide(images: Tensor) -> Tensor:
    """In float32, or float64 if they are: half precision has fewer steps than a file of 8 bits."""
    return images.to(torch.promote_types(images.dtype, torch.float32))


def normal(draws: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) to standard normal ones."""
    return torch.special.ndtri(draws.clamp(2**-24, 1 - 2**-24))
