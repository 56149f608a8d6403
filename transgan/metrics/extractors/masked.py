"""A small masked model of the run's own images: features for images without labels, without a download."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transgan.metrics.extractors.classifier import body
from transgan.metrics.extractors.trained import TrainedOnImages, optimized, scaled, shifted
from transgan.metrics.sampling import ImageData

VERSION = 1  # of the network and its training: counts up with every change, so that old caches are left alone
HIDDEN = 0.5  # of the patches


class Network(nn.Module):
    """The classifier's body, and a decoder that draws the image from its 64 numbers alone.

    What is hidden has to be guessed from what can be seen, so the numbers say what an image shows, and not only which
    pixels it has (denoising autoencoders, Vincent et al., 2008; of patches, MAE, He et al., 2022).
    """

    def __init__(self, channels: int, size: int, num_features: int = 64):
        super().__init__()
        self.side = -(-size // 4)
        self.body = body(channels, num_features)
        self.head = nn.Linear(num_features, 32 * self.side**2)
        self.decoder = nn.Sequential(
            nn.SiLU(),
            nn.ConvTranspose2d(32, 32, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(32, channels, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """float N x C x H x W in [-1, 1], patches of it 0 -> the guess at all of it, as large"""
        drawn = self.decoder(self.head(self.body(x)).unflatten(1, (32, self.side, self.side)))
        return drawn[:, :, : x.shape[2], : x.shape[3]]


class Masked(TrainedOnImages):
    """Features of a model that guesses hidden patches; trained once per data set, and kept in a cache (trained.py).

    Half of the patches of 4 x 4 pixels are hidden. Without labels it knows less about what matters in an image than a
    classifier does: see the table of spoiled images in docs/results/cifar10.md.
    """

    name = "masked"

    def new_network(self, dataset: ImageData) -> nn.Module:
        return Network(dataset.channels, max(scaled(dataset.__getitems__([0])[0]).shape[2:]))

    def facts(self, dataset: ImageData) -> list[Any]:
        return [VERSION, dataset.fingerprint, len(dataset), dataset.channels, self.seed, self.steps, self.batch_size]

    def train(self, network: Any, dataset: ImageData) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        optimizer, schedule = optimized(network, self.steps)
        for images, _ in self.batches(dataset, generator):
            images = shifted(images, generator)
            loss = F.mse_loss(network(hidden(images, generator)), images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network.body(scaled(images)), None


def hidden(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images N x C x H x W with half of their patches at 0."""
    n, _, height, width = x.shape
    seen = torch.rand(n, 1, -(-height // 4), -(-width // 4), generator=generator) >= HIDDEN
    return x * seen.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, :height, :width]
