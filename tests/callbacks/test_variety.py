"""Distances of images that are averaged down: variety within classes, neighbours, and what labels tell."""

import math

import pytest
import torch

from transgan.callbacks.variety import beyond_chance, low, nearest, share_above, spread


def test_images_are_averaged_down_to_eight_pixels():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(2, 3, 1, 1)
    rows = low(images)
    assert rows.shape == (2, 3 * 64)
    assert rows[0, 0].item() == pytest.approx((0 + 1 + 16 + 17) / 4 / 255)
    assert low(torch.zeros(1, 1, 4, 4, dtype=torch.uint8)).shape == (1, 16)


def test_spread_is_the_distance_from_the_mean_of_the_class():
    rows = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0], [5.0, 9.0], [7.0, 7.0]])
    labels = torch.tensor([0, 0, 1, 1, 2])
    assert spread(rows, labels) == pytest.approx((math.sqrt(2) + math.sqrt(8)) / 2)  # a class of one is left out
    assert spread(rows, None) == pytest.approx(rows.var(0).sum().sqrt().item())
    assert math.isnan(spread(rows[:1], None)) and spread(rows[:1].repeat(3, 1), None) == 0


def test_a_row_is_not_its_own_neighbour():
    rows = torch.tensor([[0.0], [1.0], [3.0]])
    assert nearest(rows, rows)[0].tolist() == [0, 0, 0]
    distances, indices = nearest(rows, rows, same=True)
    assert distances.tolist() == [1, 1, 2] and indices.tolist() == [1, 0, 1]
    many = torch.randn(600, 5)
    distances, indices = nearest(many, many, same=True)
    exact = torch.cdist(many, many).fill_diagonal_(math.inf).min(1)
    assert torch.equal(indices, exact.indices) and torch.allclose(distances, exact.values, atol=1e-4)


def test_the_share_above_counts_ties_half():
    assert share_above(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0])) == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert share_above(torch.ones(3), torch.ones(5)) == 0.5


def test_labels_that_mean_nothing_are_within_chance():
    rows = torch.randn(1000, 4)
    labels = (rows[:, 0] > 0).long()
    neighbours = nearest(rows, rows, same=True)[1]
    assert beyond_chance(labels, neighbours) > 10
    assert abs(beyond_chance(labels[torch.randperm(1000)], neighbours)) < 4
    assert beyond_chance(torch.zeros(1000, dtype=torch.int64), neighbours) == math.inf
