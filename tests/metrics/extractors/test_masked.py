"""The masked model: it needs no labels, is the same every time, and its features tell images apart as a classifier's do."""

import pytest
import torch
from sklearn.datasets import load_digits

from transgan.metrics.extractors import Masked
from transgan.metrics.extractors.masked import hidden


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = torch.from_numpy((data.images * 255 / 16).round().astype("uint8"))
    return images[:, None], torch.from_numpy(data.target).long()


def trained(dataset, **arguments):
    masked = Masked(**arguments)
    masked.prepare(dataset)
    return masked


def test_neighbours_by_features_show_the_same_digit(digits, images_dataset):
    """Which nothing said while it was trained."""
    images, labels = digits
    found = []
    for steps in (1, 300):
        masked = trained(images_dataset(images[::2], None), steps=steps)
        (known, _), (asked, logits) = masked(images[::2]), masked(images[1::2])
        assert logits is None and known.shape[1] == 64
        nearest = torch.cdist(asked, known).argmin(1)
        found.append((labels[::2][nearest] == labels[1::2]).float().mean())
    assert found[1] > 0.93 and found[1] > found[0]
    assert torch.linalg.matrix_rank(known.double().T.cov()) >= 60


def test_same_weights_again_and_from_the_cache_which_labels_do_not_change(
    digits, images_dataset, own_cache, monkeypatch
):
    images, labels = digits[0][:300], digits[1][:300]
    first = trained(images_dataset(images, None), steps=20)
    assert [path.name.split("-")[0] for path in own_cache.iterdir()] == ["masked"]
    monkeypatch.setattr(Masked, "train", lambda *_: pytest.fail("trained although cached"))
    again = trained(images_dataset(images, labels), steps=20)
    assert again.hash == first.hash and again.accuracy is None and again.class_names is None


@pytest.mark.parametrize("channels, size", [(1, 4), (3, 5), (3, 30), (3, 48)])
def test_any_resolution_and_grey_or_rgb(noise, images_dataset, channels, size):
    dataset = images_dataset(noise(20, channels, size), None)
    features, _ = trained(dataset, steps=2)(dataset.images)
    assert features.shape == (20, 64) and features.isfinite().all()


def test_half_of_the_patches_are_hidden():
    x = torch.ones(200, 3, 10, 16)
    seen = hidden(x, torch.Generator().manual_seed(0))
    assert seen.shape == x.shape and set(seen.unique().tolist()) == {0.0, 1.0}
    assert abs(seen.mean() - 0.5) < 0.02
    assert (seen[:, :, :4, :4].flatten(1).std(1) == 0).all()  # a patch as one
