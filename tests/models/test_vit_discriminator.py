"""The discriminator: shapes, one image one logit, float32 at the end, and sentences for stages that do not fit."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.block import Transformer
from transgan.layers.convolution import ResidualStem
from transgan.layers.l2_attention import L2Attention
from transgan.layers.spectral import ImprovedSpectralNorm

TWO_STAGES = dict(dim=[8, 16], depth=[1, 1], num_heads=[1, 2], window_size=[2, None])


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("changes", [{}, dict(patch_size=1), dict(patch_size=8), dict(init_values=None), TWO_STAGES])
def test_shapes(discriminator, changes, channels, classes):
    network = discriminator(in_chans=channels, num_classes=classes, **changes)
    images, labels = torch.randn(3, channels, 8, 8), torch.tensor([0, 1, 2]) if classes else None
    logits = network(images, labels)
    assert logits.shape == (3,) and logits.dtype == torch.float32
    assert network.features(images).shape == (3, 16)


def test_stages_halve_the_token_grid(discriminator):
    network, seen = discriminator(**TWO_STAGES), []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    network(torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))
    assert seen == [(2, 16, 8), (2, 1 + 4, 16)]


@pytest.mark.parametrize("changes", [{}, TWO_STAGES])
def test_a_logit_depends_on_its_own_image_alone(discriminator, changes):
    network = discriminator(**changes).train()
    images, labels = torch.randn(4, 1, 8, 8, requires_grad=True), torch.tensor([0, 1, 2, 0])
    logits = network(images, labels)
    (gradient,) = torch.autograd.grad(logits[1], images)
    assert gradient[1].any() and not gradient[[0, 2, 3]].any()
    torch.testing.assert_close(network(images[1:2], labels[1:2]), logits[1:2])


def test_pooling_of_tokens(discriminator):
    """Means leave nothing of a token's place in the head; flattened tokens have a weight each."""
    torch.manual_seed(0)
    mean, flat = (discriminator(global_pool=pool, depth=[0], num_classes=0) for pool in ("avg", "flatten"))
    flat.load_state_dict(mean.state_dict() | {"head.weight": flat.head.weight})
    images = torch.randn(2, 1, 8, 8)
    tokens = flat.features(images).unflatten(1, (-1, 16))  # (N, T, C)
    torch.testing.assert_close(tokens.mean(1), mean.features(images))
    assert flat.head.in_features == 16 * tokens.shape[1] and not torch.equal(tokens[:, 0], tokens[:, 1])
    torch.testing.assert_close(flat(images), tokens.flatten(1) @ flat.head.weight[0])


def test_every_pixel_counts(discriminator):
    images = torch.randn(1, 1, 8, 8, requires_grad=True)
    discriminator(**TWO_STAGES)(images, torch.tensor([0])).backward()
    assert images.grad.all()


def test_the_label_projects(discriminator):
    network, image = discriminator(), torch.randn(1, 1, 8, 8)
    features = network.features(image)
    head = network.head(features).squeeze(1)
    torch.testing.assert_close(network(image, torch.tensor([2])), head + features @ network.label_embed.weight[2])
    assert not torch.allclose(network(image, torch.tensor([1])), network(image, torch.tensor([2])))


def test_logits_stay_float32_under_bf16(discriminator):
    network, images, labels = discriminator(depth=[1]), torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    exact = network(images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images, labels)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, exact, atol=0.05, rtol=0.05)
    assert not torch.equal(logits, logits.bfloat16().float())  # the head itself is not rounded


def test_errors_name_the_key(discriminator):
    with pytest.raises(ValueError, match="patch_size 5 does not divide img_size 8"):
        discriminator(patch_size=5)
    with pytest.raises(ValueError, match="discriminator.dim, depth, num_heads and window_size .* 1, 2, 1 and 1"):
        discriminator(depth=[1, 2])
    with pytest.raises(ValueError, match="needs global attention: window_size null"):
        discriminator(window_size=[2])
    with pytest.raises(ValueError, match="4 discriminator stages halve the 4x4 token grid 3 times"):
        discriminator(dim=[8] * 4, depth=[1] * 4, num_heads=[1] * 4)


VITGAN = dict(
    stem=nn.Identity, stem_dim=1, norm_layer=nn.LayerNorm, init_values=None, weight_norm=ImprovedSpectralNorm(),
    transformer=partial(Transformer, attn_layer=L2Attention, qk_norm=False, rotary=False),
)  # fmt: skip
HYBRID = dict(stem=ResidualStem, patch_size=1)


@pytest.mark.parametrize("changes", [VITGAN, VITGAN | TWO_STAGES, HYBRID, HYBRID | TWO_STAGES])
def test_with_other_parts(discriminator, changes):
    network = discriminator(**changes)
    images, labels = torch.randn(3, 1, 8, 8, requires_grad=True), torch.tensor([0, 1, 2])
    logits = network(images, labels)
    assert logits.shape == (3,) and logits.dtype == torch.float32
    (gradient,) = torch.autograd.grad(logits[1], images, retain_graph=True)
    assert gradient[1].any() and not gradient[[0, 2]].any()
    logits.square().sum().backward()
    assert all(p.grad.any() for name, p in network.named_parameters() if "_norm" not in name)
    with sdpa_kernel(SDPBackend.MATH):
        gradient = torch.func.grad(lambda x: network(x, labels).sum())(images.detach())
        gradient.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_every_weight_of_vitgans_discriminator_keeps_its_initial_bound(discriminator):
    torch.manual_seed(3)
    before = discriminator(**VITGAN | dict(weight_norm=None)).state_dict()
    torch.manual_seed(3)
    network, found = discriminator(**VITGAN), 0
    for parameter in network.parameters():
        parameter.data *= 3
    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)):
            bounds = [torch.linalg.svdvals(w.flatten(1))[0] for w in (module.weight, before[f"{name}.weight"])]
            torch.testing.assert_close(*bounds, atol=0, rtol=1e-3)
            found += 1
    assert found == 2 * 5 + 3  # qk, v, proj, fc1, fc2 of two blocks; patches, head, classes


def test_a_stem_that_halves_leaves_fewer_tokens(discriminator):
    network = discriminator(**HYBRID)
    assert network.pos_embed.shape[1] == 16 and network.patch_embed.proj.kernel_size == (1, 1)
    with pytest.raises(ValueError, match="does not divide img_size 7"):
        discriminator(**HYBRID | dict(img_size=7))


def test_state_dict_keys_of_the_default_are_the_ones_of_old_checkpoints(discriminator):
    keys = {name.split(".")[0] for name in discriminator().state_dict()}
    assert keys == {"stem", "patch_embed", "pos_embed", "cls_token", "stages", "norm", "head", "label_embed"}
    assert {"stem.0.weight", "stem.0.bias"} <= set(discriminator().state_dict())
