"""Signs of memorisation: are generated rows closer to the training rows than held-out real ones are?"""

import torch
from torch import Tensor

from transgan.metrics.kernel import both
from transgan.metrics.manifold import nearest, sampled
from transgan.metrics.rows import RowMetric

SIDES = ("train", "heldout", "generated")


class Memorisation(RowMetric):
    """Copy rate, AuthPct (Alaa et al., 2022) and C_T (Meehan et al., 2020), each beside that of held-out real images.

    Of the held-out and of the generated rows at most `max_samples` are taken, drawn from `seed`; all training rows are
    searched. The held-out rows are then split in two halves. The first is the yardstick. The second stands in for a
    generator that has learned the distribution and copies nothing: it goes through exactly what the generated rows go
    through, and its numbers end in `_heldout`. With d(x) the distance of row x to the nearest training row:

    copy_rate   share of rows with d <= t, 0 to 1. t is the r-th smallest d of the m rows of the yardstick, where r is
                quantile * (m + 1), rounded: an honest generator is expected to show r / (m + 1), `calibrated_rate`.
    copy_rate_p chance that an honest generator shows as many such rows as the generated ones, or more (`copies_p`).
    auth_pct    percentage of rows whose nearest training row has another training row closer to it than they are:
                0 for copies, 100 for noise. What an honest generator has depends on the data: 50 and more, 80 where
                features are many and independent.
    c_t         z of the Mann-Whitney test of d against the yardstick's d, over the whole space: without the cells of
                the paper. Below 0: closer to the training rows than held-out ones, data copying; about N(0, 1) for an
                honest generator; above 0: further away, underfitting.

    A check, no proof: rows that are no copies in this feature space, or mirrored ones, go unseen. `nearest_pairs`,
    after compute(), holds the `pairs` closest (generated row, training row, distance) for a person to look at.
    80 CPU-seconds for 50,000 training rows, 10,000 of the others, and D = 2048.
    """

    higher_is_better = None

    def __init__(self, quantile: float = 0.01, max_samples: int = 10_000, pairs: int = 16, seed: int = 0, **kwargs):
        super().__init__(*SIDES, **kwargs)
        if not 0 < quantile < 1:
            raise ValueError(f"the quantile must be between 0 and 1, not {quantile}")
        self.quantile, self.max_samples, self.pairs, self.seed = quantile, max_samples, pairs, seed
        self.calibrated_rate: float | None = None
        self.nearest_pairs: list[tuple[int, int, float]] = []

    def update(self, features: Tensor, side: str) -> None:
        """features (N, D) float, of "train", "heldout" or "generated" images"""
        if side not in SIDES:
            raise ValueError(f"there are {', '.join(SIDES)} rows, and no {side} ones")
        self.keep(side, features)

    def compute(self) -> dict[str, float]:
        train, heldout, generated = map(self.rows, SIDES)
        for rows in (heldout, generated):
            both(rows, train)  # of one width
        kept = sampled(generated, self.max_samples, self.seed)
        order = torch.randperm(len(heldout), generator=torch.Generator().manual_seed(self.seed)).to(heldout.device)
        yard, stand_in = order[: self.max_samples].tensor_split([min(len(order), self.max_samples) // 2])
        rank = round(self.quantile * (len(yard) + 1))
        if rank < 1 or len(train) < 2 or len(generated) < 1:
            raise ValueError(
                f"memorisation is measured with 2 training rows, 1 generated row and about {1 / self.quantile:.0f} "
                f"held-out rows or more: there are {len(train)}, {len(generated)} and {len(heldout)}"
            )
        yardstick = nearest(heldout[yard], train, 1)[0][:, 0].sort().values
        limit = yardstick[rank - 1]
        rank = int((yardstick <= limit).sum())  # equal ones count
        self.calibrated_rate = rank / (len(yard) + 1)

        numbers = {}
        for name, rows in (("", generated[kept]), ("_heldout", heldout[stand_in])):
            squares, neighbour = (each[:, 0] for each in nearest(rows, train, 1))
            copies = int((squares <= limit).sum())
            numbers["copy_rate" + name] = copies / len(rows)
            if not name:
                numbers["copy_rate_p"] = copies_p(copies, len(rows), rank, len(yard))
                self.nearest_pairs = closest(squares, kept, neighbour, self.pairs)
            numbers["auth_pct" + name] = auth_pct(squares, neighbour, train)
            numbers["c_t" + name] = mann_whitney(squares, yardstick)
        return numbers


def auth_pct(squares: Tensor, neighbour: Tensor, train: Tensor) -> float:
    """Percentage of rows that are further from their nearest training row, `neighbour` (N,), than another one is."""
    hit, back = neighbour.unique(return_inverse=True)
    to_other = nearest(train[hit], train, 1, own=hit)[0][:, 0]
    return 100 * (to_other[back] < squares).double().mean().item()


def mann_whitney(x: Tensor, y: Tensor) -> float:
    """z of the number of pairs with x (N,) > y (M,), y ascending; ties count half, and narrow it a little."""
    n, m = len(x), len(y)
    larger = torch.searchsorted(y, x).double() + torch.searchsorted(y, x, right=True)  # twice the pairs
    return ((larger.sum() / 2 - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5).item()


def copies_p(copies: int, n: int, rank: int, m: int) -> float:
    """P(X >= copies) where X of n rows are no further away than the rank-th of m others, all from one distribution.

    The binomial test against the rate of the m, whose own uncertainty is in it: X is beta-binomial with
    alpha = rank and beta = m + 1 - rank, exactly, whatever the distribution.
    """
    x = torch.arange(copies, n + 1, dtype=torch.float64)
    rank, rest = torch.tensor([rank, m + 1 - rank], dtype=torch.float64)
    log_choose = torch.lgamma(torch.tensor(n + 1.0).double()) - torch.lgamma(x + 1) - torch.lgamma(n - x + 1)
    log_ways = log_beta(x + rank, n - x + rest) - log_beta(rank, rest)
    return (log_choose + log_ways).logsumexp(0).exp().clamp(max=1).item()


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def closest(squares: Tensor, rows: Tensor, neighbour: Tensor, count: int) -> list[tuple[int, int, float]]:
    """(generated row, training row, distance) of the closest pairs, ascending."""
    order = squares.argsort(stable=True)[:count]
    columns = rows[order], neighbour[order], squares[order].sqrt()
    return list(zip(*(column.tolist() for column in columns), strict=True))
