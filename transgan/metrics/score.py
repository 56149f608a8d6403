"""The Inception Score (Salimans et al., 2016) of logits."""

import numpy as np
import torch
from torch import Tensor

from transgan.metrics.rows import RowMetric, checked


def inception_score(logits: Tensor, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """exp of the mutual information between image and class, 1 to K: mean and deviation (ddof 0) over `splits`.

    logits (N, K). The rows are permuted by numpy's RandomState(seed) and cut at i * N // splits, as in torch-fidelity,
    whose numbers these are. Entropies in float64: no gap between logits, however large, makes it infinite or NaN.

    Raises ValueError when there are fewer rows than splits.
    """
    logits = checked(logits, "logits")
    if not 1 <= splits <= len(logits):
        raise ValueError(
            f"a score over {splits} splits needs 1 split or more and a row for each: "
            f"there are {len(logits)} rows of logits"
        )
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(logits))).to(logits.device)
    scores = []
    for i in range(splits):
        part = logits[order[i * len(order) // splits : (i + 1) * len(order) // splits]].double()
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
