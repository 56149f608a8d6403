"""What the numbers of 50,000 images cost once the features are there: less than extracting them does.

    python benchmarks/metrics.py [IMAGES [FEATURES]]

Prints CPU seconds of each metric and the memory at most. With 50,000 images and 2,048 features a distance takes some
4 seconds and everything a minute, where a float32 product of two 2,048 x 2,048 matrices takes 0.16 CPU seconds; 0.8 GB
are the features, and 3 GB more are not needed.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from transgan.metrics import PRDC
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.kernel import kernel_distance
from transgan.metrics.moments import Moments


def features(seed: int, n: int, d: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=generator) * torch.arange(1, d + 1) ** -0.5).add_(0.4)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GB


def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    began = time.process_time()
    result = function(*arguments)
    print(f"{name:10} {time.process_time() - began:6.1f} s")
    return result


def main(n: int = 50_000, d: int = 2048) -> None:
    square = torch.randn(2048, 2048, generator=torch.Generator().manual_seed(0))
    square @ square
    timed("products", lambda: [square @ square for _ in range(5)])
    real, fake = features(0, n, d), features(1, n, d)
    before, start = peak(), time.process_time()
    a, b = (timed("moments", Moments.of, each) for each in (fake, real))
    timed("distance", frechet_distance, a, b)
    timed("kernel", kernel_distance, fake, real)
    metric = PRDC()
    metric.update(real, real=True)
    metric.update(fake, real=False)
    timed("prdc", metric.compute)
    print(f"{'all':10} {time.process_time() - start:6.1f} s, {peak():.2f} GB at most, {before:.2f} before")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
