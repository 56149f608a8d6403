"""Precision, recall, density and coverage: how generated and real rows lie in each other's nearest neighbourhoods."""

import torch
from torch import Tensor

from transgan.metrics.exact import exact
from transgan.metrics.kernel import both
from transgan.metrics.rows import RowMetric

CHUNK = 512          # rows compared with all others at a time
SPARE = 4            # candidates beyond k that are measured exactly
ROUNDING = 1e-5      # of |x|^2 + |y|^2: more than float32 ever loses of |x - y|^2 = |x|^2 + |y|^2 - 2 x.y


def prdc(fake: Tensor, real: Tensor, k: int = 5) -> dict[str, float]:
    """Improved precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020).

    With r(x) the distance of row x of (N, D) to its k-th nearest other row on its own side:
    precision: share of generated rows closer than r(x) to some real x; recall: the same with the sides exchanged;
    density: how many real x a generated row is closer than r(x) to, over k, on average (may exceed 1);
    coverage: share of real x that have a generated row closer than r(x).
    Closer is `<`, as in the code of Naeem et al.; torch-fidelity and StyleGAN count `<=`.

    All comparisons are those of distances in float64: what float32 cannot decide is measured again.
    Raises ValueError unless both sides have the same number of rows, more than k.
    """
    fake, real = both(fake, real)
    n = len(real)
    if not 1 <= k < n or len(fake) != n:
        raise ValueError(f"{k} nearest neighbours need k of 1 or more and more than k rows, equally many on either "
                         f"side: there are {len(fake)} generated and {n} real rows")
    near_real, near_fake = (nearest(rows, rows, k, torch.arange(n, device=rows.device))[0][:, -1]
                            for rows in (real, fake))
    in_real, covered, recalled = 0, 0, 0      # real rows around each generated one; real rows reached; recalled
    precise = torch.zeros(n, dtype=torch.bool, device=real.device)
    distances = SquaredDistances(real, fake)
    for first in range(0, n, CHUNK):
        chunk = slice(first, min(first + CHUNK, n))
        squares, slack = distances[chunk]                                               # C x N
        hits = distances.below(squares, slack, near_real[chunk, None], first)           # C x N
        in_real += int(hits.sum())
        covered += int(hits.any(1).sum())
        precise |= hits.any(0)
        recalled += int(distances.below(squares, slack, near_fake[None], first).any(1).sum())
    return {"precision": precise.double().mean().item(), "recall": recalled / n,
            "density": in_real / (k * n), "coverage": covered / n}


class SquaredDistances:
    """Between rows x (N, D) and y (M, D), a chunk of x at a time: fast in float32, exact where it matters."""

    def __init__(self, x: Tensor, y: Tensor):
        self.x, self.y = x, y
        centre = y.mean(0)                    # far from the origin the matmul would leave nothing of a small distance
        self.a, self.b = x - centre, y - centre
        self.norms_a, self.norms_b = self.a.square().sum(1), self.b.square().sum(1)

    def __getitem__(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """float32 C x M of a chunk of x to all y, and how far off they may be."""
        norms = self.norms_a[chunk, None] + self.norms_b
        with exact(norms.device):
            return torch.addmm(norms, self.a[chunk], self.b.T, alpha=-2), norms * ROUNDING

    def measured(self, i: Tensor, j: Tensor, batch: int = 256) -> Tensor:
        """float64 (P,) of the pairs x[i], y[j], by their difference: of equal rows it is 0."""
        pairs = zip(i.split(batch), j.split(batch), strict=True)
        return torch.cat([(self.x[i].double() - self.y[j].double()).square().sum(1) for i, j in pairs])

    def below(self, squares: Tensor, slack: Tensor, limit: Tensor, first: int) -> Tensor:
        """bool C x M: squared distances < limit (C x 1 or 1 x M, float64), undecided ones measured again."""
        margin = squares - limit.float()
        hits = margin < -slack
        i, j = (margin.abs_() <= slack).nonzero(as_tuple=True)
        hits[i, j] = self.measured(first + i, j) < limit.expand(hits.shape)[i, j]
        return hits


def nearest(x: Tensor, y: Tensor, k: int, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest rows of y (M, D) to each row of x (N, D): squared distances float64 N x k, ascending, and indices.

    `own` (N,): the index in y of the row itself, which does not count. Candidates are found in float32, SPARE more
    than needed, and measured in float64. There must be k rows of y, besides the own one.
    """
    distances, squares, indices = SquaredDistances(x, y), [], []
    count = min(k + SPARE, len(y))
    for first in range(0, len(x), CHUNK):
        rough = distances[first:first + CHUNK][0]                                       # C x M
        here = torch.arange(len(rough), device=x.device)
        if own is not None:
            rough[here, own[first:first + CHUNK]] = torch.inf
        j = rough.topk(count, largest=False, sorted=False).indices.sort(1).values       # C x (k + SPARE)
        i = (first + here)[:, None].expand_as(j)
        exactly = distances.measured(i.flatten(), j.flatten()).view_as(rough[:, :count])
        if own is not None:
            exactly[j == own[first:first + CHUNK, None]] = torch.inf
        order = exactly.argsort(dim=1, stable=True)[:, :k]
        squares.append(exactly.gather(1, order))
        indices.append(j.gather(1, order))
    return torch.cat(squares), torch.cat(indices)


def sampled(rows: Tensor, most: int, seed: int) -> Tensor:
    """Indices of `most` of the rows, drawn from `seed`; of all of them, in order, if they are no more."""
    if len(rows) <= most:
        return torch.arange(len(rows), device=rows.device)
    return torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most].to(rows.device)


class PRDC(RowMetric):
    """`prdc` of generated and real rows, as many of either as the smaller side has and `max_samples` allows.

    The larger side is subsampled from `seed`, because the numbers depend on how many rows there are: `num_samples`,
    known after compute(), belongs to them.
    """

    higher_is_better = True

    def __init__(self, k: int = 5, max_samples: int = 10_000, seed: int = 0, **kwargs):
        super().__init__("fake", "real", **kwargs)
        self.k, self.max_samples, self.seed = k, max_samples, seed
        self.num_samples: int | None = None

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) float"""
        self.keep("real" if real else "fake", features)

    def compute(self) -> dict[str, float]:
        """precision, recall, density, coverage"""
        sides = [self.rows("fake"), self.rows("real")]
        self.num_samples = min(self.max_samples, *map(len, sides))
        return prdc(*(rows[sampled(rows, self.num_samples, self.seed)] for rows in sides), self.k)
