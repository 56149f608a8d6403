"""Random numbers that are a function of a seed alone, whatever the device, the batch or the history."""

import torch
from torch import Tensor


def mix(*numbers: int) -> int:
    """One well-mixed seed in [0, 2^63) from whole numbers (splitmix64, Steele et al., 2014, over each in turn)."""
    mask = 2**64 - 1
    state = 0
    for number in numbers:
        state = (state ^ (number & mask)) + 0x9E3779B97F4A7C15 & mask
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
        state ^= state >> 31
    return state >> 1


def seeded_uniform(seeds: list[int], *shape: int) -> Tensor:
    """(N, *shape) in [0, 1) in float64, each row a function of its own seed alone, generated on the CPU."""
    return torch.stack(
        [torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
    )


def seeded_normal(seeds: list[int], *shape: int) -> Tensor:
    """(N, *shape) standard normal numbers, each row a function of its own seed alone, generated on the CPU."""
    return torch.stack([torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
