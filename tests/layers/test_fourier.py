"""Pixels as a function of their place: the formula pixel by pixel, and where a token's pixels lie."""

import pytest
import torch

from transgan.layers.fourier import FourierPatch, positions


def output(**changes):
    return FourierPatch(**dict(dim=6, style_dim=3, grid_size=(2, 3), patch_size=2, in_chans=3, hidden_dim=5) | changes)


def test_places_are_pixel_centres():
    assert positions(1).tolist() == [[0.0, 0.0]]
    assert positions(2).tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]  # y, x: row by row
    torch.testing.assert_close(positions(4)[:4, 1], torch.tensor([-0.75, -0.25, 0.25, 0.75]))


def test_equals_modulated_weights_pixel_by_pixel():
    """Weights scaled and brought back to unit norm one input at a time (Karras et al., 2020, eq. 1 and 3)."""
    layer = output().double()
    x, style = torch.randn(2, 6, 6, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    images = layer(x, style)
    assert images.shape == (2, 3, 4, 6)
    tokens = layer.norm(x, style)[0]
    for n in range(2):
        for t in range(6):
            first, second = (1 + layer.modulation(tokens[n, t])).chunk(2)
            weight = layer.fc1.weight * first
            weight = weight / (weight.square().sum(1, keepdim=True) + 1e-8).sqrt()
            for k, place in enumerate(layer.positions):
                h = torch.sin(weight @ torch.sin(layer.fourier(place)) + layer.fc1.bias)
                colour = (layer.fc2.weight * second) @ h + layer.fc2.bias
                row, column = 2 * (t // 3) + k // 2, 2 * (t % 3) + k % 2
                torch.testing.assert_close(images[n, :, row, column], colour)


@pytest.mark.parametrize("patch", [1, 2, 8])
def test_starts_at_the_scale_of_images(patch):
    layer = output(dim=64, hidden_dim=64, patch_size=patch, grid_size=(4, 4), style_dim=8)
    images = layer(torch.randn(32, 16, 64), torch.randn(32, 8))
    assert 0.5 < images.std() < 2
    frequency = layer.fourier.weight.abs().max() * 2 / patch  # radians from one pixel to the next
    assert frequency <= torch.pi


def test_style_reaches_the_pixels():
    layer, x = output(), torch.randn(1, 6, 6)
    assert not torch.allclose(layer(x, torch.ones(1, 3)), layer(x, -torch.ones(1, 3)))


def test_can_be_differentiated_twice():
    layer = output(grid_size=(1, 2), dim=4).double()
    x, style = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 2, 4), (1, 3)))
    assert torch.autograd.gradgradcheck(layer, (x, style))
