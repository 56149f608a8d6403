"""Image GPT: a likelihood over all images, causal, and sampled with a cache as without."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from transgan.layers.block import Transformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.tokens import Patches, Pixels

PIXELS = partial(Pixels, levels=5)
PATCHES = partial(Patches, patch_size=2, components=3, levels=5)
both = pytest.mark.parametrize("tokens", [PIXELS, PATCHES], ids=["pixels", "patches"])


def gpt(tokens=PIXELS, **changes):
    """A tiny one whose every weight matters: a new one predicts the same everywhere."""
    torch.manual_seed(0)
    arguments = dict(
        img_size=4, in_chans=1, num_classes=3, tokens=tokens, dim=16, depth=2, num_heads=2, mlp_ratio=2.0,
        init_values=None, transformer=Transformer,
    )  # fmt: skip
    network = ImageGPT(**arguments | changes).double().eval()
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


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize(
    "tokens, img_size",
    [
        (partial(Pixels, levels=2), 2),
        (partial(Patches, patch_size=1, components=2, levels=2), 2),
        (partial(Patches, patch_size=2, components=3, levels=2), 2),
        (partial(Patches, patch_size=2, components=3, levels=7), 2),
    ],
)
def test_probabilities_of_all_images_sum_to_one(tokens, img_size, conditional):
    network = gpt(tokens, img_size=img_size, num_classes=3 if conditional else 0)
    numbers = torch.tensor(list(itertools.product(range(network.tokens.levels), repeat=img_size**2)))
    images = network.tokens.value(numbers.double()).view(-1, 1, img_size, img_size)
    labels = torch.full((len(images),), 2) if conditional else None
    with torch.no_grad():
        probabilities = (-network(images, labels)).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-9)
    assert probabilities.max() > 2 * probabilities.min()


def test_probabilities_of_all_colours_sum_to_one():
    network = gpt(partial(Pixels, levels=3), img_size=1, in_chans=3)
    images = network.tokens.value(torch.tensor(list(itertools.product(range(3), repeat=3))).double()).view(-1, 3, 1, 1)
    with torch.no_grad():
        assert (-network(images, torch.zeros(27, dtype=torch.long))).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_fresh_one_knows_nothing():
    """bits per dimension: log2 of the number of levels, whatever the image."""
    torch.manual_seed(0)
    network = ImageGPT(8, 3, 0, partial(Pixels, levels=16), 16, 1, 2, 2.0)
    found = network.bits_per_dim(network(images_of(network, 4).float()))
    torch.testing.assert_close(found, torch.full((4,), 4.0))
    assert network.num_values == 192


@both
@pytest.mark.parametrize("in_chans", [1, 3])
def test_causality(tokens, in_chans):
    network = gpt(tokens, in_chans=in_chans)
    images, labels = images_of(network, 2), torch.tensor([0, 1])
    own = network.tokens.tokens(images)
    with torch.no_grad():
        before = network.features(own, labels)
        for k in range(own.shape[1]):
            other = own.clone()
            other[:, k] = own[:, k].roll(1, 0) + (1 if own.dtype == torch.long else 0.1)
            if own.dtype == torch.long:
                other %= network.tokens.levels
                other[:, k] = torch.where(other[:, k] == own[:, k], (own[:, k] + 1) % 5, other[:, k])
            after = network.features(other, labels)
            assert torch.equal(after[:, : k + 1], before[:, : k + 1])
            if k + 1 < own.shape[1]:
                assert (after[:, k + 1 :] != before[:, k + 1 :]).any(-1).all()  # and all that follows


@both
def test_labels_matter_and_batches_do_not(tokens):
    network = gpt(tokens)
    images, labels = images_of(network, 6), torch.arange(6) % 3
    with torch.no_grad():
        together = network(images, labels)
        alone = torch.cat([network(images[i : i + 1], labels[i : i + 1]) for i in range(6)])
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
        assert (network(images, (labels + 1) % 3) - together).abs().min() > 1e-3


def uncached(network, uniform, labels, temperature=1.0, top_k=None):
    """Every token from all those before it, from the beginning."""
    tokens = network.tokens
    positions = uniform.shape[1]
    some = tokens.tokens(images_of(network, len(uniform)))  # what is not drawn yet is anything
    for t in range(positions):
        x = network.features(some, labels)[:, t]
        some[:, t] = tokens.draw(x, uniform[:, t], temperature, top_k)
    return some


@both
@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.7, 2)])
def test_cached_equals_uncached(tokens, temperature, top_k):
    network = gpt(tokens, img_size=8)
    uniform, labels = uniform_of(network, 16), torch.arange(16) % 3
    with torch.no_grad():
        expected = uncached(network, uniform, labels, temperature, top_k)
        found = network.sample(uniform, labels, temperature, top_k)
    assert torch.equal(found, network.tokens.images(expected))
    assert len(found.flatten(1).unique(dim=0)) == 16


def test_the_cache_saves_most_of_the_work_at_64_tokens():
    """Against sampling without one: every token from the start again, though no further than needed."""
    network = gpt(partial(Pixels, levels=17), img_size=8, dim=16, num_heads=4, mlp_ratio=4.0).float()
    uniform, labels = uniform_of(network, 8).float(), torch.arange(8) % 3

    def without_cache():
        start = network.start.expand(8, -1, -1)
        tokens = torch.zeros(8, 0, dtype=torch.long)
        for t in range(64):
            before = torch.cat([start, network.tokens.embed(tokens)], 1)
            x = network.embed(before, slice(0, t + 1), labels)
            x = network.norm(network.stages[0].decode(x, network.stages[0].caches())[:, -1])
            tokens = torch.cat([tokens, network.tokens.draw(x, uniform[:, t], 1.0, None).unsqueeze(1)], 1)
        return network.tokens.images(tokens)

    def flops(sample):
        with FlopCounterMode(display=False) as counter:
            images = sample()
        return counter.get_total_flops(), images

    with torch.no_grad():
        work, expected = flops(without_cache)
        cached, images = flops(lambda: network.sample(uniform, labels))
    assert (images == expected).flatten(1).all(1).sum() >= 7  # float32: see generate
    assert work > 20 * cached > 0


@both
def test_samples_follow_the_likelihood(tokens):
    """All images of 1x2 binary pixels (1 patch or 2 tokens): how often against exp(-nats)."""
    small = partial(tokens.func, **tokens.keywords | {"levels": 2} | ({"patch_size": 1} if tokens is PATCHES else {}))
    network = gpt(small, img_size=2, num_classes=0)
    with torch.no_grad():
        images = network.sample(uniform_of(network, 20_000))
        kinds, counts = images.unique(dim=0, return_counts=True)
        probabilities = (-network(kinds)).exp()
    error = (counts / 20_000 - probabilities).abs() / (probabilities * (1 - probabilities) / 20_000).sqrt()
    assert error.max() < 5 and probabilities.sum() > 0.99


@both
def test_completion_keeps_the_given_half(tokens):
    network = gpt(tokens, img_size=8)
    images, uniform, labels = images_of(network, 6), uniform_of(network, 6), torch.arange(6) % 3
    with torch.no_grad():
        found = network.complete(images, 4, uniform, labels)
        assert torch.equal(found[:, :, :4], images[:, :, :4])
        assert not torch.equal(found[:, :, 4:], images[:, :, 4:])
        # a sample's own upper half leads to its own lower half
        sample = network.sample(uniform, labels)
        assert torch.equal(network.complete(sample, 4, uniform, labels), sample)


def test_what_cannot_be_sampled_is_refused():
    network = gpt(PATCHES)
    images, uniform, labels = images_of(network, 1), uniform_of(network, 1), torch.tensor([0])
    for rows in (0, 1, 4):
        with pytest.raises(ValueError, match=rf"rows={rows}: give a multiple of 2, from 2 to 2"):
            network.complete(images, rows, uniform, labels)
    with pytest.raises(ValueError, match="temperature 0: it must be more than 0"):
        network.sample(uniform, labels, temperature=0)
    with pytest.raises(ValueError, match="top_k=0: it must be at least 1"):
        network.sample(uniform, labels, top_k=0)


def test_a_broken_network_makes_nan():
    network = gpt()
    network.label_embed.weight.data[1] = math.nan
    with torch.no_grad():
        found = network.sample(uniform_of(network, 3), torch.tensor([0, 1, 2]))
    assert found.isnan().flatten(1).all(1).tolist() == [False, True, False]
    assert found.isnan().flatten(1).any(1).tolist() == [False, True, False]


@both
def test_every_parameter_learns(tokens):
    network = gpt(tokens)
    network(images_of(network, 4), torch.tensor([0, 1, 2, 0])).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
