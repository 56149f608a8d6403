"""The half-life of the average, in images."""

import pytest
import torch
from torch import nn

from transgan.ema import decay, update_ema


def test_half_is_left_after_the_half_life():
    assert decay(64, 64) == 0.5
    assert decay(16, 64) ** 4 == pytest.approx(0.5)
    assert decay(64, 6400) ** 100 == pytest.approx(0.5)
    assert decay(64, 0) == 0.0


def test_update_closed_form():
    average, network = nn.Linear(3, 2), nn.Linear(3, 2)
    before = {name: value.clone() for name, value in average.named_parameters()}
    update_ema(average, network, 0.75)
    for name, value in average.named_parameters():
        torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * dict(network.named_parameters())[name])


def test_a_still_network_is_half_reached_after_the_half_life():
    average, network = nn.Linear(3, 2), nn.Linear(3, 2)
    before = average.weight.clone()
    for _ in range(10):
        update_ema(average, network, decay(100, 1000))
    torch.testing.assert_close(average.weight, (before + network.weight) / 2)


def test_buffers_are_copied_and_the_network_is_left_alone():
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network(torch.randn(8, 2) + 3)
    network.weight.data.fill_(5.0)
    update_ema(average, network, 0.9)
    assert torch.equal(average.running_mean, network.running_mean) and average.num_batches_tracked == 1
    assert torch.equal(network.weight, torch.full((2,), 5.0))
    torch.testing.assert_close(average.weight, torch.full((2,), 1.4))


def test_no_update_forgets_the_start():
    average, network = nn.Linear(3, 2), nn.Linear(3, 2)
    update_ema(average, network, 0.0)
    torch.testing.assert_close(average.weight, network.weight)
