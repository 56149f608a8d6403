"""A small classifier of the run's own images: features for domains Inception has never seen, without a download."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors.extractor import Extractor, state_hash
from transgan.metrics.sampling import ImageData

VERSION = 1  # of the network and its training: counts up with every change, so that old caches are left alone
LARGEST = 32  # pixels; larger images are averaged down to it
GRADED = 10_000  # training images at most that `accuracy` is measured on

log = logging.getLogger(__name__)


class Network(nn.Module):
    """Three convolutions and a smooth 64-number layer: every feature moves with every image, none is dead."""

    def __init__(self, channels: int, num_classes: int, num_features: int = 64):
        super().__init__()
        self.body = nn.Sequential(
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
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """float N x C x H x W in [-1, 1] -> features N x 64, logits N x K"""
        features = self.body(x)
        return features, self.head(features)


class Classifier(Extractor):
    """Features of a classifier that is trained once per data set, in seconds, and kept in a cache.

    The same data, seed and arguments give the same weights: training runs on one CPU thread with a generator of its
    own. `hash` says whether two numbers come from the same network; other processors may round otherwise, and numbers
    of different hashes do not compare. `accuracy` is that on the training images (at most 10,000 of them).

    The cache is a file in $TRANSGAN_CACHE, or ~/.cache/transgan.
    """

    name = "classifier"
    num_features = 64
    preprocessing = f"averaged down to at most {LARGEST} px, in [-1, 1]"
    rgb = False

    def __init__(self, seed: int = 0, steps: int = 500, batch_size: int = 128):
        self.seed, self.steps, self.batch_size = seed, steps, batch_size
        self.accuracy: float | None = None  # known after prepare(), like the key of its cache
        self.key: str | None = None

    def prepare(self, dataset: ImageData) -> None:
        """Train on the `dataset`, or take the weights of an earlier, equal training from the cache."""
        if dataset.num_classes < 2 or len(dataset.labels.unique()) < 2:
            what = "The classifier learns from labels and these images have none (or a single class): "
            ways = {
                "": "put every class in a sub-folder of its own",
                "extractor": "use extractor=inception",
                "evaluate_every": "train with metrics=none",
            }
            error: Any = ValueError(what + ", or ".join(ways.values()))
            error.what, error.ways = what, ways
            raise error
        if self.key != self._key(dataset):
            self.network = None  # other images, another network
        super().prepare(dataset)
        self.class_names = list(dataset.class_names)

    def load(self, dataset: ImageData) -> nn.Module:
        key = self._key(dataset)
        path = _cache() / f"classifier-{key[:16]}.pt"
        with _one_thread():
            network = _new_network(dataset, self.seed)
            accuracy = _load(path, network)
            if accuracy is None:
                network = _new_network(dataset, self.seed)  # a broken file may have left its weights behind
                with torch.enable_grad():
                    self._train(network, dataset)
                accuracy = _grade(network, dataset)
                _save(path, network, accuracy)
        self.key, self.hash, self.accuracy = key, state_hash(network), accuracy
        return network

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(_scaled(images))

    def _key(self, dataset: ImageData) -> str:
        labels = files.hash_of(dataset.labels.numpy().tobytes())
        facts = [
            VERSION,
            dataset.fingerprint,
            labels,
            len(dataset),
            dataset.channels,
            dataset.num_classes,
            self.seed,
            self.steps,
            self.batch_size,
        ]
        return files.hash_of(json.dumps(facts))

    def _train(self, network: "Network", dataset: ImageData) -> None:
        """`steps` steps of AdamW on one cycle of the learning rate; batches go through the data epoch by epoch."""
        generator = torch.Generator().manual_seed(self.seed)
        epochs = -(-self.steps * self.batch_size // len(dataset))
        order = torch.cat([torch.randperm(len(dataset), generator=generator) for _ in range(epochs)])
        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=self.steps)
        for indices in order[: self.steps * self.batch_size].view(self.steps, self.batch_size):
            images, labels = dataset.__getitems__(indices.tolist())
            _, logits = network(_shifted(_scaled(images), generator))
            loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _new_network(dataset: ImageData, seed: int) -> Network:
    torch.random.default_generator.manual_seed(seed)  # initialisation knows only this one
    return Network(dataset.channels, dataset.num_classes).to("cpu", torch.float32)


def _scaled(images: Tensor) -> Tensor:
    """uint8 -> float in [-1, 1], at most 32 x 32 pixels: N x C x H x W"""
    x = images.float() / 127.5 - 1
    size = [min(side, LARGEST) for side in x.shape[2:]]
    return x if size == list(x.shape[2:]) else F.interpolate(x, size=size, mode="area")


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every image moved by up to an eighth of its size, edges repeated: what a class is does not depend on it."""
    n, _, height, width = x.shape
    reach = max(1, height // 8)
    windows = F.pad(x, [reach] * 4, mode="replicate").unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * reach + 1, (2, n), generator=generator)
    return windows[torch.arange(n), :, down, right]


def _grade(network: Network, dataset: ImageData) -> float:
    """The fraction of training images that get their own label."""
    indices = torch.arange(len(dataset))[:: -(-len(dataset) // GRADED)]
    hits = 0
    for chunk in indices.split(500):
        images, labels = dataset.__getitems__(chunk.tolist())
        hits += (network(_scaled(images))[1].argmax(1) == labels).sum().item()
    return hits / len(indices)


def _cache() -> Path:
    return files.cache_folder()


def _load(path: Path, network: Network) -> float | None:
    """Fill the network from the cache and return its accuracy, or None if there is no complete file."""
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, weights_only=True)
        network.load_state_dict(kept["weights"])
        if state_hash(network) == kept["hash"]:
            return kept["accuracy"]
        reason = "its hash does not match its weights"
    except Exception as error:  # of many kinds: zip, pickle, missing keys, shapes
        reason = f"{type(error).__name__}"
    log.warning("the cached classifier %s is broken (%s) and is trained again", path, reason)
    return None


def _save(path: Path, network: Network, accuracy: float) -> None:
    """Write beside and rename; a cache that cannot be written costs time, not the run."""
    try:
        with files.replacing(path) as file:
            torch.save({"weights": network.state_dict(), "hash": state_hash(network), "accuracy": accuracy}, file)
    except OSError as error:
        log.warning("the classifier could not be kept in %s: %s", path, error)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in another order are other sums: with one thread the weights do not depend on the machine's load."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
