"""Palettes: the colours of the training images, or the middles of their clusters."""

import itertools
from functools import partial

import pytest
import torch

from transgan.models.image_gpt import ImageGPT
from transgan.models.palette import Palette, clusters, codes_of, colours_of

COLOURS = torch.tensor([[0, 0, 0], [255, 0, 7], [3, 200, 90], [254, 0, 7]], dtype=torch.uint8)


def random_images(count, size=4):
    return COLOURS[torch.randint(len(COLOURS), (count, size, size))].permute(0, 3, 1, 2)


def test_all_colours_come_back():
    images = random_images(10)
    tokens = Palette(4, 3, 8, colours=6)  # two more than there are
    tokens.prepare(images)
    own = tokens.tokens(images / 127.5 - 1)
    assert own.shape == (10, 16) and len(own.unique()) == 4
    assert torch.equal(((tokens.images(own) + 1) * 127.5).round().to(torch.uint8), images)
    assert torch.equal(own.view(10, 4, 4)[:, 0, 1], own[:, 1])  # raster order
    before = tokens.palette.clone()
    tokens.prepare(random_images(1))  # what is there stays
    assert torch.equal(tokens.palette, before)


def test_codes():
    codes, counts = codes_of(COLOURS[:, :, None, None])
    assert codes.tolist() == sorted(65536 * r + 256 * g + b for r, g, b in COLOURS.tolist()) and counts.sum() == 4
    assert colours_of(codes, 3).tolist() == sorted(COLOURS.tolist())


def test_more_colours_are_refused_or_clustered():
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"tokens.colours=5: the images have 25\d colours, some not in this palette"):
        Palette(8, 3, 8, colours=5).prepare(images)
    tokens = Palette(8, 3, 8, colours=5, quantise=True)
    tokens.prepare(images)
    near = ((tokens.images(tokens.tokens(images / 127.5 - 1)) + 1) * 127.5).round()
    assert len(codes_of(near.to(torch.uint8))[0]) == 5
    every = (tokens.palette[:, None] - images.permute(0, 2, 3, 1).reshape(-1, 3).float()).square().sum(2)
    assert (near - images).square().sum(1).flatten().tolist() == pytest.approx(every.amin(0).tolist())  # the nearest
    with pytest.raises(ValueError, match="tokens.colours=1: a palette has 2 to 4096"):
        Palette(8, 3, 8, colours=1)


def test_clusters_find_what_is_there():
    centres = torch.tensor([[20, 30, 40], [120, 200, 90], [240, 10, 200]])
    near = (centres.repeat(50, 1) + torch.randint(-5, 6, (150, 3))).unique(dim=0)
    found = clusters(near, torch.ones(len(near)), 3)
    assert (found[found.sum(1).argsort()] - centres[centres.sum(1).argsort()]).abs().max() <= 3


def test_probabilities_of_all_images_sum_to_one():
    torch.manual_seed(0)
    network = ImageGPT(2, 3, 0, partial(Palette, colours=3), 8, 1, 2, 2.0)
    network.tokens.prepare(COLOURS[:3, :, None, None])
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        images = network.tokens.images(torch.tensor(list(itertools.product(range(3), repeat=4))))
        assert images.shape == (81, 3, 2, 2)
        assert (-network(images)).exp().sum().item() == pytest.approx(1, abs=1e-9)
        drawn = network.sample(torch.rand(5, 4, 1, dtype=torch.float64))
        assert {tuple(c) for c in ((drawn + 1) * 127.5).round().permute(0, 2, 3, 1).reshape(-1, 3).int().tolist()} <= {
            tuple(c) for c in COLOURS.tolist()
        }
