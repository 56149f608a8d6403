"""The generator: shapes, what an image depends on, and sentences for stages that do not fit."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.block import Transformer
from transgan.layers.fourier import FourierPatch
from transgan.layers.norm import SelfModulatedNorm, StyleNorm
from transgan.layers.patch import unpatchify

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


@pytest.mark.parametrize("classes", [0, 3])
def test_without_a_mapping_network_the_style_is_latent_and_class(generator, classes):
    network = generator(num_classes=classes, mapping_depth=0, style_dim=None)
    latent, labels = torch.randn(2, 6), torch.tensor([0, 1]) if classes else None
    style = network.mapping(latent, labels)
    assert style.shape == (2, 12 if classes else 6)
    torch.testing.assert_close(style[:, :6], network.latent_norm(latent))
    images = network(latent, labels)
    assert images.shape == (2, 1, 8, 8) and not torch.allclose(images[0], images[1])


@pytest.mark.parametrize(("classes", "width", "ok"), [(0, 6, True), (3, 12, True), (0, 12, False), (3, 50, False)])
def test_a_width_that_has_no_effect_without_a_mapping_network_is_refused(generator, classes, width, ok):
    if ok:
        assert generator(num_classes=classes, mapping_depth=0, style_dim=width).embed.in_features == width
        return
    with pytest.raises(ValueError, match=f"generator.style_dim={width} .*style_dim=null"):
        generator(num_classes=classes, mapping_depth=0, style_dim=width)


def test_the_style_is_the_way_in(generator):
    network, latent, labels = generator(), torch.randn(2, 6), torch.tensor([0, 1])
    style = network.mapping(latent, labels)
    assert style.shape == (2, 12)
    assert torch.equal(network.synthesis(style), network(latent, labels))
    # the latent counts by direction, not by length
    torch.testing.assert_close(network.mapping(5 * latent, labels), style, atol=1e-5, rtol=1e-4)


VITGAN = dict(embed_style=False, norm=SelfModulatedNorm, output=partial(FourierPatch, hidden_dim=12))


@pytest.mark.parametrize("changes", [{}, TWO_STAGES])
def test_with_the_parts_of_vitgan(generator, changes):
    network = generator(transformer=partial(Transformer, qk_norm=False), **VITGAN, **changes)
    latent, labels = torch.randn(2, 6), torch.tensor([0, 2])
    images = network(latent, labels)
    assert images.shape == (2, 1, network.grid_size[0] * 2, network.grid_size[0] * 2)
    assert not torch.allclose(images[0], images[1])  # by the norms alone
    assert not any(name.startswith(("embed", "head", "refine", "norm.")) for name in network.state_dict())
    assert not any(
        isinstance(module, StyleNorm) and not isinstance(module, SelfModulatedNorm) for module in network.modules()
    )
    assert isinstance(network.stages[0].blocks[0].attn.q_norm, torch.nn.Identity)
    images.square().mean().backward()
    assert all(p.grad.any() for p in network.parameters())


def test_an_output_keeps_its_own_initialisation(generator):
    network = generator(**VITGAN)
    assert network.output.fourier.weight.abs().max() > 2  # frequencies, not Xavier
    style = network.mapping(torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))
    assert torch.equal(
        network.synthesis(style), network.output(network.stages[0](network.tokens.expand(4, -1, -1), style), style)
    )


def test_state_dict_keys_of_the_default_are_the_ones_of_old_checkpoints(generator):
    keys = {name.split(".")[0] for name in generator().state_dict()}
    assert keys == {"tokens", "label_embed", "map", "embed", "stages", "norm", "head", "refine"}


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


DEEP = dict(img_size=16, dim=[16, 8], depth=[3, 2], num_heads=[2, 1])
LATENT, LABELS = torch.linspace(-1, 1, 12).reshape(2, 6), torch.tensor([0, 2])


def seeded(make, **changes):
    torch.manual_seed(3)
    return make(**changes)


@pytest.mark.parametrize("changes", [DEEP, VITGAN | DEEP])
def test_one_level_is_the_generator_without_image_heads(generator, changes):
    network, heads = seeded(generator, **changes), seeded(generator, **changes, image_heads=4)
    assert not len(network.image_heads) and network.image_sizes == [16]
    style = network.mapping(LATENT, LABELS)
    x = network.tokens.expand(2, -1, -1)
    if network.embed is not None:
        x = x + network.embed(style).unflatten(1, (16, 16))
    x = network.stages[1](network.ups[0](network.stages[0](x, style)), style)
    if network.output is not None:
        image = network.output(x, style)
    else:
        image = network.refine(F.silu(unpatchify(network.head(network.norm(x)), (8, 8), 2)))
    assert torch.equal(network(LATENT, LABELS), image)
    (only,) = network.all_images(LATENT, LABELS)
    assert torch.equal(only, image)
    # heads come last: all other weights are the same as without them
    without, with_heads = network.state_dict(), heads.state_dict()
    assert list(without) == [name for name in with_heads if not name.startswith("image_heads.")]
    assert all(torch.equal(without[name], with_heads[name]) for name in without)
    assert len(heads.image_heads) == 3


@pytest.mark.parametrize(
    "depth, heads, blocks, sizes",
    [
        ([3, 2], 2, [[3], []], [8, 16]),  # behind the first stage's last block: still its grid
        ([3, 2], 3, [[2], [1]], [8, 16, 16]),
        ([3, 2], 4, [[2, 3], [1]], [8, 8, 16, 16]),
        ([3, 2], 5, [[1, 2, 3], [1]], [8, 8, 8, 16, 16]),
        ([0, 4], 4, [[], [1, 2, 3]], [16] * 4),
        ([2, 0], 2, [[1], []], [8, 16]),
    ],
)
def test_where_the_heads_are_and_how_large_their_images(generator, depth, heads, blocks, sizes):
    network = generator(**DEEP | dict(depth=depth), in_chans=3, image_heads=heads)
    assert network.head_blocks == blocks and network.image_sizes == sizes
    assert all(type(size) is int for size in network.image_sizes)
    levels = network.all_images(LATENT, LABELS)
    assert [tuple(level.shape) for level in levels] == [(2, 3, size, size) for size in sizes]
    assert torch.equal(levels[-1], network(LATENT, LABELS))
    assert torch.equal(levels[-1], network.synthesis(network.mapping(LATENT, LABELS)))


@pytest.mark.parametrize("changes", [DEEP, VITGAN | DEEP])
def test_levels_add_up(generator, changes):
    """Closed form: three heads, behind blocks 2 and 3 of the first stage and 1 of the second, then the output."""
    network = generator(**changes, image_heads=4)
    style = network.mapping(LATENT, LABELS)
    x = network.tokens.expand(2, -1, -1)
    if network.embed is not None:
        x = x + network.embed(style).unflatten(1, (16, 16))
    first = list(network.stages[0].intermediates(x, style))
    second = list(network.stages[1].intermediates(network.ups[0](first[-1]), style))

    def rgb(k, x, grid):
        head = network.image_heads[k]
        return unpatchify(head.linear(head.norm(x, style)[0]), (grid, grid), 2)

    def up(image):
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3)

    expected = [rgb(0, first[1], 4)]
    expected.append(expected[-1] + rgb(1, first[2], 4))
    expected.append(up(expected[-1]) + rgb(2, second[0], 8))
    expected.append(expected[-1] + network.finish(second[1], style))
    for found, level in zip(network.all_images(LATENT, LABELS), expected, strict=True):
        torch.testing.assert_close(found, level)


def test_a_last_path_of_zeros_leaves_the_level_before_enlarged(generator):
    network = generator(**DEEP, image_heads=2)
    torch.nn.init.zeros_(network.refine.weight)
    torch.nn.init.zeros_(network.refine.bias)
    small, last = network.all_images(LATENT, LABELS)
    assert small.shape[2:] == (8, 8) and small.abs().max() > 1e-3
    assert torch.equal(last, small.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("changes", [DEEP, VITGAN | DEEP])
def test_image_heads_start_small_follow_the_style_and_all_of_them_learn(generator, changes):
    network, plain = seeded(generator, **changes, image_heads=4), seeded(generator, **changes)
    levels = network.all_images(LATENT, LABELS)
    assert all(0 < level.std() < 0.5 for level in levels[:-1])
    assert (levels[-1] - plain(LATENT, LABELS)).abs().max() < 1.5
    assert not torch.allclose(levels[0][0], levels[0][1], atol=1e-3)
    sum(level.square().mean() for level in levels).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_levels_of_half_precision_add_up_in_single(generator):
    network = generator(**DEEP, image_heads=4)
    with torch.autocast("cpu", torch.bfloat16):
        levels = network.all_images(LATENT, LABELS)
    assert all(level.dtype == torch.float32 for level in levels)


def test_levels_compile_into_one_graph(generator):
    network = generator(**DEEP, image_heads=4)
    compiled = torch.compile(network.all_images, backend="eager", fullgraph=True)
    for found, level in zip(compiled(LATENT, LABELS), network.all_images(LATENT, LABELS), strict=True):
        torch.testing.assert_close(found, level)


@pytest.mark.parametrize("heads", [0, -1, 6])
def test_there_is_a_block_for_every_level(generator, heads):
    with pytest.raises(ValueError, match=rf"generator.image_heads={heads} .* generator.depth=\[3, 2\] has 5"):
        generator(**DEEP, image_heads=heads)
