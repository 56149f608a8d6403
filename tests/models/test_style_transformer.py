"""The generator: shapes, what an image depends on, and sentences for stages that do not fit."""

from functools import partial

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.block import Transformer
from transgan.layers.fourier import FourierPatch
from transgan.layers.norm import SelfModulatedNorm, StyleNorm

TWO_STAGES = dict(img_size=16, dim=[16, 8], depth=[1, 1], num_heads=[2, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "changes, size",
    [
        ({}, 8),
        (dict(patch_size=1), 8),
        (dict(patch_size=8), 8),
        (TWO_STAGES, 16),
        (TWO_STAGES | dict(window_size=[None, 4]), 16),
    ],
)
def test_shapes(generator, changes, size, channels):
    network = generator(in_chans=channels, **changes)
    images = network(torch.randn(2, 6), torch.tensor([0, 2]))
    assert images.shape == (2, channels, size, size) and images.dtype == torch.float32
    assert network.latent_dim == 6


def test_stages_double_the_token_grid(generator):
    network = generator(**TWO_STAGES, patch_size=2)
    seen = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    network(torch.randn(2, 6), torch.tensor([0, 1]))
    assert seen == [(2, 16, 16), (2, 64, 8)]


@pytest.mark.parametrize("classes", [0, 3])
def test_latent_and_label_change_the_image_and_nothing_else_does(generator, classes):
    network = generator(num_classes=classes)
    latent = torch.randn(2, 6)
    labels = torch.tensor([0, 0]) if classes else None
    first = network(latent, labels)
    assert torch.equal(first, network(latent, labels))
    assert not torch.allclose(first[0], first[1])
    torch.testing.assert_close(network(latent[1:], labels[1:] if classes else None), first[1:])
    if classes:
        other = network(latent, torch.tensor([0, 1]))
        assert torch.equal(other[0], first[0]) and not torch.allclose(other[1], first[1])


def test_the_style_is_the_way_in(generator):
    network, latent, labels = generator(), torch.randn(2, 6), torch.tensor([0, 1])
    style = network.mapping(latent, labels)
    assert style.shape == (2, 12)
    assert torch.equal(network.synthesis(style), network(latent, labels))
    # the latent counts by direction, not by length
    torch.testing.assert_close(network.mapping(5 * latent, labels), style, atol=1e-5, rtol=1e-4)


VITGAN = dict(enter=False, norm=SelfModulatedNorm, output=partial(FourierPatch, hidden_dim=12))


@pytest.mark.parametrize("changes", [{}, TWO_STAGES])
def test_with_the_parts_of_vitgan(generator, changes):
    network = generator(transformer=partial(Transformer, qk_norm=False), **VITGAN, **changes)
    latent, labels = torch.randn(2, 6), torch.tensor([0, 2])
    images = network(latent, labels)
    assert images.shape == (2, 1, network.grid_size[0] * 2, network.grid_size[0] * 2)
    assert not torch.allclose(images[0], images[1])                     # by the norms alone
    assert not any(name.startswith(("enter", "head", "refine", "norm.")) for name in network.state_dict())
    assert not any(isinstance(module, StyleNorm) and not isinstance(module, SelfModulatedNorm) for module in network.modules())
    assert isinstance(network.stages[0].blocks[0].attn.q_norm, torch.nn.Identity)
    images.square().mean().backward()
    assert all(p.grad.any() for p in network.parameters())


def test_an_output_keeps_its_own_initialisation(generator):
    network = generator(**VITGAN)
    assert network.output.fourier.weight.abs().max() > 2                # frequencies, not Xavier
    style = network.mapping(torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))
    assert torch.equal(network.synthesis(style), network.output(network.stages[0](
        network.tokens.expand(4, -1, -1), style), style))


def test_state_dict_keys_of_the_default_are_the_ones_of_old_checkpoints(generator):
    keys = {name.split(".")[0] for name in generator().state_dict()}
    assert keys == {"tokens", "label_embed", "map", "enter", "stages", "norm", "head", "refine"}


def test_patch_borders_are_crossed(generator):
    assert generator().refine.kernel_size == (3, 3) and generator().refine.padding == (1, 1)


def test_same_seed_same_weights(generator):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(generator().state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_images_depend_on_the_latent_twice(generator):
    network = generator(**TWO_STAGES)
    latent = torch.randn(2, 6, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        value = network(latent, torch.tensor([0, 1])).square().sum()
        (gradient,) = torch.autograd.grad(value, latent, create_graph=True)
        gradient.square().sum().backward()
    assert latent.grad.isfinite().all() and latent.grad.any()


def test_errors_name_the_key(generator):
    with pytest.raises(ValueError, match="patch_size 3 does not divide img_size 8"):
        generator(patch_size=3)
    with pytest.raises(ValueError, match="generator.dim, depth, num_heads and window_size .* 2, 1, 1 and 2"):
        generator(dim=[16, 8])
    with pytest.raises(ValueError, match="3 generator stages halve the 2x2 token grid 2 times"):
        generator(patch_size=4, dim=[8] * 3, depth=[1] * 3, num_heads=[1] * 3)
    with pytest.raises(ValueError, match="window_size 3 does not divide"):
        generator(window_size=[3])
