"""Masked images: hidden tokens are hidden, the likelihood is one, and the loss bounds it."""

import itertools
import math
from functools import partial

import pytest
import torch

from transgan.models.masked_images import MaskedImages, spread_order
from transgan.models.tokens import Patches, Pixels

PIXELS = partial(Pixels, levels=2)
PATCHES = partial(Patches, patch_size=2, components=3, levels=5)


def masked(tokens=PIXELS, **changes):
    """A tiny one whose every weight matters."""
    torch.manual_seed(0)
    arguments = dict(img_size=2, in_chans=1, num_classes=3, tokens=tokens, dim=16, depth=2, num_heads=2, mlp_ratio=2.0)
    network = MaskedImages(**arguments | changes).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return network


def every_image(network):
    """All images of 2x2 pixels, with label 2."""
    numbers = torch.tensor(list(itertools.product(range(network.tokens.levels), repeat=4)))
    return network.tokens.value(numbers.double()).view(-1, 1, 2, 2), torch.full((len(numbers),), 2)


@pytest.mark.parametrize("tokens", [PIXELS, partial(Patches, patch_size=1, components=2, levels=2), PATCHES])
def test_probabilities_of_all_images_sum_to_one(tokens):
    network = masked(tokens)
    images, labels = every_image(network)
    with torch.no_grad():
        assert network.exact(images, labels).neg().exp().sum().item() == pytest.approx(1)


def test_samples_come_as_often_as_the_likelihood_says():
    network = masked()
    images, labels = every_image(network)
    uniform = torch.rand(20_000, 4, 1, dtype=torch.float64)
    with torch.no_grad():
        drawn = network.sample(uniform, torch.full((20_000,), 2))
        probabilities = network.exact(images, labels).neg().exp()
    for image, chance in zip(images, probabilities, strict=True):
        found = (drawn == image).flatten(1).all(1).double().mean()
        assert abs(found - chance) < 5 * (chance * (1 - chance) / 20_000).sqrt() + 1e-9


def test_the_loss_is_in_the_mean_the_likelihood_over_all_orders():
    """Exhaustively: every number of hidden tokens equally likely, and every choice of so many."""
    network = masked()
    images, labels = every_image(network)
    loss = torch.zeros(len(images), dtype=torch.float64)
    with torch.no_grad():
        for number in range(1, 5):
            choices = list(itertools.combinations(range(4), number))
            for chosen in choices:
                hidden = torch.zeros(len(images), 4, dtype=torch.bool)
                hidden[:, chosen] = True
                loss += network(images, labels, hidden) / (4 * len(choices))
        exact = torch.zeros_like(loss)
        for order in itertools.permutations(range(4)):
            network.order = order
            exact += network.exact(images, labels) / 24
    torch.testing.assert_close(loss, exact)


@pytest.mark.parametrize("tokens", [partial(Pixels, levels=5), PATCHES])
def test_what_is_hidden_changes_nothing(tokens):
    network = masked(tokens, img_size=4)
    count = network.grid_size[0] * network.grid_size[1]
    one, other = (network.tokens.tokens(torch.randint(5, (2, 1, 4, 4)).double() / 2 - 1) for _ in range(2))
    labels, hidden = torch.tensor([0, 1]), torch.rand(2, count) < 0.5
    mixed = torch.where(hidden.view(2, count, *[1] * (one.dim() - 2)), other, one)
    with torch.no_grad():
        assert not torch.equal(mixed, one)
        assert torch.equal(network.features(one, hidden, labels), network.features(mixed, hidden, labels))
        assert not torch.equal(network.features(one, ~hidden, labels), network.features(mixed, ~hidden, labels))


def test_it_completes_what_is_given():
    network = masked(PATCHES, img_size=4)
    images = torch.randint(5, (3, 1, 4, 4)).double() / 2 - 1
    complete = network.tokens.images(network.tokens.tokens(images))
    uniform = torch.rand(3, 4, network.tokens.num_random, dtype=torch.float64)
    with torch.no_grad():
        made = network.complete(images, 2, uniform, torch.tensor([0, 1, 2]))
        with pytest.raises(ValueError, match="rows=3: give a multiple of 2, from 2 to 2"):
            network.complete(images, 3, uniform, torch.tensor([0, 1, 2]))
        with pytest.raises(ValueError, match="top_k=0: it must be at least 1"):
            network.sample(uniform, torch.tensor([0, 1, 2]), top_k=0)
    assert torch.equal(made[:, :, :2], complete[:, :, :2]) and not torch.equal(made, complete)


def test_a_fresh_one_knows_nothing():
    network = MaskedImages(4, 1, 0, partial(Pixels, levels=7), 16, 1, 2, 2.0)
    images = torch.randint(7, (3, 1, 4, 4)) / 3 - 1
    assert network.bits_per_dim(network.exact(images)).tolist() == pytest.approx([math.log2(7)] * 3, abs=1e-6)
    assert network.bits_per_dim(network(images)).tolist() == pytest.approx([math.log2(7)] * 3, abs=1e-6)


def test_every_place_comes_once():
    for count in range(1, 300):
        assert sorted(spread_order(count)) == list(range(count))


def test_its_stack_is_the_discriminators(discriminator):
    network, other = MaskedImages(8, 1, 3, PATCHES, 16, 2, 2, 2.0), discriminator()
    own = {n: p.shape for n, p in network.named_parameters() if n.startswith("stages.") and "gamma" not in n}
    theirs = {n: p.shape for n, p in other.named_parameters() if n.startswith("stages.") and "gamma" not in n}
    assert own == theirs and len(own) == 2 * 12
