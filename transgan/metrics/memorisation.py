"""Signs of memorisation: are generated images closer to the training images than held-out real ones are?"""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.metrics.distances import nearest
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import of_equal_width, subsampled
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.report import Report

FEWEST_HELDOUT = 200  # half of them are the baseline, 1 % of which must be an image


class Memorisation(FeatureMetric):
    """Copy rate, AuthPct (Alaa et al., 2022) and C_T (Meehan et al., 2020), each beside that of held-out real images.

    Of the held-out and of the generated images at most `max_samples` are taken, drawn from `seed`; all training images
    are searched. The held-out images are then split in two halves. The first is the baseline. The second stands in for
    a generator that has learned the distribution and copies nothing: it goes through exactly what the generated images
    go through, and its numbers end in `_heldout`. With d(x) the distance of the features of image x to those of the
    nearest training image:

    copy_rate   share of images with d <= t, 0 to 1. t is the r-th smallest d of the m images of the baseline, where r
                is quantile * (m + 1), rounded: an honest generator is expected to show r / (m + 1), `calibrated_rate`.
    copy_rate_p probability that an honest generator shows as many such images as the generated ones, or more
                (`tail_probability`).
    auth_pct    percentage of images whose nearest training image has another training image closer to it than they
                are: 0 for copies, 100 for noise. What an honest generator has depends on the data: 50 and more, 80
                where features are many and independent.
    c_t         z of the Mann-Whitney test of d against the baseline's d, over the whole space: without the cells of
                the paper. Below 0: closer to the training images than held-out ones, data copying; about N(0, 1) for
                an honest generator; above 0: further away, underfitting.

    A check, no proof: images that are no copies in this feature space, or mirrored ones, go unnoticed. `nearest_pairs`,
    after compute(), holds the `pairs` closest (generated image, training image, distance) to look at.
    80 CPU-seconds for 50,000 training images, 10,000 of the others, and D = 2048. Other arguments: see FeatureMetric.
    """

    higher_is_better = None

    def __init__(
        self,
        quantile: float = 0.01,
        max_samples: int = 10_000,
        pairs: int = 16,
        seed: int = 0,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        states = ("real", "heldout", "fake")
        super().__init__(*states, extractor=extractor, reset_real_features=reset_real_features, **kwargs)
        if not 0 < quantile < 1:
            raise ValueError(f"the quantile must be between 0 and 1, not {quantile}")
        self.quantile, self.max_samples, self.pairs, self.seed = quantile, max_samples, pairs, seed
        self.calibrated_rate: float | None = None
        self.nearest_pairs: list[tuple[int, int, float]] = []

    def update(self, features: Tensor, real: bool, heldout: bool = False) -> None:
        """features (N, D) float, or images; real ones are training images, or with `heldout` were not trained on"""
        self.keep(side(real, heldout), self.extracted(features).features)

    def compute(self) -> dict[str, Tensor]:
        return {name: self.scalar(value) for name, value in self.numbers().items()}

    def numbers(self) -> dict[str, float]:
        train, heldout, generated = map(self.kept, ("real", "heldout", "fake"))
        for features in (heldout, generated):
            of_equal_width(features, train)
        chosen = subsampled(generated, self.max_samples, self.seed)
        order = torch.randperm(len(heldout), generator=torch.Generator().manual_seed(self.seed)).to(heldout.device)
        first, second = order[: self.max_samples].tensor_split([min(len(order), self.max_samples) // 2])
        rank = round(self.quantile * (len(first) + 1))
        if rank < 1 or len(train) < 2 or len(generated) < 1:
            raise ValueError(
                f"memorisation is measured with 2 training images, 1 generated image and about {1 / self.quantile:.0f} "
                f"held-out images or more: there are {len(train)}, {len(generated)} and {len(heldout)}"
            )
        baseline = nearest(heldout[first], train, 1)[0][:, 0].sort().values
        limit = baseline[rank - 1]
        rank = int((baseline <= limit).sum())  # equal ones count
        self.calibrated_rate = rank / (len(first) + 1)

        numbers = {}
        for name, features in (("", generated[chosen]), ("_heldout", heldout[second])):
            squares, neighbour = (each[:, 0] for each in nearest(features, train, 1))
            within = int((squares <= limit).sum())
            numbers["copy_rate" + name] = within / len(features)
            if not name:
                numbers["copy_rate_p"] = tail_probability(within, len(features), rank, len(first))
                self.nearest_pairs = closest(squares, chosen, neighbour, self.pairs)
            numbers["auth_pct" + name] = auth_pct(squares, neighbour, train)
            numbers["c_t" + name] = mann_whitney(squares, baseline)
        return numbers

    def facts(self) -> dict[str, Any]:
        return self.settings("max_samples")

    def report(self) -> Report:
        if len(self.kept("heldout")) < FEWEST_HELDOUT:
            return Report(
                {},
                flags={
                    "no_memorisation": (
                        f"memorisation is not measured: it needs {FEWEST_HELDOUT} held-out real images: train "
                        "with holdout=0.1, or give transgan evaluate heldout=PATH"
                    )
                },
            )
        numbers = self.numbers()
        pairs = [{"generated": i, "real": j, "distance": d} for i, j, d in self.nearest_pairs]
        return Report(numbers, {"nearest_pairs": pairs})


def auth_pct(squares: Tensor, neighbour: Tensor, train: Tensor) -> float:
    """Percentage of images further from their nearest training image, `neighbour` (N,), than another one is from it."""
    hit, back = neighbour.unique(return_inverse=True)
    to_other = nearest(train[hit], train, 1, own=hit)[0][:, 0]
    return 100 * (to_other[back] < squares).double().mean().item()


def mann_whitney(x: Tensor, y: Tensor) -> float:
    """z of the number of pairs with x (N,) > y (M,), y ascending; ties count half, and narrow it a little."""
    n, m = len(x), len(y)
    larger = torch.searchsorted(y, x).double() + torch.searchsorted(y, x, right=True)  # twice the pairs
    return ((larger.sum() / 2 - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5).item()


def tail_probability(count: int, n: int, rank: int, m: int) -> float:
    """P(X >= count) where X of n images are no further away than the rank-th of m others, all from one distribution.

    The binomial test against the rate of the m, whose own uncertainty is in it: X is beta-binomial with
    alpha = rank and beta = m + 1 - rank, exactly, whatever the distribution.
    """
    x = torch.arange(count, n + 1, dtype=torch.float64)
    alpha, beta = torch.tensor([rank, m + 1 - rank], dtype=torch.float64)
    log_choose = torch.lgamma(torch.tensor(n + 1.0).double()) - torch.lgamma(x + 1) - torch.lgamma(n - x + 1)
    log_ways = log_beta(x + alpha, n - x + beta) - log_beta(alpha, beta)
    return (log_choose + log_ways).logsumexp(0).exp().clamp(max=1).item()


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def closest(squares: Tensor, images: Tensor, neighbour: Tensor, count: int) -> list[tuple[int, int, float]]:
    """(generated image, training image, distance) of the closest pairs, ascending."""
    order = squares.argsort(stable=True)[:count]
    columns = images[order], neighbour[order], squares[order].sqrt()
    return list(zip(*(column.tolist() for column in columns), strict=True))
