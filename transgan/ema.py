"""The exponential moving average of a network's weights, with a half-life counted in images."""

import torch
from torch import nn


def decay(batch_size: int, halflife: float) -> float:
    """How much of the average stays after `batch_size` images: half of it after `halflife` images (Karras, 2020)."""
    return 0.5 ** (batch_size / halflife) if halflife > 0 else 0.0


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * network, parameters by one fused call, buffers copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
    for ours, theirs in zip(average.buffers(), network.buffers(), strict=True):
        ours.copy_(theirs)
