"""The kernel distance (KID; Binkowski et al., 2018): the unbiased squared MMD with a polynomial kernel."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transgan.metrics.exact import exact
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import of_equal_width
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.report import Report


def kernel_distance(
    fake: Tensor, real: Tensor, subsets: int = 100, subset_size: int = 1000, degree: int = 3,
    gamma: float | None = None, coef: float = 1.0, seed: int = 2020,
) -> tuple[float, float]:  # fmt: skip
    """Mean and deviation (ddof 0) of the unbiased MMD^2 over random subsets of the features (N, D) and (M, D).

    The kernel is (gamma x.y + coef)^degree, gamma 1 / D by default. Subsets are drawn without replacement by numpy's
    RandomState(seed), generated before real, as in torch-fidelity. Only the products x.y are float32. Unbiased,
    so slightly negative for equal distributions; the deviation is that of one subset, not of the mean.

    Raises ValueError when a side has fewer images than a subset.
    """
    fake, real = of_equal_width(fake, real)
    if not 2 <= subset_size <= min(len(fake), len(real)) or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {subset_size} images need 2 images or more each, and as many on either "
            f"side: there are {len(fake)} generated and {len(real)} real images"
        )
    rng, values = np.random.RandomState(seed), []
    for _ in range(subsets):
        chosen = [rng.choice(len(each), subset_size, replace=False) for each in (fake, real)]
        x, y = (each[torch.from_numpy(i).to(each.device)] for each, i in zip((fake, real), chosen, strict=True))
        values.append(kernel_distance_full(x, y, degree, gamma, coef))
    return float(np.mean(values)), float(np.std(values))


def kernel_distance_full(
    fake: Tensor, real: Tensor, degree: int = 3, gamma: float | None = None, coef: float = 1.0
) -> float:
    """The unbiased MMD^2 of all features (N, D) and (M, D), without random subsets. O((N + M)^2 D), a block at a time.

    Raises ValueError for fewer than two images on a side.
    """
    fake, real = of_equal_width(fake, real)
    n, m = len(fake), len(real)
    if min(n, m) < 2:
        raise ValueError(
            f"a kernel distance needs 2 images or more on either side: there are {n} generated and {m} real ones"
        )
    kernel = degree, 1 / fake.shape[1] if gamma is None else gamma, coef
    within = others(fake, *kernel) / (n * (n - 1)) + others(real, *kernel) / (m * (m - 1))
    return within - 2 * total(fake, real, *kernel) / (n * m)


def others(features: Tensor, degree: int, gamma: float, coef: float, block: int = 250) -> float:
    """The sum of the kernel over all pairs of different images: twice what lies above the diagonal."""
    value = 0.0
    for first in range(0, len(features), block):
        x, rest = features[first : first + block], features[first + block :]
        values = powers(x, x, degree, gamma, coef)
        value += (values.sum() - values.diagonal().sum()).item() + 2 * total(x, rest, degree, gamma, coef)
    return value


def total(x: Tensor, y: Tensor, degree: int, gamma: float, coef: float, block: int = 1000) -> float:
    """The sum of the kernel over all pairs of an image of x and one of y."""
    return sum(powers(a, b, degree, gamma, coef).sum().item() for a in x.split(block) for b in y.split(block))


def powers(x: Tensor, y: Tensor, degree: int, gamma: float, coef: float) -> Tensor:
    with exact(x.device):
        return (x @ y.T).double().mul_(gamma).add_(coef).pow_(degree)


class KernelDistance(FeatureMetric):
    """`kernel_distance` between generated and real images, all of whose features are kept; reported as kd and kd_std,
    and of smaller subsets where there are fewer images. Arguments beyond those of the function: see FeatureMetric."""

    higher_is_better = False

    def __init__(
        self, subsets: int = 100, subset_size: int = 1000, degree: int = 3, gamma: float | None = None,
        coef: float = 1.0, seed: int = 2020, extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__("fake", "real", extractor=extractor, reset_real_features=reset_real_features, **kwargs)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        self.degree, self.gamma, self.coef = degree, gamma, coef

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) float, or images"""
        self.keep(side(real), self.extracted(features).features)

    def compute(self) -> tuple[Tensor, Tensor]:
        """mean, deviation over the subsets"""
        mean, std = self.distance(self.subset_size)
        return self.scalar(mean), self.scalar(std)

    def distance(self, size: int) -> tuple[float, float]:
        kernel = self.degree, self.gamma, self.coef
        return kernel_distance(self.kept("fake"), self.kept("real"), self.subsets, size, *kernel, self.seed)

    def facts(self) -> dict[str, Any]:
        facts = self.settings("subsets", "subset_size", "degree", "seed")
        return facts | {"kernel": f"polynomial of degree {facts.pop('degree')}", "rng_seed": facts.pop("seed")}

    def report(self) -> Report:
        size = min(self.subset_size, len(self.kept("fake")), len(self.kept("real")))
        mean, std = self.distance(size)
        report = Report({"kd": mean, "kd_std": std})
        if size < self.subset_size:
            report.flags["small_kernel_subsets"] = f"kernel subsets have {size} images instead of {self.subset_size:,}"
        return report
