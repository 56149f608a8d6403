"""What all samplers share: a network, and images from seeds."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from transgan.at_once import AtOnce
from transgan.sampling.randomness import mix


class Sampler(nn.Module):
    """Makes uint8 images from seeds by `network`.

    Subclasses implement `images`.

    Args:
        network: with its weights, in eval mode. num_classes: 0 for unconditional; labels are ignored then.

    `facts` is what an exported file says of itself: resolution, class names, protocol and more (exported.py).
    `how` says in a few words how images are made.
    """

    facts: dict[str, Any]
    how = "in a way of its own"

    def __init__(self, network: nn.Module, num_classes: int = 0) -> None:
        super().__init__()
        self.network: Any = network
        self.num_classes = num_classes
        self.facts = {}
        self.at_once = AtOnce()

    @property
    def device(self) -> torch.device:
        held = next(chain(self.network.parameters(), self.network.buffers()), None)
        return torch.device("cpu") if held is None else held.device

    @torch.no_grad()
    def generate(self, seeds: Sequence[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W), image i a function of the weights, seeds[i] and labels[i] alone.

        labels: (N,); None: each seed's own class. truncation: below 1, images are more typical and less varied. They
        are made in parts where memory is lacking for all of them at once.
        """
        seeds = [int(seed) for seed in seeds]
        labels = self.labels_of(seeds) if labels is None else labels
        labels = self.on_device(labels)

        def make(part: list[int]) -> Tensor:
            return self.images([seeds[i] for i in part], None if labels is None else labels[part], truncation)

        return self.at_once.of(len(seeds), make)

    def sharing(self, at_once: AtOnce) -> Self:
        """This sampler, which makes as many images at once as was found to fit into memory."""
        self.at_once = at_once
        return self

    def images(self, seeds: list[int], labels: Tensor | None, truncation: float) -> Tensor:
        """uint8 images (N, C, H, W) of seeds and labels (N,), None without classes."""
        raise NotImplementedError

    def labels_of(self, seeds: list[int]) -> Tensor | None:
        """The class each seed shows unless another is given: a function of the seed, uniform over the classes."""
        return torch.tensor([mix(seed, 1) % self.num_classes for seed in seeds]) if self.num_classes else None

    def on_device(self, labels: Tensor | None) -> Tensor | None:
        """Labels where the network is, or None if there are no classes."""
        return labels.to(self.device) if labels is not None and self.num_classes else None

    def in_float64(self) -> Any:
        """The network in float64.

        In float32 an image would depend on the batch it is made in: sums are rounded in another order there, now and
        then that chooses another value, and all that follow differ.
        """
        return deepcopy(self.network).double()
