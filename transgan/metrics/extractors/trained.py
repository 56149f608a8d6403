"""Networks that are trained on the run's own images, once, in seconds, and kept in a cache."""

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

LARGEST = 32  # pixels; larger images are averaged down to it

log = logging.getLogger(__name__)


class TrainedOnImages(Extractor):
    """Features of a network that is trained once per data set, and kept in a cache.

    The same data, seed and arguments give the same weights: training runs on one CPU thread with a generator of its
    own. `hash` says whether two numbers come from the same network; other processors may round otherwise, and numbers
    of different hashes do not compare. A subclass makes `new_network`, and trains it in `train`.

    The cache is a file in $TRANSGAN_CACHE, or ~/.cache/transgan.
    """

    num_features = 64
    preprocessing = f"averaged down to at most {LARGEST} px, in [-1, 1]"
    rgb = False

    def __init__(self, seed: int = 0, steps: int = 500, batch_size: int = 128):
        self.seed, self.steps, self.batch_size = seed, steps, batch_size
        self.accuracy: float | None = None  # known after prepare(), like the key of its cache
        self.key: str | None = None

    def new_network(self, dataset: ImageData) -> nn.Module:
        raise NotImplementedError  # for subclasses

    def train(self, network: Any, dataset: ImageData) -> float | None:
        """Trains the network, and says how well it did, if that can be said."""
        raise NotImplementedError  # for subclasses

    def facts(self, dataset: ImageData) -> list[Any]:
        """What the weights depend on."""
        raise NotImplementedError  # for subclasses

    def prepare(self, dataset: ImageData) -> None:
        """Train on the `dataset`, or take the weights of an earlier, equal training from the cache."""
        if self.key != self._key(dataset):
            self.network = None  # other images, another network
        super().prepare(dataset)

    def is_kept(self, dataset: ImageData) -> bool:
        """Whether the cache has a network for these images, so that `prepare` trains none."""
        return self._path(self._key(dataset)).is_file()

    def load(self, dataset: ImageData) -> nn.Module:
        key = self._key(dataset)
        path = self._path(key)
        with one_thread():
            network = self._initial(dataset)
            found, accuracy = self._load(path, network)
            if not found:
                network = self._initial(dataset)  # a broken file may have left its weights behind
                with torch.enable_grad():
                    accuracy = self.train(network, dataset)
                self._save(path, network, accuracy)
        self.key, self.hash, self.accuracy = key, state_hash(network), accuracy
        return network

    def batches(self, dataset: ImageData, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """`steps` batches of scaled images and labels, epoch by epoch."""
        epochs = -(-self.steps * self.batch_size // len(dataset))
        order = torch.cat([torch.randperm(len(dataset), generator=generator) for _ in range(epochs)])
        for indices in order[: self.steps * self.batch_size].view(self.steps, self.batch_size):
            images, labels = dataset.__getitems__(indices.tolist())
            yield scaled(images), labels

    def _key(self, dataset: ImageData) -> str:
        return files.hash_of(json.dumps(self.facts(dataset)))

    def _path(self, key: str) -> Path:
        return files.cache_folder() / f"{self.name}-{key[:16]}.pt"

    def _initial(self, dataset: ImageData) -> nn.Module:
        torch.random.default_generator.manual_seed(self.seed)  # initialisation knows only this one
        return self.new_network(dataset).to("cpu", torch.float32)

    def _load(self, path: Path, network: nn.Module) -> tuple[bool, float | None]:
        """Fill the network from the cache: whether there is a complete file, and the accuracy in it."""
        if not path.is_file():
            return False, None
        try:
            kept = torch.load(path, weights_only=True)
            network.load_state_dict(kept["weights"])
            if state_hash(network) == kept["hash"]:
                return True, kept["accuracy"]
            reason = "its hash does not match its weights"
        except Exception as error:  # of many kinds: zip, pickle, missing keys, shapes
            reason = f"{type(error).__name__}"
        log.warning("the cached network %s is broken (%s) and is trained again", path, reason)
        return False, None

    def _save(self, path: Path, network: nn.Module, accuracy: float | None) -> None:
        """Write beside and rename; a cache that cannot be written costs time, not the run."""
        try:
            with files.replacing(path) as file:
                torch.save({"weights": network.state_dict(), "hash": state_hash(network), "accuracy": accuracy}, file)
        except OSError as error:
            log.warning("the network of extractor=%s could not be kept in %s: %s", self.name, path, error)


def optimized(network: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW and one cycle of its learning rate."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.05)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)


def scaled(images: Tensor) -> Tensor:
    """uint8 -> float in [-1, 1], at most 32 x 32 pixels: N x C x H x W"""
    x = images.float() / 127.5 - 1
    size = [min(side, LARGEST) for side in x.shape[2:]]
    return x if size == list(x.shape[2:]) else F.interpolate(x, size=size, mode="area")


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every image moved by up to an eighth of its size, edges repeated: what it shows does not depend on it."""
    n, _, height, width = x.shape
    reach = max(1, height // 8)
    windows = F.pad(x, [reach] * 4, mode="replicate").unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * reach + 1, (2, n), generator=generator)
    return windows[torch.arange(n), :, down, right]


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums: with one thread the weights do not depend on the machine's load."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
