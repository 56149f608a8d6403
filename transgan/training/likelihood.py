"""What the modules share whose network gives images a likelihood."""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.sampling.pixels import checked
from transgan.training.one_network import OneNetwork


class LikelihoodModule(OneNetwork):
    """Base of the modules that train `network` by a likelihood, or measure one with it.

    `likelihood` says what its bits per dimension are, for protocols.

    Args:
        network: with `prepare(images)`, which refuses pixel values it does not know.
        others: as in one_network.py and generative.py.
    """

    likelihood = "exact"
    main_values = ("bits_per_dim",)
    network: nn.Module
    network_ema: nn.Module

    def __init__(self, network: nn.Module, **others: Any):
        super().__init__(network, **others)
        self.attached = False

    def attach(self, dataset: Any, heldout: Any) -> None:
        """Lets the network see the images. Raises ValueError if they have pixel values that it does not know."""
        if dataset.in_memory:
            images = dataset.images
        else:
            positions = torch.linspace(0, len(dataset) - 1, min(1024, len(dataset))).long().tolist()
            images = dataset.__getitems__(positions)[0]
        self.prepare(images)

    def prepare(self, images: Tensor) -> None:
        """Lets the network see uint8 images. Raises ValueError if they have pixel values that it does not know."""
        self.network.prepare(checked(images))  # type: ignore[operator]
        for ours, theirs in zip(self.network_ema.buffers(), self.network.buffers(), strict=True):
            ours.copy_(theirs)
        self.attached = True

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self.attached and hasattr(self.network, "prepare"):
            self.prepare(torch.cat(list(self.sample_batches(1024)))[:1024])
