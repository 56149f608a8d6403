"""Which images are measured and under which conditions: labels, and no trace left outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor


class ImageData(Protocol):
    """What the metrics ask of a data set: uint8 images N x C x H x W and int64 labels by their indices."""

    labels: Tensor
    num_classes: int
    class_names: Any
    channels: int
    resolution: int
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Any, /) -> tuple[Tensor, Tensor]: ...


@contextmanager
def isolated() -> Iterator[None]:
    """No gradients, and random numbers drawn inside leave no trace outside, also if something fails.

    Inference mode is left, because sums made inside it cannot be added to outside of it.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode(False), torch.no_grad():
        yield


def shuffled(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def quotas(labels: Tensor, num_classes: int, num_samples: int, seed: int) -> Tensor | None:
    """`num_samples` labels in the proportions of the data, exact up to rounding (largest remainders), shuffled."""
    if num_classes == 0:
        return None
    counts = torch.bincount(labels.cpu(), minlength=num_classes) * num_samples
    wanted, remainders = counts // len(labels), counts % len(labels)
    largest = remainders.argsort(descending=True, stable=True)[: num_samples - int(wanted.sum())]
    wanted[largest] += 1
    ordered = torch.repeat_interleave(torch.arange(num_classes), wanted)
    return ordered[torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))]
