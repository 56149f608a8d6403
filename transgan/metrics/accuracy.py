"""How many images are taken for the class that they are labelled with."""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.report import Report


class ClassAccuracy(FeatureMetric):
    """The share of generated images that the extractor takes for the class asked for; reported as accuracy, beside
    that of held-out real images, accuracy_heldout, or where there are none of all real ones, accuracy_real."""

    higher_is_better = True
    needs_features = False
    heldout_seen: Tensor
    fake_total: Tensor

    def __init__(
        self,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        super().__init__(extractor=extractor, reset_real_features=reset_real_features, **kwargs)
        for name in ("real", "heldout", "fake"):
            for count in ("hits", "total"):
                self.add_state(f"{name}_{count}", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("heldout_seen", torch.tensor(0), dist_reduce_fx="max")

    def update(
        self, class_logits: Tensor | None, labels: Tensor | None, real: bool = False, heldout: bool = False
    ) -> None:
        """class_logits (N, K), whose columns are the classes of labels (N,) int64, or images; None: nothing to count"""
        name = side(real, heldout)
        if heldout:
            self.heldout_seen = torch.tensor(1, device=self.device)
        if class_logits is None or labels is None:
            return
        if self.extractor is not None:
            class_logits = self.extracted(class_logits).logits
            if class_logits is None:
                raise ValueError(f"an accuracy needs logits, and the extractor {self.extractor.name} has none")
        hits = (class_logits.argmax(1) == labels.to(class_logits.device)).sum()
        setattr(self, f"{name}_hits", getattr(self, f"{name}_hits") + hits.to(self.device))
        setattr(self, f"{name}_total", getattr(self, f"{name}_total") + len(labels))

    def compute(self) -> Tensor:
        """The share of generated images; NaN where there are none."""
        return self.share("fake")

    def share(self, name: str) -> Tensor:
        return getattr(self, f"{name}_hits").double() / getattr(self, f"{name}_total").double()

    def report(self) -> Report:
        if not self.fake_total:
            return Report({})
        numbers = {"accuracy": float(self.share("fake"))}
        beside = "heldout" if self.heldout_seen else "real"
        if getattr(self, f"{beside}_total"):
            numbers[f"accuracy_{beside}"] = float(self.share(beside))
        return Report(numbers)
