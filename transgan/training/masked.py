"""A network that predicts hidden parts of images from what is shown of them (models/masked_images.py).

Which parts are hidden is drawn anew for every image in every step. Time is images shown.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from transgan.schedules import Schedule
from transgan.training.autoregressive import Autoregressive
from transgan.training.generative import to_float
from transgan.training.randomness import StepRNG


class Masked(Autoregressive):
    """Trains `network`: (images, labels, hidden) -> nats, with `exact` for the likelihood of whole images.

    `mask_ratio` is the share of the tokens that is hidden, MAE's 0.75 for example; None: any number of them, equally
    likely, which trains the generative model that `exact` measures. The other arguments are those of Autoregressive.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float | Schedule,
        ema_halflife: float | Schedule,
        clip: float | None,
        top_k: int | None,
        mirror: bool,
        max_nonfinite: int,
        compile: str | None,
        batch_size: int,
        seed: int,
        num_classes: int,
        mask_ratio: float | None,
    ):
        super().__init__(
            network, optimizer, lr, ema_halflife, clip, top_k, mirror, max_nonfinite, compile, batch_size, seed,
            num_classes,
        )  # fmt: skip
        if mask_ratio is not None and not 0 < mask_ratio <= 1:
            raise ValueError(f"algorithm.mask_ratio={mask_ratio:g}: it takes a share above 0, at most 1, or null")
        self.mask_ratio = mask_ratio

    def loss(self, images: Tensor, labels: Tensor | None, draws: StepRNG) -> Tensor:
        return self.objective(self.network, images, labels, self.hidden(draws))

    def hidden(self, draws: StepRNG) -> Tensor:
        """Which tokens (n, T) of each image are hidden, one at least."""
        count = self.network.grid_size[0] * self.network.grid_size[1]
        positions = draws.uniform(count).argsort(1).argsort(1)  # of each token in a random order
        if self.mask_ratio is not None:
            return positions < max(1, round(self.mask_ratio * count))
        return positions <= (draws.uniform(1) * count).floor()

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each uint8 image (N,), by the averaged network; exact, at the cost of a pass for every token."""
        network = self.network_ema
        return network.bits_per_dim(network.exact(to_float(images.to(self.device)), self.known(labels)))
