"""Mean and covariance of features, in float64, from features that arrive in batches and on several processes."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from transgan.metrics.features import checked

BLOCK = 1000  # images summed up at a time


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (D,) and unbiased covariance (D, D) of the features of n images, float64; n is None where it is unknown.

    Raises ValueError for n below 2, of which there is no covariance: a distance counts no more directions than n - 1.
    """

    n: int | None
    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        if self.n is not None and (isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 2):
            raise ValueError(f"moments are of a whole number of images, 2 or more, not of {self.n}")

    @classmethod
    def of(cls, features: Tensor, block: int = BLOCK) -> "Moments":
        """Of features (N, D), any float type. Raises ValueError for fewer than two images, and for numbers that are
        not finite."""
        sums = MomentSums(checked(features, "features").shape[1], block, features.device)
        sums.update(features)
        return sums.moments()


class MomentSums:
    """Moments of features (N, D) that arrive in batches.

    Sums about the mean, merged by the update of Chan, Golub and LeVeque (1983): no offset of the features spoils them,
    and none has to be known. Images are folded in `block` at a time, so any batches give the same bits.

    `table` (D + 2, D) float64 holds the scatter, then the mean, then n; `pending` the features not folded in yet.
    """

    def __init__(self, num_features: int, block: int = BLOCK, device: torch.device | str = "cpu"):
        self.block = block
        self.table = torch.zeros(num_features + 2, num_features, dtype=torch.float64, device=device)
        self.pending: list[Tensor] = []

    @property
    def n(self) -> int:
        return (int(self.table[-1, 0]) if self.table.numel() else 0) + sum(map(len, self.pending))

    def update(self, features: Tensor, name: str = "features") -> None:
        """Adds features (N, D) of any float type. Raises ValueError naming the first image whose are not finite."""
        features = checked(features, name, self.n)
        if not self.table.numel():  # the first of all say how many there are
            self.table = self.table.new_zeros(features.shape[1] + 2, features.shape[1])
        if features.shape[1] != self.table.shape[1]:
            raise ValueError(f"{name} have {features.shape[1]} columns instead of {self.table.shape[1]}")
        for part in features.split(self.block):
            self.pending.append(part.to(self.table.device, torch.float64, copy=True))
            if sum(map(len, self.pending)) >= self.block:
                pending = torch.cat(self.pending)
                self.table = merged(self.table, table_of(pending[: self.block]))
                self.pending = [pending[self.block :].clone()]

    def fold(self) -> None:
        """Folds in what is pending, though it is no whole block."""
        if sum(map(len, self.pending)):
            self.table = merged(self.table, table_of(torch.cat(self.pending)))
        self.pending = []

    def merge(self, other: "MomentSums") -> None:
        """Adds what `other` has seen, of the same D."""
        self.fold()
        other.fold()
        self.table = merged(self.table, other.table)

    def moments(self, of: str = "") -> Moments:
        """Raises ValueError when there are fewer than two images, which it calls `of`."""
        self.fold()
        n = self.n
        if n < 2:
            raise ValueError(f"a covariance needs 2 {of} images or more, and there are {n}".replace("  ", " "))
        return Moments(n, self.table[-2].clone(), self.table[:-2] / (n - 1))


def table_of(features: Tensor) -> Tensor:
    """The table of one block of features (n, D) float64, n > 0."""
    table = features.new_empty(features.shape[1] + 2, features.shape[1])
    centred = features - features[0]  # before the mean is taken: exact where the offset is large
    mean = centred.mean(0)
    centred -= mean
    torch.mm(centred.T, centred, out=table[:-2])
    table[-2] = features[0] + mean
    table[-1] = len(features)
    return table


def merged(a: Tensor, b: Tensor) -> Tensor:
    """The table of the images of both."""
    n_a, n_b = a[-1, 0], b[-1, 0]
    share = n_b / (n_a + n_b).clamp_min(1)
    delta = b[-2] - a[-2]
    table = a + b
    table[-2] = a[-2] + delta * share
    table[:-2].addr_(delta, delta, alpha=float(n_a * share))
    return table


def merged_all(tables: Tensor) -> Tensor:
    """Tables of several processes (P, D + 2, D) -> one."""
    return reduce(merged, tables) if tables.numel() else tables[0]


def square_root(covariance: Tensor) -> Tensor:
    """F (D, rank) with F F^T = covariance (D, D): what `frechet_distance` takes as `root`.

    Cholesky's where the rank is D beyond doubt, else of the eigenvectors whose values are no rounding errors.
    """
    negligible = len(covariance) * torch.finfo(covariance.dtype).eps
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed and lower.diagonal().min() ** 2 > negligible * covariance.diagonal().max():
        return lower
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > negligible * values[-1]
    return vectors[:, kept] * values[kept].sqrt()
