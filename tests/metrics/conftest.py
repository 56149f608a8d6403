"""Data sets and extractors small enough to know the right answer for."""

import hashlib
from contextlib import nullcontext

import pytest
import torch
from torch import nn


class Images:
    """The smallest thing that keeps the data set contract."""

    def __init__(self, images, labels=None):
        self.images = images
        self.labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        self.num_classes = 0 if labels is None else int(labels.max()) + 1
        self.class_names = [f"class {k}" for k in range(self.num_classes)]
        self.channels, self.resolution = images.shape[1], images.shape[2]
        self.fingerprint = hashlib.sha256(images.numpy().tobytes()).hexdigest()

    def __len__(self):
        return len(self.images)

    def __getitems__(self, indices):
        return self.images[indices], self.labels[indices]


class Pixels:
    """Features are the pixels; logits are their first three, or nothing."""

    name, hash, standard = "pixels", "00", False
    class_names, preprocessing = None, "none"

    def __init__(self, logits=True):
        self.logits = logits

    def prepare(self, dataset):
        self.num_features = dataset.channels * dataset.resolution**2

    def to(self, device):
        return self

    def __call__(self, images):
        features = images.flatten(1).float() / 255
        return features, features[:, :3] * 5 if self.logits else None


class Processes:
    """The context of one of several processes, whose `gather` the test knows."""

    def __init__(self, rank, world_size, gather, together=nullcontext):
        self.rank, self.world_size, self.gather, self.together = rank, world_size, gather, together


@pytest.fixture
def processes():
    return Processes


@pytest.fixture
def shares():
    """shares(evaluator, generate, world_size): what each of several processes hands in to be gathered."""

    class Waiting(Exception):
        pass

    def of(evaluator, generate, world_size):
        held = []

        def hand_in(features):
            held.append(features)
            raise Waiting

        for rank in range(world_size):
            with pytest.raises(Waiting):
                evaluator(generate, Processes(rank, world_size, hand_in))
        return held

    return of


@pytest.fixture
def images_dataset():
    return Images


@pytest.fixture
def pixels():
    return Pixels


@pytest.fixture
def noise():
    """`noise(n, ...)`: the same n random uint8 images every time."""

    def make(n, channels=1, size=4, seed=0, low=0, high=256):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(low, high, (n, channels, size, size), generator=generator, dtype=torch.uint8)

    return make


@pytest.fixture
def generate():
    """Images that depend on seed and label alone, as the contract of `generate` says."""

    def make(seeds, labels):
        out = []
        labels = [0] * len(seeds) if labels is None else labels.tolist()
        for seed, label in zip(seeds, labels, strict=True):
            generator = torch.Generator().manual_seed(seed)
            out.append(torch.randint(0, 200, (1, 4, 4), generator=generator, dtype=torch.uint8) + 10 * label)
        return torch.stack(out)

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the caches of the user who runs it."""
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("TRANSGAN_INCEPTION", raising=False)
    monkeypatch.delenv("TRANSGAN_WEIGHTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory):
    """A file with the exact Inception network and random weights.

    Convolutions keep the variance, BatchNorm knows the statistics of smooth and of rough images, and the logits are
    of order one: otherwise features explode or vanish on their way through 48 layers.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            return None  # the constructor always loads weights

    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    with torch.random.fork_rng(devices=[]):
        network = Blank("inception-v3-compat", ["2048"], feature_extractor_weights_path=folder / "empty.pth")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                shape = module.weight.shape
                module.weight.copy_(torch.randn(shape, generator=generator) * (2 / module.weight[0].numel()) ** 0.5)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the average of all that is seen
        grains = [torch.randint(0, 256, (3, 3, size, size), generator=generator).float() for size in (4, 8, 16, 32)]
        images = torch.cat([nn.functional.interpolate(grain, size=32, mode="bilinear") for grain in grains]).byte()
        network.train()
        network(images)
        scale = network.eval()(images)[0].std() * 2048**0.5
        network.fc.weight.copy_(torch.randn(network.fc.weight.shape, generator=generator) / scale)
        network.fc.bias.zero_()
    torch.save(network.state_dict(), folder / "random.pth")
    return folder / "random.pth"
