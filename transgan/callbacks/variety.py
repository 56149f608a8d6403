"""How varied images are, and how near to training images: distances of pixels that are averaged down."""

import torch
import torch.nn.functional as F
from torch import Tensor

LOW = 8  # pixels a side that images are averaged down to: noise and a mesh are no variety


def low(images: Tensor) -> Tensor:
    """uint8 images (N, C, H, W) -> float (N, D) in [0, 1], averaged down to at most 8 x 8 pixels."""
    height, width = images.shape[-2:]
    return F.adaptive_avg_pool2d(images.float() / 255, (min(height, LOW), min(width, LOW))).flatten(1)


def spread(rows: Tensor, labels: Tensor | None) -> float:
    """Root mean square distance of rows (N, D) from the mean of their class, averaged over the classes, of which those
    with one row are left out; NaN if that leaves none. Labels (N,), or None for one class."""
    labels = torch.zeros(len(rows)) if labels is None else labels
    classes = [rows[labels == k] for k in labels.unique()]
    found = [part.var(0).sum().sqrt() for part in classes if len(part) > 1]
    return torch.stack(found).mean().item() if found else float("nan")


def nearest(rows: Tensor, others: Tensor, same: bool = False) -> tuple[Tensor, Tensor]:
    """-> the distance (N,) of each row (N, D) to the nearest of others (M, D), and its index. same: they are the same
    rows, and none is its own neighbour."""
    distances, indices = [], []
    for first in range(0, len(rows), 256):
        between = torch.cdist(rows[first : first + 256], others, compute_mode="donot_use_mm_for_euclid_dist")
        if same:
            own = torch.arange(len(between))
            between[own, first + own] = torch.inf
        distance, index = between.min(1)
        distances.append(distance)
        indices.append(index)
    return torch.cat(distances), torch.cat(indices)


def share_above(a: Tensor, b: Tensor) -> float:
    """Share of the pairs of a (N,) and b (M,) with a above b, 0 to 1; ties count half. 0.5 if they are alike."""
    return (0.5 + 0.5 * (a[:, None] - b[None, :]).sign().mean()).item()


def beyond_chance(labels: Tensor, neighbours: Tensor) -> float:
    """How many standard deviations more often than by guessing an image and its nearest one share a class."""
    shares = labels.bincount().double() / len(labels)
    chance = shares.square().sum().item()
    agree = (labels == labels[neighbours]).double().mean().item()
    deviation = (chance * (1 - chance) / len(labels)) ** 0.5
    return (agree - chance) / deviation if deviation else float("inf")
