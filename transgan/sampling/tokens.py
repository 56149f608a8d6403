"""Images token by token, by a network that gives every token a distribution."""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.sampling.pixels import to_float, to_uint8
from transgan.sampling.randomness import seeded_uniform
from transgan.sampling.sampler import Sampler


class TokenSampler(Sampler):
    """Samples each token of an image given those before it. `truncation` is the temperature, more than 0.

    Args:
        network: with the methods of TokenByToken.
        top_k: sample each token from so many likeliest values, None for all.
        others: as in sampler.py.
    """

    how = "token by token"

    def __init__(self, network: nn.Module, num_classes: int = 0, top_k: int | None = None) -> None:
        super().__init__(network, num_classes)
        self.top_k = top_k

    def images(self, seeds: list[int], labels: Tensor | None, truncation: float) -> Tensor:
        if not truncation > 0:
            raise ValueError(f"temperature {truncation:g}: it must be more than 0; 1 is what was learned")
        network, uniform = self.prepared(seeds)
        return to_uint8(network.sample(uniform, labels, truncation, self.top_k))

    @torch.no_grad()
    def complete(
        self, images: Tensor, rows: int, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """uint8 images that keep the upper `rows` rows of `images` and are generated below, image i by seeds[i]."""
        labels = self.on_device(self.labels_of(seeds) if labels is None else labels)

        def make(part: list[int]) -> Tensor:
            network, uniform = self.prepared([seeds[i] for i in part])
            kept, own = to_float(images[part].to(self.device)).double(), None if labels is None else labels[part]
            return to_uint8(network.complete(kept, rows, uniform, own, truncation, self.top_k))

        return self.at_once.of(len(seeds), make)

    def prepared(self, seeds: list[int]) -> tuple[Any, Tensor]:
        """The network in float64, and the uniform numbers of the seeds."""
        network = self.in_float64()
        tokens = network.grid_size[0] * network.grid_size[1]
        return network, seeded_uniform(seeds, tokens, network.tokens.num_random).to(self.device)
