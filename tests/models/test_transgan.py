"""TransGAN: its size, its function against naive formulas, its noise, and sentences for stages that do not fit."""

from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.config.compose import compose
from transgan.layers.noise import TokenNoise
from transgan.layers.norm import PixelNorm
from transgan.layers.patch import Bicubic, PixelShuffle
from transgan.models.transgan import Discriminator, Generator

from . import naive_transgan as naive

PIXEL_NORM = partial(PixelNorm, eps=1e-8)
GENERATOR = dict(
    img_size=16, in_chans=3, num_classes=0, latent_dim=5, dim=[64, 16, 4], depth=[2, 1, 1], num_heads=[4, 2, 2],
    window_size=None, upsample=[PixelShuffle(), PixelShuffle()], norm_layer=nn.LayerNorm, relative_position=True,
    noise=False, cross_attention=False, mlp_ratio=2.0, checkpointing=False,
)  # fmt: skip
DISCRIMINATOR = dict(
    img_size=16, in_chans=3, num_classes=0, patch_size=[2, 4], overlap=0, dim=[6, 8], depth=[1, 2], num_heads=[2, 2],
    window_size=None, norm_layer=nn.LayerNorm, relative_position=True, noise=True, mlp_ratio=2.0, checkpointing=False,
)  # fmt: skip
SMOOTH = [Bicubic(), PixelShuffle(), PixelShuffle(smooth=True)]
GENERATORS = {      # each of the published networks, small
    "cifar10": {},
    "stl10": dict(norm_layer=PIXEL_NORM),
    "church256": dict(
        dim=[16, 16, 16, 4], depth=[1, 1, 1, 2], num_heads=[4, 2, 1, 2], window_size=[None, None, 4, 4],
        upsample=[Bicubic(), Bicubic(), PixelShuffle()], norm_layer=PIXEL_NORM, noise=True,
    ),
    "celebahq256": dict(
        dim=[64, 64, 16, 4], depth=[0, 1, 2, 1], num_heads=[4, 2, 2, 1], window_size=[None, None, 4, 8],
        upsample=SMOOTH, norm_layer=PIXEL_NORM, noise=True, cross_attention=True,
    ),
}  # fmt: skip
DISCRIMINATORS = {
    "cifar10": {},
    "stl10": dict(norm_layer=PIXEL_NORM),
    "church256": dict(
        patch_size=[2, 2, 4, 8], dim=[4, 4, 6, 8], depth=[2, 1, 1, 1], num_heads=[2] * 4,
        window_size=[4, None, None, None], noise=False,
    ),
    "celebahq256": dict(
        patch_size=[2, 4, 4, 8], dim=[4, 6, 6, 8], depth=[1, 1, 1, 1], num_heads=[2] * 4, overlap=1,
        window_size=[4, 2, None, None], noise=False, relative_position=False,
    ),
}  # fmt: skip
SIZES = {  # resolution, parameters and GMAC of generator and discriminator, measured on the published code
    "cifar10": (32, 83_312_495, 5.394, 10_210_400, 1.346),
    "stl10": (48, 168_466_623, 18.55, 10_341_536, 3.38),
    "church256": (256, 205_291_952, 101.0, 17_754_569, 32.0),
    "celebahq256": (256, 212_903_275, 114.1, 13_334_593, 30.8),
}


def lively(network):
    """Every parameter away from where it starts, so that each counts."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            spread = 1.0 if "table" in name else 0.3 / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.3
            parameter.add_(spread * torch.randn_like(parameter))
    return network


def small_generator(name="cifar10", **changes):
    return lively(Generator(**GENERATOR | GENERATORS[name] | changes))


def small_discriminator(name="cifar10", **changes):
    return lively(Discriminator(**DISCRIMINATOR | DISCRIMINATORS[name] | changes))


@pytest.mark.parametrize("group, place", [("generator", 1), ("discriminator", 3)])
@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_the_originals_to_the_last_one(name, group, place):
    config = compose("train", [f"{group}=transgan_{name}", f"resolution={SIZES[name][0]}", "channels=3"])
    config.num_classes = 0
    with torch.device("meta"):
        network = instantiate(config[group], _convert_="all")
    assert sum(parameter.numel() for parameter in network.parameters()) == SIZES[name][place]


# The function, stage by stage.


def outputs(network, *inputs):
    """What each stage gives, and the network at the end."""
    seen = []
    hooks = [stage.register_forward_hook(lambda *each: seen.append(each[2])) for stage in network.stages]
    seen.append(network(*inputs))
    for hook in hooks:
        hook.remove()
    return seen


def weights_of(network):
    return {name: value.double() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", GENERATORS)
def test_the_generators_function_is_the_originals(name):
    network, latent = small_generator(name).eval(), torch.randn(2, 5)
    with torch.no_grad():
        found = outputs(network, latent)
    for n in range(2):
        wanted = naive.generator(
            GENERATOR | GENERATORS[name], weights_of(network), latent[n], naive.own_noise(latent[n])
        )
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours[n].double(), theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_discriminators_function_is_the_originals(name):
    network, images = small_discriminator(name).eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        found = outputs(network, images)
    for n in range(2):
        settings = DISCRIMINATOR | DISCRIMINATORS[name]
        wanted = naive.discriminator(settings, weights_of(network), images[n], naive.own_noise(images[n]))
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours[n].double(), theirs, atol=1e-5, rtol=1e-5)


def test_in_training_the_noise_is_new_and_the_function_the_same():
    """By tiles, with a gradient, and with the numbers that torch's generator gave."""
    network, latent = small_generator("church256"), torch.randn(1, 5)
    torch.manual_seed(7)
    found = outputs(network, latent)
    torch.manual_seed(7)
    wanted = naive.generator(
        GENERATOR | GENERATORS["church256"], weights_of(network), latent[0],
        lambda stage: lambda block: lambda tokens: torch.randn(1, tokens)[0].double(),
    )  # fmt: skip
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours[0].detach().double(), theirs, atol=1e-5, rtol=1e-5)
    assert not torch.equal(network(latent), found[-1])


# What an image depends on.


@pytest.mark.parametrize("name", GENERATORS)
def test_an_image_is_the_same_in_any_batch(name):
    network, latent = small_generator(name).eval(), torch.randn(5, 5)
    together = network(latent)
    alone = torch.cat([network(each[None]) for each in latent])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)
    assert torch.equal(network(latent), together)
    assert not torch.allclose(together[0], together[1])


def test_a_logit_depends_on_its_own_image_alone():
    network, images = small_discriminator().eval(), torch.randn(3, 3, 16, 16, requires_grad=True)
    logits = network(images)
    assert logits.shape == (3,) and logits.dtype == torch.float32
    (gradient,) = torch.autograd.grad(logits[1], images)
    assert gradient[1].all() and not gradient[[0, 2]].any()
    torch.testing.assert_close(network(images[1:2]), logits[1:2])


def test_classes():
    generator, discriminator = small_generator(num_classes=3), small_discriminator(num_classes=3, noise=False)
    latent, labels = torch.randn(2, 5), torch.tensor([0, 2])
    moved = latent + generator.label_embed.weight[labels]
    generator.label_embed, embed = None, generator.label_embed
    expected = generator(moved)
    generator.label_embed = embed
    torch.testing.assert_close(generator(latent, labels), expected)
    images = expected.detach()
    f = discriminator.features(images)
    logits = discriminator.head(f)[:, 0] + (f * discriminator.label_embed.weight[labels]).sum(1)
    torch.testing.assert_close(discriminator(images, labels), logits)


# Where it starts.


def test_initial_weights():
    torch.manual_seed(0)
    generator = Generator(**GENERATOR | GENERATORS["celebahq256"] | dict(latent_dim=64))
    assert generator.embed.weight.abs().max() <= 64**-0.5  # torch's own for a linear layer
    assert generator.pos_embed[1].std().item() == pytest.approx(0.02, rel=0.05)
    assert not any(module.strength for module in generator.modules() if isinstance(module, TokenNoise))
    discriminator = Discriminator(**DISCRIMINATOR | dict(dim=[24, 32]))
    for name, parameter in discriminator.named_parameters():
        if name.endswith("qkv.weight") or "fc" in name and "weight" in name or "pos_embed" in name or "table" in name:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.2), name
        elif "fc" in name or "attn.proj.bias" in name or "head.bias" in name or "strength" in name:
            assert not parameter.any(), name
    conv = discriminator.embeds[0].embed.proj.weight  # xavier: fan in 3 * 4, fan out 24 * 4
    assert conv.abs().max() <= (6 / (12 + 96)) ** 0.5 and conv.std().item() == pytest.approx((2 / 108) ** 0.5, rel=0.1)


@pytest.mark.slow
def test_the_untrained_generator_is_as_loud_as_the_original():
    """The published network's images have a standard deviation of 1.23 before training."""
    config = compose("train", ["generator=transgan_cifar10", "resolution=32", "channels=3"])
    config.num_classes = 0
    with torch.no_grad():
        images = instantiate(config.generator, _convert_="all")(torch.randn(8, 256))
    assert images.std().item() == pytest.approx(1.23, rel=0.1)


# Gradients.


@pytest.mark.parametrize("name", GENERATORS)
def test_gradients_of_every_parameter_twice_and_with_checkpoints(name):
    network, latent = small_generator(name), torch.randn(2, 5, requires_grad=True)

    def gradients(checkpointing, *backends):
        network.zero_grad()
        latent.grad = None
        for stage in network.stages:
            stage.checkpointing = checkpointing
        torch.manual_seed(0)
        with sdpa_kernel(list(backends) or [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
            (network(latent) ** 2).sum().backward()
        return {n: p.grad for n, p in network.named_parameters() if p.requires_grad} | {"latent": latent.grad}

    plain, explicit, again = gradients(False), gradients(False, SDPBackend.MATH), gradients(True)
    for each, value in plain.items():
        assert value.any(), each
        assert torch.equal(value, again[each]), each
        torch.testing.assert_close(value, explicit[each], atol=2e-4, rtol=1e-4)
    with sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad((network(latent) ** 2).sum(), latent, create_graph=True)
        gradient.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_gradient_penalty_reaches_every_parameter_with_checkpoints_too(name):
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network, images = small_discriminator(name, checkpointing=checkpointing), torch.randn(2, 3, 16, 16)
        with sdpa_kernel(SDPBackend.MATH):
            gradient = torch.func.grad(lambda x, d=network: d(x).sum())(images)
            gradient.square().sum().backward()
        found.append({n: p.grad for n, p in network.named_parameters()})
    for each, value in found[0].items():
        if each not in ("norm.bias", "head.bias"):  # no gradient of an image knows them
            assert value.any(), each
            assert torch.equal(value, found[1][each]), each


# What does not fit.


def test_errors_name_the_key():
    with pytest.raises(ValueError, match="generator.upsample needs 2 entries for 3 stages, not 1"):
        small_generator(upsample=[PixelShuffle()])
    with pytest.raises(ValueError, match="PixelShuffle divides the width by 4, so 32 cannot follow 64"):
        small_generator(dim=[64, 32, 8])
    with pytest.raises(ValueError, match="3 generator stages halve the 18x18 token grid 2 times"):
        small_generator(img_size=18)
    with pytest.raises(ValueError, match="window_size 3 does not divide"):
        small_generator(window_size=[3, None, None])
    with pytest.raises(ValueError, match="discriminator.patch_size, dim, depth, .* 2, 1, 2, 2 and 1"):
        small_discriminator(dim=[8])
    with pytest.raises(ValueError, match="after patch_size 2 and dim 6 a stage has the same two, or twice"):
        small_discriminator(patch_size=[2, 8])
    with pytest.raises(ValueError, match="patch_size 4 does not divide img_size 18"):
        small_discriminator(img_size=18)
