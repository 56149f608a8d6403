"""Pixels to floats and back, and what every trained module shares."""

import pytest
import torch

from transgan.sampling.pixels import to_float, to_uint8
from transgan.sampling.randomness import mix
from transgan.training.generative import Generative


def test_all_256_values_come_back():
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values)
    assert floats.min() == -1 and floats.max() == 1 and floats.dtype == torch.float32
    assert torch.equal(to_uint8(floats), values)
    assert to_uint8(floats).dtype == torch.uint8
    naive = ((floats + 1) / 2 * 255).byte()  # what torchmetrics' normalize=True does
    assert (naive != values).sum() == 63


def test_to_uint8_clamps_and_rounds():
    floats = torch.tensor([-9.0, -1.0001, 1.0001, 9.0, 0.0, 3 / 255, 0.99])
    assert to_uint8(floats).tolist() == [0, 0, 255, 255, 128, 129, 254]
    assert to_uint8(torch.tensor([0.5], dtype=torch.bfloat16)).tolist() == [191]
    assert (torch.tensor([1.01]).add(1).div(2).mul(255).byte().item(), to_uint8(torch.tensor([1.01])).item()) == (
        0,
        255,
    )


def test_nan_is_no_colour():
    images = torch.zeros(3, 1, 2, 2)
    images[1, 0, 1, 1] = float("nan")
    images[2] = float("inf")
    assert images.byte().dtype == torch.uint8  # a cast alone makes some number of it
    with pytest.raises(ValueError, match="1 of 3 generated images hold NaN"):
        to_uint8(images)
    assert to_uint8(images[2]).unique().tolist() == [255]


def test_steps_follow_images():
    module = Generative(batch_size=4, seed=0, num_classes=0)
    module.images_seen = 12
    assert module.step == 3
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    other = Generative(4, 0, 0)
    other.on_load_checkpoint(checkpoint)
    assert other.images_seen == 12
    with pytest.raises(NotImplementedError):
        module.generate([0])


def test_labels_of_seeds():
    labels = Generative(4, 0, 10).labels_of(list(range(10_000)))
    assert labels[7] == mix(7, 1) % 10
    assert Generative(4, 5, 10).labels_of([7]) == labels[7]  # not of the run's seed
    assert ((labels.bincount() - 1000).abs() < 180).all()  # six standard deviations
    assert Generative(4, 0, 0).labels_of([1, 2]) is None
