"""Precision, recall, density and coverage: how generated and real rows lie in each other's nearest neighbourhoods."""

import torch
from torch import Tensor

from transgan.metrics.exact import exact
from transgan.metrics.kernel import both
from transgan.metrics.rows import RowMetric

CHUNK = 512  # rows compared with all others at a time
SPARE = 4  # candidates beyond k that are measured exactly
ROUNDING = 1e-5  # of |x|^2 + |y|^2: more than float32 ever loses of |x - y|^2 = |x|^2 + |y|^2 - 2 x.y


def precision_recall(fake: Tensor, real: Tensor, k: int = 3) -> dict[str, float]:
    """Improved precision and recall (Kynkaanniemi et al., 2019), as torch-fidelity and StyleGAN count them.

    With r(x) the distance of row x of (N, D) to its k-th nearest other row on its own side:
    precision: share of generated rows no further than r(x) from some real x; recall: the same with the sides exchanged.
    No further is `<=`: of a set against itself both are 1, also if its rows are repeated. Raises ValueError as `prdc`.
    """
    found = neighbourhoods(fake, real, k, Tensor.le)[0]
    return {name: found[name] for name in ("precision", "recall")}


def prdc(fake: Tensor, real: Tensor, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage as Naeem et al. (2020) and their package prdc count them.

    With r(x) as above: precision: share of generated rows closer than r(x) to some real x; recall: the same with the
    sides exchanged; density: how many real x a generated row is closer than r(x) to, over k, on average (may exceed 1);
    coverage: share of real x that have a generated row closer than r(x).
    Closer is `<`: a row with k twins has r(x) = 0, and nothing is closer than that.

    All comparisons are those of distances in float64: what float32 cannot decide is measured again.
    Raises ValueError unless either side has more rows than k; they need not be equally many.
    """
    return neighbourhoods(fake, real, k, Tensor.lt)[0]


def neighbourhoods(fake: Tensor, real: Tensor, k: int, closer) -> tuple[dict[str, float], tuple[int, int]]:
    """-> (the four numbers, how many generated and real rows have k equal ones or more)

    `closer(d, r)` says which squared distances d are within squared radii r.
    """
    fake, real = both(fake, real)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < min(len(fake), len(real)):
        raise ValueError(
            f"{k} nearest neighbours need k of 1 or more and more than k rows on either side: there are "
            f"{len(fake)} generated and {len(real)} real rows"
        )
    near_real, near_fake = radii(real, k), radii(fake, k)
    in_real, covered, recalled = 0, 0, 0  # real rows around each generated one; real rows reached; recalled
    precise = torch.zeros(len(fake), dtype=torch.bool, device=real.device)
    distances = SquaredDistances(real, fake)
    for first in range(0, len(real), CHUNK):
        chunk = slice(first, min(first + CHUNK, len(real)))
        squares, slack = distances[chunk]  # C x M
        hits = distances.within(squares, slack, near_real[chunk, None], first, closer)  # C x M
        in_real += int(hits.sum())
        covered += int(hits.any(1).sum())
        precise |= hits.any(0)
        recalled += int(distances.within(squares, slack, near_fake[None], first, closer).any(1).sum())
    numbers = {
        "precision": precise.double().mean().item(),
        "recall": recalled / len(real),
        "density": in_real / (k * len(fake)),
        "coverage": covered / len(real),
    }
    return numbers, (int((near_fake == 0).sum()), int((near_real == 0).sum()))


def radii(rows: Tensor, k: int) -> Tensor:
    """Squared distances float64 (N,) of rows (N, D) to their k-th nearest other row: 0 for one with k twins."""
    return nearest(rows, rows, k, torch.arange(len(rows), device=rows.device))[0][:, -1]


class SquaredDistances:
    """Between rows x (N, D) and y (M, D), a chunk of x at a time: fast in float32, exact where it matters."""

    def __init__(self, x: Tensor, y: Tensor):
        self.x, self.y = x, y
        centre = y.mean(0)  # far from the origin the matmul would leave nothing of a small distance
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

    def within(self, squares: Tensor, slack: Tensor, limit: Tensor, first: int, closer) -> Tensor:
        """bool C x M: closer(squared distances, limit (C x 1 or 1 x M, float64)), undecided ones measured again."""
        margin = squares - limit.float()
        hits = margin < -slack
        i, j = (margin.abs_() <= slack).nonzero(as_tuple=True)
        hits[i, j] = closer(self.measured(first + i, j), limit.expand(hits.shape)[i, j])
        return hits


def nearest(x: Tensor, y: Tensor, k: int, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest rows of y (M, D) to each row of x (N, D): squared distances float64 N x k, ascending, and indices.

    `own` (N,): the index in y of the row itself, which does not count. Candidates are found in float32, SPARE more
    than needed or, where rounding hides which are the nearest, all that may be; they are measured in float64. There
    must be k rows of y, besides the own one.
    """
    distances, squares, indices = SquaredDistances(x, y), [], []
    count = min(k + SPARE, len(y))
    for first in range(0, len(x), CHUNK):
        rough, slack = distances[first : first + CHUNK]  # C x M
        here = torch.arange(len(rough), device=x.device)
        mine = None if own is None else own[first : first + CHUNK]
        if mine is not None:
            rough[here, mine] = torch.inf
        candidates = rough.topk(count, largest=False, sorted=False)
        j = candidates.indices.sort(1).values  # C x (k + SPARE)
        i = (first + here)[:, None].expand_as(j)
        exactly = distances.measured(i.flatten(), j.flatten()).view_as(rough[:, :count])
        if mine is not None:
            exactly[j == mine[:, None]] = torch.inf
        order = exactly.argsort(dim=1, stable=True)[:, :k]
        squares.append(exactly.gather(1, order))
        indices.append(j.gather(1, order))
        # a row left out is no nearer than its rough distance less the slack, and none is nearer than a twin
        last = squares[-1][:, -1]
        doubtful = (candidates.values.amax(1) - slack.amax(1) < last) & (last > 0) & (count < len(y))
        for row in doubtful.nonzero().flatten().tolist():
            j = (rough[row] - slack[row] <= last[row]).nonzero().flatten()
            exactly = distances.measured(torch.full_like(j, first + row), j)
            order = exactly.argsort(stable=True)[:k]
            squares[-1][row], indices[-1][row] = exactly[order], j[order]
    return torch.cat(squares), torch.cat(indices)


def sampled(rows: Tensor, most: int, seed: int) -> Tensor:
    """Indices of `most` of the rows, drawn from `seed`; of all of them, in order, if they are no more."""
    if len(rows) <= most:
        return torch.arange(len(rows), device=rows.device)
    return torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most].to(rows.device)


class Neighbourhoods(RowMetric):
    """Base of the two metrics: all rows of either side, or `max_samples` of them, drawn from `seed`.

    The numbers depend on how many rows there are: `num_samples`, (generated, real), known after compute(), belongs to
    them, and `num_twins`, likewise, says how many have k equal ones or more.
    """

    higher_is_better = True

    def __init__(self, k: int, max_samples: int | None, seed: int = 0, **kwargs):
        super().__init__("fake", "real", **kwargs)
        self.k, self.max_samples, self.seed = k, max_samples, seed
        self.num_samples: tuple[int, int] | None = None
        self.num_twins: tuple[int, int] | None = None

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) float"""
        self.keep("real" if real else "fake", features)

    def counted(self, closer) -> dict[str, float]:
        """The four numbers, as `neighbourhoods` has them."""
        sides = [self.rows("fake"), self.rows("real")]
        if self.max_samples is not None:
            sides = [rows[sampled(rows, self.max_samples, self.seed)] for rows in sides]
        self.num_samples = len(sides[0]), len(sides[1])
        numbers, self.num_twins = neighbourhoods(*sides, self.k, closer)
        return numbers


class PrecisionRecall(Neighbourhoods):
    """`precision_recall` of generated and real rows."""

    def __init__(self, k: int = 3, max_samples: int | None = None, seed: int = 0, **kwargs):
        super().__init__(k, max_samples, seed, **kwargs)

    def compute(self) -> dict[str, float]:
        """precision, recall"""
        numbers = self.counted(Tensor.le)
        return {name: numbers[name] for name in ("precision", "recall")}


class PRDC(Neighbourhoods):
    """`prdc` of generated and real rows."""

    def __init__(self, k: int = 5, max_samples: int | None = 10_000, seed: int = 0, **kwargs):
        super().__init__(k, max_samples, seed, **kwargs)

    def compute(self) -> dict[str, float]:
        """precision, recall, density, coverage"""
        return self.counted(Tensor.lt)
