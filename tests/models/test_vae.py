"""The autoencoders: the evidence bound against integrals over a latent of one number, and what is said of pixels."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn

from transgan.layers.block import Transformer
from transgan.models.observation import Logistics
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.models.vit_vae import ViTDecoder, ViTEncoder

VIT = dict(patch_size=2, dim=16, depth=1, num_heads=2, mlp_ratio=2.0, transformer=Transformer)
CONV = partial(ConvEncoder, dim=[8, 16]), partial(ConvDecoder, dim=[16, 8])
each = pytest.mark.parametrize(
    "parts", [CONV, (partial(ViTEncoder, **VIT), partial(ViTDecoder, **VIT))], ids=["convolutional", "vit"]
)


def vae(parts=CONV, **changes):
    """A tiny one whose every weight matters."""
    torch.manual_seed(0)
    arguments = dict(
        img_size=8, in_chans=1, num_classes=3, num_latents=5, encoder=parts[0], decoder=parts[1],
        observation=partial(Logistics, components=2, levels=5),
    )  # fmt: skip
    network = VAE(**arguments | changes).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return network


def images_of(network, count):
    own = network.observation
    return own.value(torch.randint(own.levels, (count, own.in_chans, own.img_size, own.img_size)).double())


class Wave(nn.Module):
    """A decoder that is not linear: numbers for 2x1 pixels from a latent of one number."""

    def __init__(self, img_size, out_chans, num_classes, latent_dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, out_chans, 2, 1))

    def forward(self, latent, labels=None):  # (N, 1)
        angle = latent.view(-1, 1, 1, 1) * self.weight[0] + self.weight[1]
        return 1.5 * angle.sin() + 0.5 * angle


class Guess(nn.Module):
    """An encoder from 2x1 pixels."""

    def __init__(self, img_size, in_chans, num_classes, out_dim):
        super().__init__()
        self.linear = nn.Linear(2, out_dim)

    def forward(self, images, labels=None):
        return self.linear(images.flatten(1))


def toy(observation=None):
    torch.manual_seed(3)
    observation = observation or partial(Logistics, components=2, levels=4)
    return VAE(1, 1, 0, 1, Guess, Wave, observation).double()


def every_image(levels):
    """All images of 2x1 pixels."""
    numbers = torch.tensor(list(itertools.product(range(levels), repeat=2))).double()
    return (numbers / (levels - 1) * 2 - 1).view(-1, 1, 2, 1)


FINE = torch.linspace(-12, 12, 20_001, dtype=torch.float64)


def normal(x, mean=0.0, log_var=0.0):
    log_var = torch.as_tensor(log_var)
    return -((x - mean).square() / log_var.exp() + log_var + math.log(2 * math.pi)) / 2


def nats_along(network, image):
    """-log p(image | latent) for every latent of FINE."""
    return network.observation.nats(network.decoder(FINE.view(-1, 1)), image.expand(len(FINE), -1, -1, -1))


def test_the_bound_is_the_integral_and_below_the_likelihood():
    network, images = toy(), every_image(4)
    with torch.no_grad():
        means, log_vars = network.posterior(images)
        noise = torch.randn(100_000, 1, dtype=torch.float64)
        total = 0.0
        for i, (image, mean, log_var) in enumerate(zip(images, means, log_vars, strict=True)):
            along = nats_along(network, image)
            likelihood = torch.trapezoid((normal(FINE) - along).exp(), FINE).log()
            total += likelihood.exp().item()
            if i % 5:  # sampling takes a while
                continue
            density = normal(FINE, mean, log_var)
            expected = torch.trapezoid(density.exp() * (along + density - normal(FINE)), FINE)  # E_q[...] >= -log p
            many = image.expand(len(noise), -1, -1, -1)
            nats, divergence = network(many, None, noise)
            found = nats + divergence.sum(1)
            error = found.std() / len(found) ** 0.5
            assert (found.mean() - expected).abs() < 5 * error + 1e-6
            assert divergence[0, 0].item() == pytest.approx(
                torch.trapezoid(density.exp() * (density - normal(FINE)), FINE).item(), abs=1e-6
            )
            assert expected > -likelihood + 1e-4
            # more samples are tighter, on the way to the likelihood
            many = image.expand(1000, -1, -1, -1)
            one, ten, hundred = (
                network.bound(many, None, noise[: 1000 * s].view(-1, s, 1)).mean() for s in (1, 10, 100)
            )
            assert one > ten - 0.02 > hundred - 0.04 > -likelihood - 0.06
            assert hundred + likelihood < 0.5 * (one + likelihood) + 0.02
    assert total == pytest.approx(1, abs=1e-6)  # of all images there are


class Gaussian(nn.Module):
    """Pixels with a normal distribution about twice what the decoder says, for which all is known."""

    num_values, channels, log_var = 2, 1, torch.tensor(-1.0, dtype=torch.float64)

    def __init__(self, img_size, in_chans):
        super().__init__()

    def nats(self, said, images):
        return -normal(images, 2 * said, self.log_var).flatten(1).sum(1)


class Line(Wave):
    def forward(self, latent, labels=None):
        return latent.view(-1, 1, 1, 1) * self.weight[0] + self.weight[1]


def test_the_bound_is_tight_for_the_exact_posterior():
    """A linear decoder with normal pixels: posterior and likelihood in closed form."""
    network = toy(Gaussian)
    network.decoder = Line(1, 1, 0, 1).double()
    images = torch.randn(6, 1, 2, 1, dtype=torch.float64)
    with torch.no_grad():
        a, b = 2 * network.decoder.weight.flatten(1)  # x = a z + b + noise
        variance = Gaussian.log_var.exp()
        centred = images.flatten(1) - b
        covariance = torch.outer(a, a) + variance * torch.eye(2, dtype=torch.float64)
        exact = torch.distributions.MultivariateNormal(torch.zeros(2).double(), covariance).log_prob(centred)
        precision = 1 + a.square().sum() / variance
        linear = network.encoder.linear
        linear.weight.copy_(torch.stack([a / variance / precision, torch.zeros(2)]))
        linear.bias.copy_(torch.stack([-(a @ b) / variance / precision, -precision.log()]))
        noise = torch.randn(6, 3, 1, dtype=torch.float64)
        # each draw by itself: log p(x, z) - log q(z | x) is log p(x), whatever z
        for s in range(3):
            torch.testing.assert_close(network.bound(images, None, noise[:, s : s + 1]), -exact)
        torch.testing.assert_close(network.bound(images, None, noise), -exact)
        nats, divergence = network(images.repeat_interleave(50_000, 0), None, torch.randn(300_000, 1).double())
        found = (nats + divergence.sum(1)).view(6, -1).mean(1)
        torch.testing.assert_close(found, -exact, rtol=0, atol=0.05)
        linear.bias[0] += 1.0  # and loose for another
        assert (network(images, None, torch.zeros(6, 1))[1] > divergence.view(6, -1, 1)[:, 0]).any()
        wrong = network(images.repeat_interleave(50_000, 0), None, torch.randn(300_000, 1).double())
        assert ((wrong[0] + wrong[1].sum(1)).view(6, -1).mean(1) > -exact + 0.1).all()


@pytest.mark.parametrize("components", [1, 3])
def test_the_mass_of_all_levels_is_one(components):
    own = Logistics(1, 3, components, levels=5)
    said = torch.randn(1, own.channels, 1, 1, dtype=torch.float64)
    every = own.value(torch.tensor(list(itertools.product(range(5), repeat=3))).double()).view(-1, 3, 1, 1)
    probabilities = (-own.nats(said.expand(125, -1, -1, -1), every)).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    assert own.channels == 3 * (3 * components - 1)

    uniform = torch.rand(50_000, 2, 3, 1, 1, dtype=torch.float64)
    drawn, counts = own.draw(said.expand(50_000, -1, -1, -1), uniform).unique(dim=0, return_counts=True)
    probabilities = (-own.nats(said.expand(len(drawn), -1, -1, -1), drawn)).exp()
    error = (counts / 50_000 - probabilities).abs() / (probabilities * (1 - probabilities) / 50_000).sqrt()
    assert error.max() < 5 and probabilities.sum() > 0.99
    means = own.draw(said.expand(50_000, -1, -1, -1), uniform).mean(0)
    assert (own.middle(said)[0] - means).abs().max() < 0.3


@each
@pytest.mark.parametrize("in_chans, num_classes", [(1, 3), (3, 3), (3, 0)])
def test_every_parameter_learns_and_batches_do_not_matter(parts, in_chans, num_classes):
    network = vae(parts, in_chans=in_chans, num_classes=num_classes)
    images, noise = images_of(network, 6), torch.randn(6, 5, dtype=torch.float64)
    labels = torch.arange(6) % 3 if num_classes else None
    nats, divergence = network(images, labels, noise)
    assert nats.shape == (6,) and divergence.shape == (6, 5) and (divergence >= 0).all()
    (nats.mean() + divergence.sum(1).mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
    with torch.no_grad():
        alone = [
            network(images[i : i + 1], labels if labels is None else labels[i : i + 1], noise[i : i + 1])
            for i in range(6)
        ]
        torch.testing.assert_close(torch.cat([one for one, _ in alone]), nats)
        torch.testing.assert_close(torch.cat([other for _, other in alone]), divergence)
        if labels is not None:
            assert (network(images, (labels + 1) % 3, noise)[0] - nats).abs().min() > 1e-4


@each
def test_a_fresh_one_starts_at_the_prior(parts):
    torch.manual_seed(0)
    network = VAE(8, 1, 3, 4, *parts, partial(Logistics, components=2, levels=17))
    _, divergence = network(images_of(network, 8).float(), torch.arange(8) % 3)
    assert divergence.mean() < 0.3
    said = network.decoder(torch.randn(8, 4), torch.arange(8) % 3)
    assert said.abs().mean() < 0.5


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="autoencoder.num_latents=0: give at least 1"):
        vae(num_latents=0)
    with pytest.raises(ValueError, match="autoencoder.observation.components=0: a mixture has at least one"):
        Logistics(8, 1, 0)
    with pytest.raises(ValueError, match="autoencoder.observation.levels=1: a pixel has 2 to 256 values"):
        Logistics(8, 1, 1, levels=1)
    with pytest.raises(ValueError, match="autoencoder.observation.levels=5: the images have 1 pixel values, some not"):
        vae().prepare(torch.full((2, 1, 8, 8), 100, dtype=torch.uint8))
    with pytest.raises(ValueError, match="autoencoder.encoder.dim asks to halve 8 px 4 times"):
        ConvEncoder(8, 1, 0, 4, dim=[8] * 5)
    with pytest.raises(ValueError, match="patch_size 3 does not divide img_size 8"):
        ViTDecoder(8, 1, 0, 4, **VIT | {"patch_size": 3})
