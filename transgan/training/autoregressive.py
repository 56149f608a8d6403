"""A network that gives every image a likelihood, trained to give those of the data a high one.

One batch is one optimizer step on the mean of -log p, in bits per dimension. Time is counted in images shown.
"""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.sampling import TokenSampler
from transgan.sampling.pixels import to_float
from transgan.training.generative import Batch
from transgan.training.likelihood import LikelihoodModule
from transgan.training.randomness import StepRNG


class Autoregressive(LikelihoodModule):
    """Trains `network` by its likelihood, which is exact.

    Args:
        network: (images, labels) -> -log p (N,) in nats, with the other methods of TokenByToken.
        top_k: sample each token from so many likeliest values, None for all.
        compile: None for eager, or a torch.compile backend such as "inductor".
        others: as in likelihood.py and generative.py.

    `truncation` of `generate` is the temperature, more than 0.
    """

    def __init__(self, network: nn.Module, *, top_k: int | None = None, compile: str | None = None, **others: Any):
        super().__init__(network, **others)
        self.top_k = top_k
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng = self.begin_step(len(images))
        images, more = self.mirrored(to_float(images), rng), self.drawn(rng)

        def objective(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            value = self.objective(self.network, images[part], some, *(each[part] for each in more))
            return value, {"bits_per_dim": value}

        self.learn(objective, len(images), self.scheduled())

    def drawn(self, rng: StepRNG) -> tuple[Tensor, ...]:
        """What the network is given beside images and labels, for each image."""
        return ()

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each uint8 image (N,), by the EMA weights."""
        network: Any = self.network_ema
        return network.bits_per_dim(network(to_float(images.to(self.device)), self.on_device(labels)))

    def sampler_of_images(self) -> TokenSampler:
        return TokenSampler(self.network_ema, self.num_classes, self.top_k)

    def complete(
        self, images: Tensor, rows: int, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """uint8 images that keep the upper `rows` rows of `images` and are generated below, image i by seeds[i]."""
        return self.sampler_of_images().sharing(self.at_once).complete(images, rows, seeds, labels, truncation)


def objective(network: Any, images: Tensor, labels: Tensor | None, *more: Tensor) -> Tensor:
    """The mean bits per dimension."""
    return network.bits_per_dim(network(images, labels, *more)).mean()
