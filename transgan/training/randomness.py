"""Random numbers that are a function of (seed, step, sample), whatever the device count or the history.

A resumed run repeats an uninterrupted one, and two processes get between them the numbers that one process gets alone.
"""

import torch
from torch import Tensor

from transgan.sampling.randomness import mix


class StepRNG:
    """The random numbers of one training step, for the `batch` samples of process `rank` out of `world_size`.

    Every process generates the numbers of the complete batch and keeps its own part. They are generated on `device`;
    another kind of device gives other numbers.
    """

    def __init__(self, seed: int, step: int, batch: int, rank: int, world_size: int, device: torch.device):
        self.generator = torch.Generator(device).manual_seed(mix(seed, step))
        self.total, self.own = batch * world_size, slice(batch * rank, batch * (rank + 1))
        self.device = device

    def uniform(self, *shape: int) -> Tensor:
        """(batch, *shape) in [0, 1)."""
        return torch.rand(self.total, *shape, generator=self.generator, device=self.device)[self.own]

    def normal(self, *shape: int) -> Tensor:
        """(batch, *shape), standard normal."""
        return torch.randn(self.total, *shape, generator=self.generator, device=self.device)[self.own]
