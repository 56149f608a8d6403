"""What health measures of the images of a grid, beside training images that have little to compare with."""

import math

import pytest
import torch

from transgan.callbacks.diagnosis import diagnosis
from transgan.callbacks.health import Health
from transgan.callbacks.remedies import Remedies
from transgan.callbacks.variety import low


class Images:
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitems__(self, indices):
        return self.images[indices], self.labels[indices]


def noise(n, seed=0):
    return torch.randint(0, 256, (n, 1, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def measured(images, num_classes=0, grids=2):
    """What the moments of a run say whose generated images vary, and what is concluded."""
    health = Health(1.0)
    health.look(Images(images, torch.arange(len(images)) % max(num_classes, 1)), num_classes)
    history = []
    for i in range(grids):
        found = health.of_grid(low(noise(100, seed=10 + i)))
        assert not any(math.isnan(value) for value in found.values())
        history.append({"kimg": float(i + 1), "steps": 100.0} | {k: v for k, v in found.items() if math.isfinite(v)})
    return history, diagnosis(history, Remedies())


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("images", [noise(1), noise(1).repeat(2, 1, 1, 1), noise(1).repeat(5, 1, 1, 1)], ids=len)
def test_generated_images_are_not_near_to_those_that_have_no_neighbours(images, num_classes):
    history, finding = measured(images, num_classes)
    assert all("grid_nearest" not in moment and "grid_spread" not in moment for moment in history)
    assert finding.word != "overfitting"


def test_one_image_of_each_class_has_no_variety_within_them():
    history, finding = measured(noise(3), 3)
    assert all("real_spread" not in moment and moment["grid_nearest"] > 0 for moment in history)
    assert finding.word not in ("overfitting", "low variety")


@pytest.mark.parametrize("count", [2, 3, 200])
def test_images_that_differ_are_measured(count):
    history, finding = measured(noise(count))
    assert all(0.5 < moment["grid_nearest"] < 2 and moment["grid_spread"] > 0 for moment in history)
    assert finding.word != "overfitting"


def test_copies_of_training_images_are_near_to_them():
    health = Health(1.0)
    health.look(Images(noise(200), torch.zeros(200, dtype=torch.int64)), 0)
    assert health.of_grid(low(noise(200)[:100]))["grid_nearest"] == 0
