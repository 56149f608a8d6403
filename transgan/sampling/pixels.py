"""Between the uint8 images of files and metrics and the floats in [-1, 1] of networks: one function each way."""

import torch
from torch import Tensor


def checked(images: Tensor) -> Tensor:
    """Images as they are. Raises ValueError unless they are uint8: floats have no agreed range, and a guess would be
    some other images."""
    if images.dtype != torch.uint8:
        raise ValueError(
            f"images are uint8, N x C x H x W with values 0 to 255, and these are {images.dtype}: round "
            "them to that, such as (255 * images).round().to(torch.uint8) where they are 0 to 1"
        )
    return images


def to_float(images: Tensor) -> Tensor:
    """uint8 images to float in [-1, 1], as every network sees them. Raises ValueError for any other type."""
    images = checked(images)
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float images meant for [-1, 1] to uint8: clamp, scale, round. The inverse of `to_float` for all 256 values.

    Raises ValueError for NaN, which has no place among them and would become some number silently, and for numbers
    that are not floats, which are meant for another range.
    """
    if not images.is_floating_point():
        raise ValueError(f"a network's images are floats in [-1, 1], and these are {images.dtype}")
    if images.isnan().any():
        broken = int(images.isnan().reshape(len(images), -1).any(1).sum())
        raise ValueError(
            f"{broken} of {len(images)} generated images hold NaN: the weights are broken; use an earlier checkpoint"
        )
    return rounded(images.float().clamp(-1, 1))


def rounded(images: Tensor) -> Tensor:
    """Floats in [-1, 1] to uint8, without looking at the values, which a graph that is exported cannot do."""
    return ((images + 1) * 127.5).round().to(torch.uint8)
