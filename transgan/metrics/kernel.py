"""The kernel distance (KID; Binkowski et al., 2018): the unbiased squared MMD with a polynomial kernel."""

import numpy as np
import torch
from torch import Tensor

from transgan.metrics.exact import exact
from transgan.metrics.rows import RowMetric, checked


def kernel_distance(
    fake: Tensor, real: Tensor, subsets: int = 100, subset_size: int = 1000, degree: int = 3,
    gamma: float | None = None, coef: float = 1.0, seed: int = 2020,
) -> tuple[float, float]:  # fmt: skip
    """Mean and deviation (ddof 0) of the unbiased MMD^2 over random subsets of the rows (N, D) and (M, D).

    The kernel is (gamma x.y + coef)^degree, gamma 1 / D by default. Subsets are drawn without replacement by numpy's
    RandomState(seed), generated before real, as in torch-fidelity. Only the products x.y are float32. Unbiased,
    so slightly negative for equal distributions; the deviation is that of one subset, not of the mean.

    Raises ValueError when a side has fewer rows than a subset.
    """
    fake, real = both(fake, real)
    if not 2 <= subset_size <= min(len(fake), len(real)) or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {subset_size} rows need 2 rows or more each, and as many on either "
            f"side: there are {len(fake)} generated and {len(real)} real rows"
        )
    rng, values = np.random.RandomState(seed), []
    for _ in range(subsets):
        chosen = [rng.choice(len(rows), subset_size, replace=False) for rows in (fake, real)]
        x, y = (rows[torch.from_numpy(each).to(rows.device)] for rows, each in zip((fake, real), chosen, strict=True))
        values.append(kernel_distance_full(x, y, degree, gamma, coef))
    return float(np.mean(values)), float(np.std(values))


def kernel_distance_full(
    fake: Tensor, real: Tensor, degree: int = 3, gamma: float | None = None, coef: float = 1.0
) -> float:
    """The unbiased MMD^2 of all rows (N, D) and (M, D), without random subsets. O((N + M)^2 D), a block at a time.

    Raises ValueError for fewer than two rows on a side.
    """
    fake, real = both(fake, real)
    n, m = len(fake), len(real)
    if min(n, m) < 2:
        raise ValueError(
            f"a kernel distance needs 2 rows or more on either side: there are {n} generated and {m} real rows"
        )
    kernel = degree, 1 / fake.shape[1] if gamma is None else gamma, coef
    within = others(fake, *kernel) / (n * (n - 1)) + others(real, *kernel) / (m * (m - 1))
    return within - 2 * total(fake, real, *kernel) / (n * m)


def others(rows: Tensor, degree: int, gamma: float, coef: float, block: int = 250) -> float:
    """The sum of the kernel over all pairs of different rows: twice what lies above the diagonal."""
    value = 0.0
    for first in range(0, len(rows), block):
        x, rest = rows[first : first + block], rows[first + block :]
        values = powers(x, x, degree, gamma, coef)
        value += (values.sum() - values.diagonal().sum()).item() + 2 * total(x, rest, degree, gamma, coef)
    return value


def total(x: Tensor, y: Tensor, degree: int, gamma: float, coef: float, block: int = 1000) -> float:
    """The sum of the kernel over all pairs of a row of x and a row of y."""
    return sum(powers(a, b, degree, gamma, coef).sum().item() for a in x.split(block) for b in y.split(block))


def powers(x: Tensor, y: Tensor, degree: int, gamma: float, coef: float) -> Tensor:
    with exact(x.device):
        return (x @ y.T).double().mul_(gamma).add_(coef).pow_(degree)


def both(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides as float32. Raises ValueError when they are no rows of one width."""
    fake, real = checked(fake, "generated").float(), checked(real, "real").float()
    if len(fake) and len(real) and fake.shape[1] != real.shape[1]:
        raise ValueError(f"generated rows have {fake.shape[1]} features and real ones have {real.shape[1]}")
    return fake, real


class KernelDistance(RowMetric):
    """`kernel_distance` between generated and real rows (N, D)."""

    higher_is_better = False

    def __init__(
        self, subsets: int = 100, subset_size: int = 1000, degree: int = 3, gamma: float | None = None,
        coef: float = 1.0, seed: int = 2020, **kwargs,
    ):  # fmt: skip
        super().__init__("fake", "real", **kwargs)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        self.degree, self.gamma, self.coef = degree, gamma, coef

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) float"""
        self.keep("real" if real else "fake", features)

    def compute(self) -> tuple[float, float]:
        """mean, deviation over the subsets"""
        kernel = self.degree, self.gamma, self.coef
        return kernel_distance(self.rows("fake"), self.rows("real"), self.subsets, self.subset_size, *kernel, self.seed)
