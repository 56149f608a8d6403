"""Moving and filtering pixels by matrices along the rows and columns of images, mirrored at the edges.

An image goes on beyond its edge as in a mirror that stands on the outermost pixels, for as long as it takes. Products
with matrices are exact to differentiate, as often as one likes, and are the same sums in the same order every time.

N batch, C channels, H W image.
"""

import math

import torch
from torch import Tensor


def along(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows (N or 1, 1, H', H) @ images (N, C, H, W) @ columns (N or 1, 1, W', W) transposed -> (N, C, H', W')."""
    with torch.autocast(images.device.type, enabled=False):  # would round the images to bfloat16
        return rows @ images @ columns.mT


def mirrored(position: Tensor, side: int) -> Tensor:
    """Whole numbers from anywhere to 0..side-1."""
    period = max(2 * (side - 1), 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)


def halfway(taps: int) -> list[float]:
    """Weights of the `taps` nearest samples for the value half way between the middle two, by Lagrange's formula."""
    positions = [i + 0.5 for i in range(-taps // 2, taps // 2)]
    return [math.prod(b / (b - a) for b in positions if b != a) for a in positions]


# Half-band filters: the products of the wavelet filters sym2 and sym6 (Daubechies, 1992) with their mirror images.
SYM2, SYM6 = halfway(4), halfway(12)


def doubling(side: int, weights: list[float], like: Tensor) -> Tensor:
    """(2 side - 1, side): every sample, and between two of them the value half way."""
    half = len(weights) // 2
    position = torch.arange(side, device=like.device)
    between = torch.zeros((), device=like.device)
    for k, weight in zip(range(1 - half, half + 1), weights, strict=True):
        between = between + weight * (mirrored(position[:-1, None] + k, side) == position)
    between = between.to(like.dtype)
    every = torch.eye(side, device=like.device, dtype=like.dtype)
    return torch.cat([torch.stack([every[:-1], between], 1).flatten(0, 1), every[-1:]])


def smoothing(side: int, weights: list[float], step: int, like: Tensor) -> Tensor:
    """(side, side): the lower half of the frequencies of every `step`-th sample; half of it the sample itself."""
    position = torch.arange(side, device=like.device)
    around = torch.zeros((), device=like.device)
    for k, weight in zip(range(1 - len(weights), len(weights), 2), weights, strict=True):
        around = around + 0.5 * weight * (mirrored(position[:, None] + step * k, side) == position)
    return (0.5 * (position[:, None] == position) + around).to(like.dtype)
