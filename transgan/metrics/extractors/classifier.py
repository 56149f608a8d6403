"""A small classifier of the run's own images: features for domains Inception has never seen, without a download."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors.trained import TrainedOnImages, optimized, scaled, shifted
from transgan.metrics.sampling import ImageData

VERSION = 1  # of the network and its training: counts up with every change, so that old caches are left alone
GRADED = 10_000  # training images at most that `accuracy` is measured on


def body(channels: int, num_features: int) -> nn.Sequential:
    """float N x C x H x W in [-1, 1] -> features N x D"""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.GroupNorm(4, 32),
        nn.SiLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.GroupNorm(4, 64),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 64, num_features),
        nn.LayerNorm(num_features),
        nn.SiLU(),
    )


class Network(nn.Module):
    """Three convolutions and a smooth 64-number layer: every feature moves with every image, none is dead."""

    def __init__(self, channels: int, num_classes: int, num_features: int = 64):
        super().__init__()
        self.body = body(channels, num_features)
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float N x C x H x W in [-1, 1] -> features N x 64, logits N x K"""
        features = self.body(x)
        return features, self.head(features)


class Classifier(TrainedOnImages):
    """Features of a classifier that is trained once per data set, in seconds, and kept in a cache (trained.py).

    `accuracy` is that on the training images (at most 10,000 of them).
    """

    name = "classifier"

    def prepare(self, dataset: ImageData) -> None:
        """Train on the `dataset`, or take the weights of an earlier, equal training from the cache."""
        if dataset.num_classes < 2 or len(dataset.labels.unique()) < 2:
            what = "The classifier learns from labels and these images have none (or a single class): "
            ways = {
                "": "put every class in a sub-folder of its own",
                "extractor": "use extractor=masked, which needs no labels, or extractor=inception",
                "evaluate_every": "train with metrics=none",
            }
            error: Any = ValueError(what + ", or ".join(ways.values()))
            error.what, error.ways = what, ways
            raise error
        super().prepare(dataset)
        self.class_names = list(dataset.class_names)

    def new_network(self, dataset: ImageData) -> nn.Module:
        return Network(dataset.channels, dataset.num_classes)

    def facts(self, dataset: ImageData) -> list[Any]:
        labels = files.hash_of(dataset.labels.numpy().tobytes())
        return [
            VERSION, dataset.fingerprint, labels, len(dataset), dataset.channels, dataset.num_classes, self.seed,
            self.steps, self.batch_size,
        ]  # fmt: skip

    def train(self, network: Any, dataset: ImageData) -> float:
        generator = torch.Generator().manual_seed(self.seed)
        optimizer, schedule = optimized(network, self.steps)
        for images, labels in self.batches(dataset, generator):
            _, logits = network(shifted(images, generator))
            loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            return grade(network, dataset)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(scaled(images))


def grade(network: Network, dataset: ImageData) -> float:
    """The fraction of training images that get their own label."""
    indices = torch.arange(len(dataset))[:: -(-len(dataset) // GRADED)]
    hits = 0
    for chunk in indices.split(500):
        images, labels = dataset.__getitems__(chunk.tolist())
        hits += (network(scaled(images))[1].argmax(1) == labels).sum().item()
    return hits / len(indices)
