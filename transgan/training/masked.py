"""A network that predicts hidden parts of images from the visible ones (models/masked_images.py).

Which parts are hidden is random for every image in every step. Time is counted in images shown.
"""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.sampling.pixels import to_float
from transgan.training.autoregressive import Autoregressive
from transgan.training.randomness import StepRNG


class Masked(Autoregressive):
    """Trains `network`: (images, labels, hidden) -> nats, with `exact` for the likelihood of complete images.

    Args:
        mask_ratio: share of the tokens that is hidden, MAE's 0.75 for example; None: any number of them, equally
            likely, which trains the generative model that `exact` measures.
        others: as in autoregressive.py.
    """

    def __init__(self, network: nn.Module, *, mask_ratio: float | None = None, **others: Any):
        super().__init__(network, **others)
        if mask_ratio is not None and not 0 < mask_ratio <= 1:
            raise ValueError(f"algorithm.mask_ratio={mask_ratio:g}: it takes a share above 0, at most 1, or null")
        self.mask_ratio = mask_ratio

    def drawn(self, rng: StepRNG) -> tuple[Tensor, ...]:
        return (self.hidden(rng),)

    def hidden(self, rng: StepRNG) -> Tensor:
        """Which tokens (n, T) of each image are hidden, at least one."""
        network: Any = self.network
        count = network.grid_size[0] * network.grid_size[1]
        ranks = rng.uniform(count).argsort(1).argsort(1)  # of each token in a random order
        if self.mask_ratio is not None:
            return ranks < max(1, round(self.mask_ratio * count))
        return ranks <= (rng.uniform(1) * count).floor()

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each uint8 image (N,), by the EMA weights; exact, at the cost of a pass for every token."""
        network: Any = self.network_ema
        return network.bits_per_dim(network.exact(to_float(images.to(self.device)), self.on_device(labels)))
