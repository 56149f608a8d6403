"""Distances between the features of many images, and each one's nearest: fast in float32, exact where it matters."""

from collections.abc import Callable

import torch
from torch import Tensor

from transgan.metrics.exact import exact

CHUNK = 512  # images compared with all others at a time
SPARE = 4  # candidates beyond k that are measured exactly
ROUNDING = 1e-5  # of |x|^2 + |y|^2: more than float32 ever loses of |x - y|^2 = |x|^2 + |y|^2 - 2 x.y

Closer = Callable[[Tensor, Tensor], Tensor]  # (d, r) -> which squared distances d are within squared radii r


def radii(features: Tensor, k: int) -> Tensor:
    """Squared distances float64 (N,) of images to their k-th nearest other one: 0 for an image with k twins."""
    return nearest(features, features, k, torch.arange(len(features), device=features.device))[0][:, -1]


class SquaredDistances:
    """Between features x (N, D) and y (M, D), a chunk of x at a time."""

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

    def within(self, squares: Tensor, slack: Tensor, limit: Tensor, first: int, closer: Closer) -> Tensor:
        """bool C x M: closer(squared distances, limit (C x 1 or 1 x M, float64)), undecided ones measured again."""
        margin = squares - limit.float()
        hits = margin < -slack
        i, j = (margin.abs_() <= slack).nonzero(as_tuple=True)
        hits[i, j] = closer(self.measured(first + i, j), limit.expand(hits.shape)[i, j])
        return hits


def nearest(x: Tensor, y: Tensor, k: int, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest images of y (M, D) to each of x (N, D): squared distances float64 N x k, ascending, and indices.

    `own` (N,): the index in y of the image itself, which does not count. Candidates are found in float32, SPARE more
    than needed or, where rounding hides which are the nearest, all that may be; they are measured in float64. There
    must be k images in y, besides the own one.
    """
    distances, squares, indices = SquaredDistances(x, y), [], []
    count = min(k + SPARE, len(y))
    for first in range(0, len(x), CHUNK):
        rough, slack = distances[first : first + CHUNK]  # C x M
        local = torch.arange(len(rough), device=x.device)
        mine = None if own is None else own[first : first + CHUNK]
        if mine is not None:
            rough[local, mine] = torch.inf
        candidates = rough.topk(count, largest=False, sorted=False)
        j = candidates.indices.sort(1).values  # C x (k + SPARE)
        i = (first + local)[:, None].expand_as(j)
        exactly = distances.measured(i.flatten(), j.flatten()).view_as(rough[:, :count])
        if mine is not None:
            exactly[j == mine[:, None]] = torch.inf
        order = exactly.argsort(dim=1, stable=True)[:, :k]
        squares.append(exactly.gather(1, order))
        indices.append(j.gather(1, order))
        # an image left out is no nearer than its rough distance less the slack, and none is nearer than a twin
        last = squares[-1][:, -1]
        doubtful = (candidates.values.amax(1) - slack.amax(1) < last) & (last > 0) & (count < len(y))
        for row in doubtful.nonzero().flatten().tolist():
            j = (rough[row] - slack[row] <= last[row]).nonzero().flatten()
            exactly = distances.measured(torch.full_like(j, first + row), j)
            order = exactly.argsort(stable=True)[:k]
            squares[-1][row], indices[-1][row] = exactly[order], j[order]
    return torch.cat(squares), torch.cat(indices)
