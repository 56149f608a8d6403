"""Noise on tokens: new in training, and a function of a sample's seed otherwise."""

import pytest
import torch

from transgan.layers.noise import TokenNoise, mix, sample_seeds, seeded_tokens


def splitmix(x):
    mask = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & mask
    return x ^ x >> 31


def test_mix_is_splitmix64():
    numbers = [0, 1, -1, 2**63 - 1, -(2**63), 12345]
    mixed = mix(torch.tensor(numbers)).tolist()
    assert [value % 2**64 for value in mixed] == [splitmix(value % 2**64) for value in numbers]
    assert splitmix(0) == 0xE220A8397B1DCDAF  # of the published generator with seed 0


def test_seeds_are_a_function_of_the_sample():
    x = torch.randn(1000, 3, 4)
    seeds = sample_seeds(x)
    assert seeds.shape == (1000,) and len(seeds.unique()) == 1000
    assert torch.equal(seeds[700:701], sample_seeds(x[700:701]))
    assert torch.equal(seeds, sample_seeds(x.transpose(1, 2).contiguous().transpose(1, 2)))
    x[3, 1, 2] += 1e-6
    assert (sample_seeds(x) != seeds).nonzero().flatten().tolist() == [3]
    x[5] = x[5].flip(0)
    assert sample_seeds(x)[5] != seeds[5]


def test_seeded_tokens_are_standard_normal_and_independent():
    numbers = seeded_tokens(torch.arange(2000), 100)
    assert numbers.shape == (2000, 100) and numbers.isfinite().all()
    assert numbers.mean().item() == pytest.approx(0, abs=0.01) and numbers.std().item() == pytest.approx(1, abs=0.01)
    assert numbers.pow(4).mean().item() == pytest.approx(3, abs=0.1)
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert (a * b).mean().abs() < 0.01
    assert torch.equal(seeded_tokens(torch.tensor([7]), 100)[0], numbers[7])
    assert torch.equal(seeded_tokens(torch.tensor([7]), 5)[0], numbers[7, :5])


def test_token_noise():
    layer, x = TokenNoise(), torch.randn(3, 4, 5)
    assert torch.equal(layer(x), x) and torch.equal(layer(x, torch.arange(3)), x)
    layer.strength.data.fill_(0.5)
    torch.manual_seed(1)
    out = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(out, x + 0.5 * torch.randn(3, 4)[..., None])
    assert not torch.equal(layer(x), out)
    seeds = torch.tensor([5, 6, 5])
    torch.testing.assert_close(layer(x, seeds), x + 0.5 * seeded_tokens(seeds, 4)[..., None])
    assert layer(x.bfloat16(), seeds).dtype == torch.bfloat16
