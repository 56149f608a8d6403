"""Pixels to floats and back, and what every trained module shares."""

import pytest
import torch

from transgan.training.generative import Generative, to_float, to_uint8
from transgan.training.randomness import mix


def test_all_256_values_come_back():
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values)
    assert floats.min() == -1 and floats.max() == 1 and floats.dtype == torch.float32
    assert torch.equal(to_uint8(floats), values)
    assert to_uint8(floats).dtype == torch.uint8


def test_to_uint8_clamps_and_rounds():
    floats = torch.tensor([-9.0, -1.0001, 1.0001, 9.0, 0.0, 3 / 255, 0.99])
    assert to_uint8(floats).tolist() == [0, 0, 255, 255, 128, 129, 254]
    assert to_uint8(torch.tensor([0.5], dtype=torch.bfloat16)).tolist() == [191]


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
    assert Generative(4, 5, 10).labels_of([7]) == labels[7]                # not of the run's seed
    assert ((labels.bincount() - 1000).abs() < 180).all()                 # six standard deviations
    assert Generative(4, 0, 0).labels_of([1, 2]) is None
