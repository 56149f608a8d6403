"""The convolutional pairs: shapes, what an image and a logit depend on, second derivatives, and sentences for sizes."""

import pytest
import torch

from transgan.layers.spectral import SpectralNorm
from transgan.models.convolutional import DCGANDiscriminator, DCGANGenerator, ResNetDiscriminator, ResNetGenerator

SIZE = dict(img_size=8, in_chans=1, num_classes=3)
GENERATORS = {
    DCGANGenerator: SIZE | dict(latent_dim=6, dim=[16, 8]),
    ResNetGenerator: SIZE | dict(latent_dim=6, dim=[16, 16, 8]),
}
DISCRIMINATORS = {
    DCGANDiscriminator: SIZE | dict(dim=[8, 16], weight_norm=None),
    ResNetDiscriminator: SIZE | dict(dim=[8, 16], depth=[2, 1], weight_norm=None),
}
each_generator = pytest.mark.parametrize("kind", GENERATORS)
each_discriminator = pytest.mark.parametrize("kind", DISCRIMINATORS)


def make(kind, **changes):
    return kind(**(GENERATORS | DISCRIMINATORS)[kind] | changes)


@each_generator
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("channels, size, first", [(1, 8, 2), (3, 24, 6)])
def test_generator_shapes(kind, classes, channels, size, first):
    network = make(kind, num_classes=classes, in_chans=channels, img_size=size)
    images = network(torch.randn(2, network.latent_dim), torch.tensor([0, 2]) if classes else None)
    assert images.shape == (2, channels, size, size) and images.abs().max() <= 1
    assert network.shape[1:] == (first, first)


@each_generator
@pytest.mark.parametrize("classes", [0, 3])
def test_an_image_depends_on_its_own_latent_and_label_in_training_too(kind, classes):
    network = make(kind, num_classes=classes).train()
    for name, parameter in network.named_parameters():
        if "label_embed" in name:
            torch.nn.init.normal_(parameter)  # norms start alike for every class
    latent, labels = torch.randn(2, 6), torch.tensor([0, 0]) if classes else None
    first = network(latent, labels)
    assert not torch.allclose(first[0], first[1])
    torch.testing.assert_close(network(latent[1:], labels[1:] if classes else None), first[1:])
    assert not list(network.buffers())  # nothing but weights to average
    torch.testing.assert_close(network.eval()(latent, labels), first)
    if classes:
        other = network(latent, torch.tensor([0, 1]))
        torch.testing.assert_close(other[0], first[0])
        assert not torch.allclose(other[1], first[1])


@each_discriminator
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("weight_norm", [None, SpectralNorm()])
def test_a_logit_depends_on_its_own_image_alone(kind, classes, weight_norm):
    network = make(kind, num_classes=classes, weight_norm=weight_norm).train()
    images, labels = torch.randn(4, 1, 8, 8, requires_grad=True), torch.tensor([0, 1, 2, 0]) if classes else None
    logits = network(images, labels)
    assert logits.shape == (4,) and logits.dtype == torch.float32
    (gradient,) = torch.autograd.grad(logits[1], images)
    assert gradient[1].all() and not gradient[[0, 2, 3]].any()
    torch.testing.assert_close(network(images[1:2], labels[1:2] if classes else None), logits[1:2])


@each_discriminator
def test_the_label_projects(kind):
    network, image = make(kind), torch.randn(1, 1, 8, 8)
    features, head = network.features(image), network.head
    expected = features @ (head.linear.weight[0] + head.label_embed.weight[2])
    torch.testing.assert_close(network(image, torch.tensor([2])), expected)


@each_discriminator
def test_logits_stay_float32_under_bf16(kind):
    network, images, labels = make(kind), torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images, labels)
    assert logits.dtype == torch.float32 and not torch.equal(logits, logits.bfloat16().float())
    exact = network(images, labels)
    torch.testing.assert_close(logits, exact, atol=0.03 * exact.abs().max().item(), rtol=0)


@each_discriminator
def test_exact_gradient_penalty(kind):
    """Its derivative by one weight against a difference of penalties."""
    network = make(kind, weight_norm=SpectralNorm()).double()
    images, labels = torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 2])

    def penalty():
        return torch.func.grad(lambda x: network(x, labels).sum())(images).square().sum()

    penalty().backward()
    weight = next(p for name, p in network.named_parameters() if name.startswith(("downs.1", "blocks.0.conv1")))
    step, values = 1e-6 * torch.randn_like(weight), []
    for sign in (1, -2):
        weight.data += sign * step
        values.append(penalty().item())
    assert (weight.grad * step).sum().item() == pytest.approx((values[0] - values[1]) / 2, rel=1e-2)


def test_the_papers_sizes():
    """Parameters of the published networks, but for what stands in place of batch norm and for the head's bias."""
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    with torch.device("meta"):
        dcgan = DCGANGenerator(64, 3, 0, 100, [1024, 512, 256, 128])
        sngan = ResNetDiscriminator(32, 3, 0, [128] * 3, [1, 1, 2], None)
    widths = [1024, 512, 256, 128, 3]
    convolutions = sum(16 * a * b + b for a, b in zip(widths[:-1], widths[1:], strict=True))
    assert count(dcgan) == 101 * 1024 * 16 + convolutions + 2 * sum(widths[:-1])
    assert count(sngan) == (27 + 1) * 128 + 4 * 2 * (9 * 128 + 1) * 128 + 2 * 129 * 128 + 128


def test_errors_name_the_key():
    with pytest.raises(ValueError, match="generator.dim asks to halve 8 px 4 times"):
        make(DCGANGenerator, dim=[8] * 4)
    with pytest.raises(ValueError, match="discriminator.dim asks to halve 6 px 2 times"):
        make(ResNetDiscriminator, img_size=6, dim=[8] * 3, depth=[1] * 3)
    with pytest.raises(ValueError, match="discriminator.dim and depth need one number per map; they have 2 and 1"):
        make(ResNetDiscriminator, depth=[1])
