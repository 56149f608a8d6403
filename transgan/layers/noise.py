"""Noise on tokens: new at every call while training, otherwise fixed per sample, in any batch and on any device.

N batch, T tokens, C channels.
"""

import torch
from torch import Tensor, nn


def mix(x: Tensor) -> Tensor:
    """Hashes int64 numbers elementwise (the finaliser of splitmix64, Steele et al., 2014)."""

    def shift(x: Tensor, by: int) -> Tensor:  # torch's >> extends the sign
        return (x >> by) & ((1 << (64 - by)) - 1)

    x = x + (0x9E3779B97F4A7C15 - 2**64)
    x = (x ^ shift(x, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    x = (x ^ shift(x, 27)) * (0x94D049BB133111EB - 2**64)
    return x ^ shift(x, 31)


def sample_seeds(x: Tensor) -> Tensor:  # (N, ...)
    """An int64 seed (N,) per sample: a function of the bits of its own float32 values."""
    bits = x.detach().float().flatten(1).contiguous().view(torch.int32).long()  # (N, M)
    positions = mix(torch.arange(bits.shape[1], device=x.device))
    return mix((bits * (positions | 1)).sum(1))  # integers: the order of summation does not matter


def seeded_tokens(seeds: Tensor, tokens: int) -> Tensor:  # (N,)
    """Standard normal numbers (N, tokens), float32; number t of sample i is a function of seeds[i] and t."""
    state = mix(seeds[:, None] + mix(torch.arange(tokens, device=seeds.device)))
    uniform = ((state >> 41) & 0x7FFFFF).float()  # 0 ... 2^23 - 1, exact
    return torch.erfinv((2 * uniform + 1) / 2**23 - 1) * 2**0.5


class TokenNoise(nn.Module):
    """x + strength * one standard normal number per token; the strength is learned, initially 0 (TransGAN; StyleGAN,
    2019).

    Without seeds the noise comes from torch's global generator. With seeds (N,), which networks pass in eval mode, the
    noise of each sample is a function of its seed alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, seeds: Tensor | None = None) -> Tensor:  # (N, T, C), (N,)
        if seeds is None:
            noise = torch.randn(*x.shape[:2], device=x.device, dtype=x.dtype)
        else:
            noise = seeded_tokens(seeds, x.shape[1]).to(x.dtype)
        return x + self.strength * noise.unsqueeze(-1)  # (N, T, C)
