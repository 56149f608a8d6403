"""The Frechet distance between Gaussians fitted to features (Heusel et al., 2017), in float64 from sums to root."""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import checked
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.moments import Moments, MomentSums, merged_all, square_root
from transgan.metrics.report import Report

FEWEST_FOR_INFINITY = 50_000  # generated images


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
    """Whether the images of either were too few to span their features (n - 1 < D): the distance is mostly bias."""
    return any(moments.n is not None and moments.n - 1 < len(moments.mean) for moments in (a, b))


def frechet_infinity(
    real: Moments, fake: Tensor, points: int = 15, smallest: int = 5000, seed: int = 0, minimum: int = 50_000,
    root: Tensor | None = None,
) -> tuple[float, float]:  # fmt: skip
    """The Frechet distance that infinitely many generated images would have (Chong and Forsyth, 2020), and R^2.

    Distances of the first n of N images, in an order drawn from `seed`, at `points` sizes n from `smallest` to N, are
    extrapolated by a line in 1/n to its intercept. That may be negative: then n was too small, and it stays so.
    `root` is square_root(real.covariance), if it is at hand. 45 CPU-seconds for 50,000 images and D = 2048.
    Raises ValueError for fewer images than `minimum`.
    """
    total = len(checked(fake, "generated features"))
    if total < max(minimum, smallest + points - 1) or points < 3:
        raise ValueError(
            f"extrapolating needs {max(minimum, smallest + points - 1):,} generated images or more and 3 "
            f"points or more; there are {total:,} and {points}"
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).to(fake.device)
    sizes = [smallest + i * (total - smallest) // (points - 1) for i in range(points)]
    root = square_root(real.covariance) if root is None else root
    sums, distances = MomentSums(fake.shape[1], device=fake.device), []
    for first, size in zip([0, *sizes], sizes, strict=False):
        sums.update(fake[order[first:size]])
        distances.append(frechet_distance(sums.moments(), real, root))
    x = 1 / torch.tensor(sizes, dtype=torch.float64)
    y = torch.tensor(distances, dtype=torch.float64)
    x_left, y_left = x - x.mean(), y - y.mean()
    slope = x_left @ y_left / (x_left @ x_left)
    unexplained = (y_left - slope * x_left).square().sum()
    return (y.mean() - slope * x.mean()).item(), (1 - unexplained / y_left.square().sum()).item()


class FrechetDistance(FeatureMetric):
    """`frechet_distance` between real and generated images, of which only the sums are kept; reported as fd, and
    fd_heldout for held-out real images.

    `set_real` gives the real side as moments that every process holds: they count once, are no part of what is summed
    over processes, and stay after reset(). Raises ValueError at compute() for fewer than two images on either side.

    Args:
        per_class: the report has the distance of each class to its own real images; then labels are needed and all
            features are kept. infinity: the report has fd_infinity (`frechet_infinity`), from 50,000 generated images
            on. The others: see FeatureMetric.
    """

    higher_is_better = False
    needs_features = False

    def __init__(
        self,
        per_class: bool = False,
        infinity: bool = False,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        super().__init__(extractor=extractor, reset_real_features=reset_real_features, **kwargs)
        self.per_class, self.infinity = per_class, infinity
        self.moments: dict[str, Moments] = {}  # of real and heldout, where set_real() has given them
        self.roots: dict[str, Tensor] = {}
        self.real_classes: tuple[Tensor, Tensor] | None = None  # features and labels given with them
        for name in ("real", "heldout", "fake"):
            self.add_state(name, MomentSums(0).table, dist_reduce_fx=merged_all)
            self.add_state(f"{name}_pending", [], dist_reduce_fx="cat")
        for name in ("real_features", "real_labels", "fake_features", "fake_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def set_real(
        self,
        moments: Moments,
        root: Tensor | None = None,
        heldout: bool = False,
        features: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        """Compare with these from now on. `root` is their `square_root`, if it is at hand; `features` and `labels` of
        the same images are for `per_class`. Held-out ones come after the others, which replace both. Raises ValueError
        when real images were given already."""
        name = side(True, heldout)
        if self.sums(name).n:
            raise ValueError("real images were given already: set_real() takes their place and must come first")
        if not heldout:
            self.moments, self.roots = {}, {}
            self.real_classes = None if features is None or labels is None else (features, labels)
        self.moments[name], self._computed = moments, None
        self.roots[name] = square_root(moments.covariance) if root is None else root

    def update(self, features: Tensor, real: bool, heldout: bool = False, labels: Tensor | None = None) -> None:
        """features (N, D) of any float type, or images; `heldout`: of real images that were not trained on"""
        name = side(real, heldout)
        if name in self.moments:
            raise ValueError("set_real() has given the real moments: there is no place for real images beside them")
        features = self.extracted(features).features
        sums = self.sums(name)
        sums.update(features, f"{'generated' if name == 'fake' else name} features")
        setattr(self, name, sums.table)
        setattr(self, f"{name}_pending", sums.pending)
        if (self.per_class and not heldout) or (self.infinity and not real):
            getattr(self, f"{name}_features").append(features.detach().float())
        if self.per_class and not heldout and labels is not None:
            getattr(self, f"{name}_labels").append(labels[:, None].to(self.device))

    def compute(self) -> Tensor:
        """The distance of generated to real images."""
        return self.scalar(self.distance(self.sums("fake").moments("generated")))

    def distance(self, fake: Moments, to: str = "real") -> float:
        moments = self.moments.get(to) or self.sums(to).moments(to)
        return frechet_distance(fake, moments, self.roots.get(to))

    def sums(self, name: str) -> MomentSums:
        """The sums in the states of a side."""
        sums = MomentSums(0)
        sums.table = getattr(self, name)
        pending = getattr(self, f"{name}_pending")
        sums.pending = [pending] if isinstance(pending, Tensor) else list(pending)  # gathered, or not
        return sums

    def facts(self) -> dict[str, Any]:
        return self.settings("per_class", "infinity")

    def report(self) -> Report:
        fake = self.sums("fake").moments("generated")
        real = self.moments.get("real") or self.sums("real").moments("real")
        report = Report({"fd": self.distance(fake)})
        if is_rank_deficient(fake, real):
            assert fake.n is not None and real.n is not None
            report.flags["rank_deficient"] = (
                f"{min(fake.n, real.n):,} images cannot span {len(real.mean):,} features: the Frechet distance is "
                "mostly bias"
            )
        if "heldout" in self.moments or self.sums("heldout").n:
            report.numbers["fd_heldout"] = self.distance(fake, "heldout")
        if self.infinity and (fake.n or 0) >= FEWEST_FOR_INFINITY:
            features = self.kept("fake_features")
            report.numbers["fd_infinity"], fit = frechet_infinity(real, features, root=self.roots.get("real"))
            report.details["fd_infinity_r_squared"] = fit
        elif self.infinity:
            report.flags["no_infinity"] = "fd_infinity is left out: it needs 50,000 generated images"
        if self.per_class:
            self.add_classes(report)
        return report

    def add_classes(self, report: Report) -> None:
        """The distance of each class to its own real images, among the details."""
        real = self.real_classes or (self.kept("real_features"), self.kept("real_labels").flatten())
        fake = self.kept("fake_features"), self.kept("fake_labels").flatten()
        if not len(real[1]) or not len(fake[1]):
            return
        distances: dict[int, float | None] = {}
        small = 0
        for k in real[1].unique().tolist():
            ours, theirs = (features[labels == k] for features, labels in (fake, real))
            count = min(len(ours), len(theirs))
            distances[k] = None if count < 2 else frechet_distance(Moments.of(ours), Moments.of(theirs))
            small += 2 <= count <= ours.shape[1]
        report.details["fd_per_class"] = distances
        if small:
            report.flags["classes_rank_deficient"] = (
                f"{small} of {len(distances)} classes have fewer images than features: compare their distances "
                "at equal numbers only"
            )
