"""A walk passes its seeds, goes on evenly, and ends where it began."""

import pytest
import torch

from transgan.sampling import LatentSampler, TokenSampler
from transgan.sampling.walk import closed, require, slerp, walk

SEEDS = [3, 8, 21]


@pytest.fixture
def sampler(generator):
    return LatentSampler(generator().eval(), 3)


def test_the_arc_keeps_the_length():
    a, b = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    a, b = a / a.norm(), b / b.norm()
    steps = [slerp(a, b, share / 10) for share in range(11)]
    assert torch.allclose(torch.stack(steps).norm(dim=1), torch.ones(11), atol=1e-5)
    apart = torch.stack([(y - x).norm() for x, y in zip(steps[:-1], steps[1:], strict=True)])
    assert apart.std() < 1e-5 and torch.allclose(steps[0], a) and torch.allclose(steps[-1], b, atol=1e-6)
    assert torch.allclose(slerp(a, a, 0.3), a) and torch.allclose(slerp(a, -a, 0.5), torch.zeros(50), atol=1e-6)


@pytest.mark.parametrize("space", ["z", "w"])
def test_it_is_closed_and_even(space):
    points = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    path = closed(points, 12, space)
    assert path.shape == (48, 64) and torch.allclose(path[::12], points, atol=1e-6)
    apart = (path.roll(-1, 0) - path).norm(dim=1)  # from the last one to the first, too
    for i in range(4):  # even within each way
        own = apart[12 * i : 12 * (i + 1)]
        assert own.max() / own.min() < 1.2  # the lengths of the two ends differ
    assert apart.max() / apart.min() < 1.6


def frames(*arguments):
    return torch.cat(list(walk(*arguments)))


@pytest.mark.parametrize("space", ["z", "w"])
@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_frames_at_the_seeds_are_their_images(sampler, space, psi):
    labels = torch.tensor([1, 1, 1])
    found = frames(sampler, SEEDS, labels, 5, space, psi, 4)
    assert found.shape == (15, 1, 8, 8) and found.dtype == torch.uint8
    apart = (found[::5].int() - sampler.generate(SEEDS, labels, psi).int()).abs()
    assert apart.max() <= 1  # in another batch


def test_between_styles_each_seed_has_its_own_class(sampler):
    labels = torch.tensor([0, 1, 2])
    found = frames(sampler, SEEDS, labels, 2, "w", 1.0, 64)
    assert (found[::2].int() - sampler.generate(SEEDS, labels).int()).abs().max() <= 1
    found = frames(sampler, SEEDS, labels, 2, "z", 1.0, 64)  # between classes there is nothing
    assert (found[::2].int() - sampler.generate(SEEDS, torch.tensor([0, 0, 0])).int()).abs().max() <= 1


def test_what_has_no_latents_or_styles_is_a_sentence(generator):
    with pytest.raises(ValueError, match="token by token"):
        require(TokenSampler(torch.nn.Linear(1, 1)), "z")
    plain = torch.nn.Linear(1, 1)
    plain.latent_dim = 1
    require(LatentSampler(plain), "z")
    with pytest.raises(ValueError, match="space=w: this generator has no styles"):
        require(LatentSampler(plain), "w")
