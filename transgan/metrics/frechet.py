"""The Frechet distance between Gaussians fitted to feature rows (Heusel et al., 2017), in float64 from sums to root."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from transgan.metrics.rows import RowMetric, checked

BLOCK = 1000  # rows summed up at a time


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (D,) and unbiased covariance (D, D) of n rows, float64; n is None where nobody wrote it down.

    Raises ValueError for n below 2, of which there is no covariance: a distance counts no more directions than n - 1.
    """

    n: int | None
    mean: Tensor
    covariance: Tensor

    def __post_init__(self):
        if self.n is not None and (isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 2):
            raise ValueError(f"moments are of a whole number of rows, 2 or more, not of {self.n}")

    @classmethod
    def of(cls, rows: Tensor, block: int = BLOCK) -> "Moments":
        """Of rows (N, D), any float type. Raises ValueError for fewer than two, and for numbers that are not finite."""
        sums = MomentSums(checked(rows, "feature").shape[1], block, rows.device)
        sums.update(rows)
        return sums.moments()


class MomentSums:
    """Moments of rows (N, D) that arrive in portions.

    Sums about the mean, merged by the update of Chan, Golub and LeVeque (1983): no offset of the features spoils them,
    and none has to be known. Rows are folded in `block` at a time, so any portions give the same bits.

    `table` (D + 2, D) float64 holds the scatter, then the mean, then n; `pending` the rows not folded in yet.
    """

    def __init__(self, num_features: int, block: int = BLOCK, device="cpu"):
        self.block = block
        self.table = torch.zeros(num_features + 2, num_features, dtype=torch.float64, device=device)
        self.pending: list[Tensor] = []

    @property
    def n(self) -> int:
        return int(self.table[-1, 0]) + sum(map(len, self.pending))

    def update(self, rows: Tensor, name: str = "feature") -> None:
        """Adds rows (N, D) of any float type. Raises ValueError naming the first one that is not finite."""
        rows = checked(rows, name, self.n)
        if rows.shape[1] != self.table.shape[1]:
            raise ValueError(f"{name} rows have {rows.shape[1]} features instead of {self.table.shape[1]}")
        for part in rows.split(self.block):
            self.pending.append(part.to(self.table.device, torch.float64, copy=True))
            if sum(map(len, self.pending)) >= self.block:
                rows = torch.cat(self.pending)
                self.table = merged(self.table, table_of(rows[: self.block]))
                self.pending = [rows[self.block :].clone()]

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

    def moments(self, name: str = "feature") -> Moments:
        """Raises ValueError when there are fewer than two rows."""
        self.fold()
        n = self.n
        if n < 2:
            raise ValueError(f"a covariance needs 2 rows or more, and there are {n} {name} rows")
        return Moments(n, self.table[-2].clone(), self.table[:-2] / (n - 1))


def table_of(rows: Tensor) -> Tensor:
    """The table of one block of rows (n, D) float64, n > 0."""
    table = rows.new_empty(rows.shape[1] + 2, rows.shape[1])
    centred = rows - rows[0]  # before the mean is taken: exact where the offset is large
    mean = centred.mean(0)
    centred -= mean
    torch.mm(centred.T, centred, out=table[:-2])
    table[-2] = rows[0] + mean
    table[-1] = len(rows)
    return table


def merged(a: Tensor, b: Tensor) -> Tensor:
    """The table of the rows of both."""
    n_a, n_b = a[-1, 0], b[-1, 0]
    share = n_b / (n_a + n_b).clamp_min(1)
    delta = b[-2] - a[-2]
    table = a + b
    table[-2] = a[-2] + delta * share
    table[:-2].addr_(delta, delta, alpha=float(n_a * share))
    return table


def merged_all(tables: Tensor) -> Tensor:
    """Tables of several processes (P, D + 2, D) -> one."""
    return reduce(merged, tables)


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


def frechet_distance(a: Moments, b: Moments, root: Tensor | None = None) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, 0 or more, in squared units of the features.

    |mean_a - mean_b|^2 + tr(A) + tr(B) - 2 tr((A B)^1/2), and the last trace is the sum of the singular values of
    F_a^T F_b where F F^T is the covariance. Unlike eigenvalues of A B, of which every zero turns into the root of a
    rounding error, these are exact also where n <= D, where features are dependent or dead, and for equal sets.
    No more of them are counted than n allows. `root` is square_root(b.covariance), if it is at hand.

    Raises ValueError for moments of different D, or that are not finite.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"moments of {len(a.mean)} and of {len(b.mean)} features do not compare")
    if not all(x.isfinite().all() for x in (a.mean, a.covariance, b.mean, b.covariance)):
        raise ValueError("the moments hold numbers that are not finite")
    root = square_root(b.covariance) if root is None else root
    values = torch.linalg.svdvals(square_root(a.covariance).T @ root)
    rank = min([len(values), *(moments.n - 1 for moments in (a, b) if moments.n is not None)])
    traces = a.covariance.trace() + b.covariance.trace()
    value = ((a.mean - b.mean).square().sum() + traces - 2 * values[:rank].sum()).item()
    assert value >= -1e-6 * traces.item(), f"a Frechet distance of {value}: these are no covariances"
    return max(value, 0.0)


def is_rank_deficient(a: Moments, b: Moments) -> bool:
    """Whether the rows of either were too few to span their features (n - 1 < D): the distance is then mostly bias."""
    return any(moments.n is not None and moments.n - 1 < len(moments.mean) for moments in (a, b))


def frechet_infinity(
    real: Moments, fake_rows: Tensor, points: int = 15, smallest: int = 5000, seed: int = 0, minimum: int = 50_000,
    root: Tensor | None = None,
) -> tuple[float, float]:  # fmt: skip
    """The Frechet distance that infinitely many generated images would have (Chong and Forsyth, 2020), and R^2.

    Distances of the first n of the rows (N, D), in an order drawn from `seed`, at `points` sizes n from `smallest` to
    N, are extrapolated by a line in 1/n to its intercept. That may be negative: then n was too small, and it stays so.
    `root` is square_root(real.covariance), if it is at hand. 45 CPU-seconds for 50,000 rows and D = 2048.
    Raises ValueError for fewer rows than `minimum`.
    """
    total = len(checked(fake_rows, "generated"))
    if total < max(minimum, smallest + points - 1) or points < 3:
        raise ValueError(
            f"extrapolating needs {max(minimum, smallest + points - 1):,} generated rows or more and 3 "
            f"points or more; there are {total:,} and {points}"
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).to(fake_rows.device)
    sizes = [smallest + i * (total - smallest) // (points - 1) for i in range(points)]
    root = square_root(real.covariance) if root is None else root
    sums, distances = MomentSums(fake_rows.shape[1], device=fake_rows.device), []
    for first, size in zip([0, *sizes], sizes, strict=False):
        sums.update(fake_rows[order[first:size]])
        distances.append(frechet_distance(sums.moments(), real, root))
    x = 1 / torch.tensor(sizes, dtype=torch.float64)
    y = torch.tensor(distances, dtype=torch.float64)
    x_left, y_left = x - x.mean(), y - y.mean()
    slope = x_left @ y_left / (x_left @ x_left)
    unexplained = (y_left - slope * x_left).square().sum()
    return (y.mean() - slope * x.mean()).item(), (1 - unexplained / y_left.square().sum()).item()


class FrechetDistance(RowMetric):
    """`frechet_distance` between real and generated rows (N, D), of which only the sums are kept.

    `set_real` gives the real side as moments that every process holds: they count once, are no part of what is summed
    over processes, and stay after reset(), and so does their root. Raises ValueError at compute() for fewer than two
    rows on either side.
    """

    higher_is_better = False

    def __init__(self, num_features: int, **kwargs):
        super().__init__("real_pending", "fake_pending", dtype=torch.float64, **kwargs)
        self.reference: Moments | None = None
        self.root: Tensor | None = None
        for side in ("real", "fake"):
            self.add_state(side, MomentSums(num_features).table, dist_reduce_fx=merged_all)

    def set_real(self, moments: Moments) -> None:
        """Compare with these from now on. Raises ValueError when real rows were given already."""
        if self.sums("real").n:
            raise ValueError("real rows were given already: set_real() takes their place and must come first")
        self.reference, self.root, self._computed = moments, None, None

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) of any float type"""
        if real and self.reference is not None:
            raise ValueError("set_real() has given the real moments: there is no place for real rows beside them")
        side = "real" if real else "fake"
        sums = self.sums(side)
        sums.update(features, side)
        setattr(self, side, sums.table)
        setattr(self, f"{side}_pending", sums.pending)

    def compute(self) -> float:
        real = self.reference or self.sums("real").moments("real")
        fake = self.sums("fake").moments("fake")
        if self.reference is not None and self.root is None:
            self.root = square_root(real.covariance)
        return frechet_distance(fake, real, self.root)

    def sums(self, side: str) -> MomentSums:
        """The sums in the states of a side."""
        sums = MomentSums(0)
        sums.table = getattr(self, side)
        pending = getattr(self, f"{side}_pending")
        sums.pending = [pending] if isinstance(pending, Tensor) else list(pending)  # gathered, or not
        return sums
