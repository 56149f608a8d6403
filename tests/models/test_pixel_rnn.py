"""PixelRNN: a likelihood over all images, causal, and sampled token by token as in one go."""

import itertools
import math
from functools import partial

import pytest
import torch

from transgan.models.pixel_rnn import LSTM, PixelRNN, RowLSTM
from transgan.models.tokens import Patches, Pixels

PIXELS = partial(Pixels, levels=5)
PATCHES = partial(Patches, patch_size=2, components=3, levels=5)
both = pytest.mark.parametrize("tokens", [PIXELS, PATCHES], ids=["pixels", "patches"])
layers = pytest.mark.parametrize("layer", [LSTM, RowLSTM])


def rnn(layer=LSTM, tokens=PIXELS, **changes):
    """A tiny one whose every weight matters: new ones predict the same everywhere."""
    torch.manual_seed(0)
    arguments = dict(img_size=4, in_chans=1, num_classes=3, tokens=tokens, dim=16, depth=2, layer=layer)
    network = PixelRNN(**arguments | changes).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return network


def images_of(network, count):
    tokens = network.tokens
    shape = (count, tokens.in_chans, tokens.img_size, tokens.img_size)
    return tokens.value(torch.randint(tokens.levels, shape).double())


def uniform_of(network, count):
    positions = network.grid_size[0] * network.grid_size[1]
    return torch.rand(count, positions, network.tokens.num_random, dtype=torch.float64)


@layers
@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize(
    "tokens",
    [partial(Pixels, levels=2), partial(Patches, patch_size=1, components=2, levels=2)],
    ids=["pixels", "patches"],
)
def test_probabilities_of_all_images_sum_to_one(layer, tokens, conditional):
    network = rnn(layer, tokens, img_size=2, num_classes=3 if conditional else 0)
    images = network.tokens.value(torch.tensor(list(itertools.product(range(2), repeat=4))).double()).view(-1, 1, 2, 2)
    labels = torch.full((16,), 2) if conditional else None
    with torch.no_grad():
        probabilities = (-network(images, labels)).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    assert probabilities.max() > 2 * probabilities.min()


def test_a_fresh_one_knows_nothing():
    torch.manual_seed(0)
    network = PixelRNN(8, 3, 0, partial(Pixels, levels=16), 16, 1, LSTM)
    torch.testing.assert_close(network.bits_per_dim(network(images_of(network, 4).float())), torch.full((4,), 4.0))


@both
@layers
@pytest.mark.parametrize("in_chans", [1, 3])
def test_causality(layer, tokens, in_chans):
    """A token moves nothing at its place or before, and the place after it."""
    network = rnn(layer, tokens, in_chans=in_chans)
    images, labels = images_of(network, 2), torch.tensor([0, 1])
    own = network.tokens.tokens(images)
    with torch.no_grad():
        before = network.features(own, labels)
        for k in range(own.shape[1]):
            other = own.clone()
            other[:, k] = (own[:, k] + 1) % 5 if own.dtype == torch.long else own[:, k] + 0.1
            after = network.features(other, labels)
            assert torch.equal(after[:, : k + 1], before[:, : k + 1])
            seen = (after[:, k + 1 :] != before[:, k + 1 :]).any(-1)
            assert seen[:, :1].all()
            if layer is LSTM:
                assert seen.all()  # and all that follows


def test_a_row_sees_the_row_above_it():
    """One layer: two tokens to the left, and a triangle above."""
    network = rnn(RowLSTM, depth=1, img_size=8)
    own = network.tokens.tokens(images_of(network, 1))
    other = own.clone()
    other[:, 11] = (own[:, 11] + 1) % 5  # seen in place 12: row 1, column 4
    with torch.no_grad():
        moved = (network.features(own, torch.tensor([0])) != network.features(other, torch.tensor([0]))).any(-1)
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[1, 4:7] = True
    for row in range(2, 8):
        expected[row, max(0, 4 - (row - 1)) : 7 + (row - 1)] = True
    assert torch.equal(moved.view(8, 8), expected)


@both
@layers
@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.7, 2)])
def test_step_by_step_equals_in_one_go(layer, tokens, temperature, top_k):
    network = rnn(layer, tokens, img_size=8)
    uniform, labels = uniform_of(network, 16), torch.arange(16) % 3
    expected = network.tokens.tokens(images_of(network, 16))  # what is not drawn yet is anything
    with torch.no_grad():
        for t in range(uniform.shape[1]):
            x = network.features(expected, labels)[:, t]
            expected[:, t] = network.tokens.draw(x, uniform[:, t], temperature, top_k)
        found = network.sample(uniform, labels, temperature, top_k)
    assert torch.equal(found, network.tokens.images(expected))
    assert len(found.flatten(1).unique(dim=0)) == 16


@layers
def test_samples_follow_the_likelihood(layer):
    network = rnn(layer, partial(Pixels, levels=2), img_size=2, num_classes=0)
    with torch.no_grad():
        kinds, counts = network.sample(uniform_of(network, 20_000)).unique(dim=0, return_counts=True)
        probabilities = (-network(kinds)).exp()
    error = (counts / 20_000 - probabilities).abs() / (probabilities * (1 - probabilities) / 20_000).sqrt()
    assert error.max() < 5 and probabilities.sum() > 0.99


@both
@layers
def test_completion_keeps_the_given_half(layer, tokens):
    network = rnn(layer, tokens, img_size=8)
    images, uniform, labels = images_of(network, 6), uniform_of(network, 6), torch.arange(6) % 3
    with torch.no_grad():
        found = network.complete(images, 4, uniform, labels)
        assert torch.equal(found[:, :, :4], images[:, :, :4])
        sample = network.sample(uniform, labels)
        assert torch.equal(network.complete(sample, 4, uniform, labels), sample)


def test_a_broken_network_makes_nan():
    network = rnn()
    network.label_embed.weight.data[1] = math.nan
    with torch.no_grad():
        found = network.sample(uniform_of(network, 3), torch.tensor([0, 1, 2]))
    assert found.isnan().flatten(1).all(1).tolist() == [False, True, False]


@both
@layers
def test_every_parameter_learns(layer, tokens):
    network = rnn(layer, tokens)
    network(images_of(network, 4), torch.tensor([0, 1, 2, 0])).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
