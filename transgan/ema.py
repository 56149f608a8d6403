"""The exponential moving average (EMA) of a network's weights, with a half-life counted in images."""

import torch
from torch import nn


def decay(images: int, halflife: float) -> float:
    """The share of the EMA that remains after so many images: half of it after `halflife` images (Karras, 2020)."""
    return 0.5 ** (images / halflife) if halflife > 0 else 0.0


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, keep: float) -> None:
    """ema <- keep * ema + (1 - keep) * network: parameters by one fused call, buffers copied."""
    torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - keep)
    for ours, theirs in zip(ema.buffers(), network.buffers(), strict=True):
        ours.copy_(theirs)
