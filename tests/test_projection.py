"""The nearest image to a photo: one that the generator has made is found again."""

import pytest
import torch
from torch import nn

import transgan
from transgan.projection import Latents, Styles, differences, gauss_newton, multi_scale, project, space_of
from transgan.sampling import LatentSampler


@pytest.fixture(scope="module")
def sampler(digits_run):
    return transgan.load(digits_run[0]).sampler_of_images().eval()


class Linear(nn.Module):
    """A generator without a mapping: 4 numbers to 1 x 4 x 4 values."""

    latent_dim = 4

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 16)

    def forward(self, latent, labels=None):
        return self.linear(latent).unflatten(1, (1, 4, 4))


@pytest.mark.parametrize("space, seeds", [("w", (0, 1, 2)), ("z", (3, 4))])
def test_an_image_of_the_generator_is_found_again(sampler, space, seeds):
    for seed in seeds:
        photo = sampler.generate([seed])
        found = project(sampler, photo, space_of(sampler.network, space), steps=60)
        assert found.space == space and found.image.dtype == torch.uint8
        assert 10 * found.rmse <= found.random_rmse < found.mean_rmse


def test_the_same_seed_finds_the_same_numbers_and_another_seed_begins_elsewhere(sampler):
    photo, space = sampler.generate([7]), space_of(sampler.network, None)
    few = {"candidates": 30, "starts": 2, "steps": 3, "newton": 1}
    a, b, c = (project(sampler, photo, space, seed=seed, **few) for seed in (0, 0, 1))
    assert isinstance(space, Styles) and torch.equal(a.vector, b.vector) and a.rmse == b.rmse
    assert a.random_rmse != c.random_rmse
    assert a.rmse < a.random_rmse
    assert all(each.grad is None and not each.requires_grad for each in sampler.network.parameters())


def test_the_class_that_is_asked_for_or_that_of_the_nearest(sampler):
    photo = sampler.generate([0], torch.tensor([3]))
    few = {"candidates": 100, "starts": 1, "steps": 0, "newton": 0}
    assert project(sampler, photo, space_of(sampler.network, "z"), 5, **few).label == 5
    every = project(sampler, photo, space_of(sampler.network, "z"), **few)
    assert every.random_rmse == every.rmse and every.label in range(10)
    one_each = project(sampler, photo, space_of(sampler.network, "z"), **few | {"candidates": 1})
    assert one_each.random_rmse <= project(sampler, photo, Latents(sampler.network), 0, **few | {"candidates": 1}).rmse


def test_a_generator_without_styles_and_classes():
    torch.manual_seed(0)
    sampler = LatentSampler(Linear().eval())
    with pytest.raises(ValueError, match="no mapping to styles; give space=z"):
        space_of(sampler.network, "w")
    space = space_of(sampler.network, None)
    found = project(sampler, sampler.generate([5]), space, candidates=20, starts=2, steps=20)
    assert isinstance(space, Latents) and found.label is None and found.rmse < 1


def test_beyond_black_and_white_there_is_no_difference():
    images = torch.tensor([-3.0, -1.0, 0.5, 1.5, 2.0]).view(1, 1, 1, 5)
    target = torch.tensor([-1.0, 0.0, 0.5, 1.0, 0.0]).view(1, 1, 1, 5)
    assert differences(images, target).flatten().tolist() == [0.0, -1.0, 0.0, 0.0, 2.0]


def test_scales():
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)[None, None]
    assert multi_scale(checks).tolist() == [0.5]  # 1 at 4 pixels, 0 at 2
    assert multi_scale(torch.ones(2, 1, 3, 3)).tolist() == [1.0, 1.0]


def test_a_linear_generator_needs_one_step():
    torch.manual_seed(0)
    network, wanted = Linear().requires_grad_(False), 0.1 * torch.randn(1, 4)
    found = gauss_newton(
        Latents(network, weight=0.0), torch.zeros(1, 4), None, network(wanted), torch.tensor(1.0), 3, lambda text: None
    )
    assert torch.allclose(found, wanted, atol=1e-3)
