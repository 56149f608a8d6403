"""Metrics of one's own: how far the means of the features lie apart, and how bright the images are."""

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanDistance(Metric):
    higher_is_better = False
    real_sum: Tensor
    fake_sum: Tensor
    real_count: Tensor
    fake_count: Tensor

    def __init__(self, power: float = 2.0):
        super().__init__()
        self.power = power
        for name in ("real", "fake"):
            self.add_state(f"{name}_sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool = False) -> None:
        name = "real" if real else "fake"
        setattr(self, f"{name}_sum", getattr(self, f"{name}_sum") + features.double().mean(1).sum())
        setattr(self, f"{name}_count", getattr(self, f"{name}_count") + len(features))

    def compute(self) -> Tensor:
        return (self.real_sum / self.real_count - self.fake_sum / self.fake_count).abs() ** self.power


class Brightness(Metric):
    """Of the generated images themselves, 0 to 255."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "count"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images: Tensor) -> None:
        self.total = self.total + images.sum().to(self.device)
        self.count = self.count + images.numel()

    def compute(self) -> Tensor:
        return self.total / self.count
