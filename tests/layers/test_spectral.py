"""Spectral norms against singular values, and what they do to a network."""

import copy
import io

import pytest
import torch
from torch import nn

from transgan.layers.spectral import ImprovedSpectralNorm, SpectralNorm, largest_singular_value


def sigma(weight):
    return torch.linalg.svdvals(weight.flatten(1))[0]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (40, 40), (1, 7), (7, 1), (6, 4, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_largest_singular_value(shape, dtype):
    weight = torch.randn(shape, dtype=dtype)
    torch.testing.assert_close(largest_singular_value(weight), sigma(weight), atol=0, rtol=1e-4)


def test_of_a_flat_spectrum():
    flat = torch.linalg.qr(torch.randn(20, 20)).Q
    torch.testing.assert_close(largest_singular_value(3 * flat), torch.tensor(3.0), atol=0, rtol=4e-4)
    weight = flat @ torch.linspace(0.99, 1, 20).diag() @ flat.T
    torch.testing.assert_close(largest_singular_value(weight), torch.tensor(1.0), atol=0, rtol=4e-4)


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_of_tiny_and_huge_weights(scale):
    weight = torch.randn(6, 9)
    torch.testing.assert_close(largest_singular_value(scale * weight) / scale, sigma(weight), atol=0, rtol=1e-4)
    assert largest_singular_value(torch.zeros(3, 4)) == 0


def test_its_derivative_is_u_v():
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(largest_singular_value(weight), weight)
    u, _, v = torch.linalg.svd(weight.detach())
    torch.testing.assert_close(ours, torch.outer(u[:, 0], v[0]), atol=1e-5, rtol=0)


def network():
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.Flatten(), nn.Linear(24, 5), nn.Tanh(), nn.Linear(5, 1, bias=False))


def layers(net):
    return [layer for layer in net if hasattr(layer, "weight")]


def test_spectral_norm_of_every_weight_is_one():
    net = network()
    before = [layer.weight.detach().clone() for layer in layers(net)]
    SpectralNorm()(net)
    assert len(before) == 3
    for layer, weight in zip(layers(net), before, strict=True):
        torch.testing.assert_close(sigma(layer.weight), torch.tensor(1.0), atol=1e-4, rtol=0)
        torch.testing.assert_close(layer.weight, weight / sigma(weight), atol=1e-4, rtol=1e-3)
        assert layer.bias is None or isinstance(layer.bias, nn.Parameter)


def test_improved_spectral_norm_keeps_the_initial_one():
    net, images = network(), torch.randn(3, 2, 4, 4)
    before = [sigma(layer.weight.detach()) for layer in layers(net)]
    expected = net(images).detach()
    ImprovedSpectralNorm()(net)
    torch.testing.assert_close(net(images), expected)  # nothing changes at the start
    for parameter in net.parameters():
        parameter.data = 7 * parameter.data + 0.3 * torch.randn_like(parameter)
    for layer, value in zip(layers(net), before, strict=True):
        torch.testing.assert_close(sigma(layer.weight), value, atol=0, rtol=1e-3)


@pytest.mark.parametrize("kind", [SpectralNorm, ImprovedSpectralNorm])
def test_travels_in_a_state_dict_and_a_copy(kind):
    net, other = network(), network()
    kind()(net), kind()(other)
    file, images = io.BytesIO(), torch.randn(2, 2, 4, 4)
    torch.save(net.state_dict(), file)
    assert not torch.equal(net(images), other(images))
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert torch.equal(net(images), other(images)) and torch.equal(net(images), copy.deepcopy(net)(images))
    assert torch.equal(net.train()(images), net.eval()(images))  # nothing moves on between two calls


def test_embeddings_too():
    net = nn.ModuleList([nn.Embedding(4, 6)])
    SpectralNorm()(net)
    torch.testing.assert_close(sigma(net[0].weight), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_on_the_meta_device_and_under_bf16():
    with torch.device("meta"):
        net = network()
        ImprovedSpectralNorm()(net)
        assert net(torch.empty(3, 2, 4, 4)).shape == (3, 1)
    net = network()
    SpectralNorm()(net)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(sigma(net[2].weight), torch.tensor(1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [SpectralNorm, ImprovedSpectralNorm])
def test_gradient_penalties_reach_the_original_weights(kind):
    """The second derivative against finite differences of the first, through torch.func.grad as in penalties.py."""
    net = network().double()
    kind()(net)
    images = torch.randn(2, 2, 4, 4, dtype=torch.float64)

    def penalty():
        return torch.func.grad(lambda x: net(x).sum())(images).square().sum()

    penalty().backward()
    weight = net[2].parametrizations.weight.original
    step, values = torch.randn_like(weight) * 1e-6, []
    for sign in (1, -2):
        weight.data += sign * step
        values.append(penalty().item())
    assert (weight.grad * step).sum().item() == pytest.approx((values[0] - values[1]) / 2, rel=1e-3)
