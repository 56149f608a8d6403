"""The Inception Score (Salimans et al., 2016) of logits."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import checked
from transgan.metrics.metric import FeatureMetric
from transgan.metrics.report import Report


def inception_score(logits: Tensor, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """exp of the mutual information between image and class, 1 to K: mean and deviation (ddof 0) over `splits`.

    logits (N, K). The images are permuted by numpy's RandomState(seed) and cut at i * N // splits, as in
    torch-fidelity, whose numbers these are. Entropies in float64: no gap between logits, however large, makes it
    infinite or NaN.

    Raises ValueError when there are fewer images than splits.
    """
    logits = checked(logits, "logits")
    if not 1 <= splits <= len(logits):
        raise ValueError(
            f"a score over {splits} splits needs 1 split or more and an image for each: "
            f"there are logits of {len(logits)} images"
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


class InceptionScore(FeatureMetric):
    """`inception_score` of the logits of generated images: higher is better, at most the number of classes. Reported
    as cs and cs_std, and of fewer splits where there are fewer images. With an extractor, it takes images."""

    higher_is_better = True
    needs_features = False

    def __init__(
        self, splits: int = 10, seed: int = 2020, extractor: FeatureExtractor | nn.Module | None = None, **kwargs: Any
    ):
        super().__init__("logits", extractor=extractor, **kwargs)
        self.splits, self.seed = splits, seed

    def update(self, logits: Tensor | None, real: bool = False) -> None:
        """logits (N, K) float, or images; real ones, which a collection gives to all its metrics, are passed over"""
        if logits is None or real:
            return
        if self.extractor is not None:
            logits = self.extracted(logits).logits
            if logits is None:
                raise ValueError(f"an Inception Score needs logits, and the extractor {self.extractor.name} has none")
        self.keep("logits", logits)

    def compute(self) -> tuple[Tensor, Tensor]:
        """mean, deviation over the splits"""
        mean, std = inception_score(self.kept("logits"), self.splits, self.seed)
        return self.scalar(mean), self.scalar(std)

    def facts(self) -> dict[str, Any]:
        return self.settings("splits")

    def report(self) -> Report:
        logits = self.kept("logits")
        if not len(logits):
            return Report({})
        splits = min(self.splits, len(logits))
        mean, std = inception_score(logits, splits, self.seed)
        report = Report({"cs": mean, "cs_std": std})
        if splits < self.splits:
            report.flags["few_splits"] = f"the score has {splits} splits instead of {self.splits}"
        return report
