"""The Inception Score (Salimans et al., 2016) of logits; and RowMetric, what all metrics of feature rows share."""

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors


def checked(rows: Tensor, name: str, first: int = 0) -> Tensor:
    """`rows` without their gradient. ValueError unless they are a float matrix (N, D) of finite numbers; it names the
    first bad row, counted from `first`."""
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(f"the {name} rows must be a float matrix (N, D), not {rows.dtype} of shape {tuple(rows.shape)}")
    bad = (~rows.isfinite().all(1)).nonzero().flatten()
    if len(bad):
        raise ValueError(f"{name} row {first + int(bad[0])} holds a number that is not finite, and so do {len(bad)} of "
                         f"these {len(rows)} rows: nothing can be computed from them")
    return rows.detach()


def gather_rows(rows: Tensor, group=None, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """The rows of every process, in the order of the ranks. One without rows takes part, though it knows no width."""
    parts = gather_all_tensors(rows if rows.ndim > 1 else rows.new_empty(0, 0, dtype=dtype), group)
    width = max(part.shape[1] for part in parts)
    return [part.reshape(len(part), width) for part in parts]


class RowMetric(Metric):
    """Keeps the rows (N, D) of some sides until compute(), or their sums; over processes, in the order of the ranks.

    Calling the metric is the same as update(): a batch has no value of its own. Rows are kept without a copy, so a
    buffer that is filled again later must be cloned. With several processes compute() is for all of them; where only
    one has the rows, give `sync_on_compute=False` (or use the plain function). `kwargs` are those of torchmetrics.

    Raises ValueError at update() for rows that are no float matrix or not finite, or whose width changes.
    """

    full_state_update = False

    def __init__(self, *sides: str, dtype: torch.dtype = torch.float32, **kwargs):
        super().__init__(dist_sync_fn=partial(gather_rows, dtype=dtype), **kwargs)
        self.rows_dtype = dtype
        for side in sides:
            self.add_state(side, [], dist_reduce_fx="cat")

    @property
    def update_called(self) -> bool:
        """A process with an empty share is no mistake; compute() itself says what is missing."""
        return True

    def forward(self, *args, **kwargs) -> None:
        self.update(*args, **kwargs)

    def keep(self, side: str, rows: Tensor, first: int = 0) -> None:
        """Adds rows to a side; their numbers in messages count on from `first` and what is kept already."""
        held = getattr(self, side)
        rows = checked(rows, side, first + sum(map(len, held)))
        if held and held[0].shape[1] != rows.shape[1]:
            raise ValueError(f"{side} rows had {held[0].shape[1]} features and now have {rows.shape[1]}")
        if len(rows):
            held.append(rows.to(self.device, self.rows_dtype))

    def rows(self, side: str) -> Tensor:
        """All rows of a side (N, D); (0, 0) when there are none."""
        held = getattr(self, side)
        if isinstance(held, Tensor):          # gathered
            return held
        if len(held) > 1:
            held[:] = [torch.cat(held)]       # in its place, or 50,000 rows would be held twice
        return held[0] if held else torch.empty(0, 0, dtype=self.rows_dtype, device=self.device)


def inception_score(logits: Tensor, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """exp of the mutual information between image and class, 1 to K: mean and deviation (ddof 0) over `splits`.

    logits (N, K). The rows are permuted by numpy's RandomState(seed) and cut at i * N // splits, as in torch-fidelity,
    whose numbers these are. Entropies in float64: no gap between logits, however large, makes it infinite or NaN.

    Raises ValueError when there are fewer rows than splits.
    """
    logits = checked(logits, "logits")
    if not 1 <= splits <= len(logits):
        raise ValueError(f"a score over {splits} splits needs 1 split or more and a row for each: "
                         f"there are {len(logits)} rows of logits")
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(logits))).to(logits.device)
    scores = []
    for i in range(splits):
        part = logits[order[i * len(order) // splits:(i + 1) * len(order) // splits]].double()
        log_p = part.log_softmax(1)
        p = log_p.exp()
        q = p.mean(0)
        # H(q) - E H(p); 0 * log 0 is 0 here, which it is not in the mean of p * (log p - log q)
        scores.append(((p * log_p).sum(1).mean() - torch.xlogy(q, q).sum()).exp().item())
    return float(np.mean(scores)), float(np.std(scores))


class InceptionScore(RowMetric):
    """`inception_score` of the logits of generated images: higher is better, at most the number of classes."""

    higher_is_better = True

    def __init__(self, splits: int = 10, seed: int = 2020, **kwargs):
        super().__init__("logits", **kwargs)
        self.splits, self.seed = splits, seed

    def update(self, logits: Tensor) -> None:
        """logits (N, K) float"""
        self.keep("logits", logits)

    def compute(self) -> tuple[float, float]:
        """mean, deviation over the splits"""
        return inception_score(self.rows("logits"), self.splits, self.seed)
