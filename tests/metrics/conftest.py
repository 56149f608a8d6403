"""Data sets and extractors small enough to know the right answer for."""

import hashlib

import pytest
import torch


class Images:
    """The smallest thing that keeps the data set contract."""

    def __init__(self, images, labels=None):
        self.images = images
        self.labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        self.num_classes = 0 if labels is None else int(labels.max()) + 1
        self.channels, self.resolution = images.shape[1], images.shape[2]
        self.fingerprint = hashlib.sha256(images.numpy().tobytes()).hexdigest()

    def __len__(self):
        return len(self.images)

    def __getitems__(self, indices):
        return self.images[indices], self.labels[indices]


class Pixels:
    """Features are the pixels; logits are their first three, or nothing."""

    name, hash, standard = "pixels", "00", False

    def __init__(self, logits=True):
        self.logits = logits

    def prepare(self, dataset):
        self.num_features = dataset.channels * dataset.resolution ** 2

    def to(self, device):
        return self

    def __call__(self, images):
        features = images.flatten(1).float() / 255
        return features, features[:, :3] * 5 if self.logits else None


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
    """No test reads or writes the caches of the person who runs it."""
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("TRANSGAN_INCEPTION", raising=False)
    return tmp_path / "cache"
