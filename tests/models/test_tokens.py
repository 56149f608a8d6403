"""Tokens: there and back, the mixture's mass, and how temperature and top-k choose."""

from functools import partial

import pytest
import torch

from transgan.models.tokens import Patches, Pixels, choose, log_mass, probabilities


def uint8(images):
    return ((images + 1) * 127.5).round().to(torch.uint8)


@pytest.mark.parametrize("in_chans", [1, 3])
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("kind", [Pixels, partial(Patches, patch_size=2, components=2)])
def test_there_and_back(kind, levels, in_chans):
    tokens = kind(4, in_chans, 8, levels=levels)
    numbers = torch.randint(levels, (5, in_chans, 4, 4))
    images = (numbers * 255 / (levels - 1)).round() / 127.5 - 1  # as to_float has them
    tokens.prepare(uint8(images))
    own = tokens.tokens(images)
    assert own.shape[1] == tokens.grid_size[0] * tokens.grid_size[1]
    assert torch.equal(((tokens.images(own) + 1) * 127.5).round(), ((images + 1) * 127.5).round())


def test_raster_order_with_the_channels_of_a_pixel_side_by_side():
    tokens = Pixels(2, 3, 8, levels=256)
    images = torch.arange(12).view(1, 3, 2, 2) / 127.5 - 1
    assert tokens.tokens(images).tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]


def test_patches_are_the_generators():
    tokens = Patches(4, 1, 8, patch_size=2, components=1)
    images = torch.arange(16).view(1, 1, 4, 4) / 127.5 - 1
    assert tokens.grid_size == (2, 2)
    numbers = ((tokens.tokens(images) + 1) * 127.5).round().int().tolist()
    assert numbers == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


def test_other_values_are_refused_or_rounded():
    images = torch.tensor([0.0, 100.0, 255.0]).view(3, 1, 1, 1) / 127.5 - 1
    given = uint8(images)
    with pytest.raises(ValueError, match="tokens.levels=17: the images have 3 pixel values, some not among these"):
        Pixels(1, 1, 8, levels=17).prepare(given)
    tokens = Pixels(1, 1, 8, levels=17, quantise=True)
    tokens.prepare(given)
    assert tokens.tokens(images).flatten().tolist() == [0, 6, 16]  # 100 of 255 is 6.3 of 16
    for levels in (1, 257):
        with pytest.raises(ValueError, match=f"tokens.levels={levels}: a pixel has 2 to 256 values"):
            Pixels(1, 1, 8, levels=levels)
    with pytest.raises(ValueError, match="patch_size 3 does not divide img_size 4"):
        Patches(4, 1, 8, patch_size=3, components=1)
    with pytest.raises(ValueError, match="tokens.components=0: a mixture has at least one"):
        Patches(4, 1, 8, patch_size=2, components=0)


@pytest.mark.parametrize("mean, log_scale", [(0.1, -1.0), (-0.95, -2.5), (1.7, 0.3), (0.0, -6.0)])
def test_the_mass_is_the_density_integrated(mean, log_scale):
    """Each level's mass against the trapezoid rule over the logistic density; the outer ones have the tails."""
    levels = 9
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    mean, log_scale = (torch.tensor(each, dtype=torch.float64) for each in (mean, log_scale))
    mass = log_mass(x, mean, log_scale, levels).exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-12)
    scale, half = log_scale.exp().item(), 1 / (levels - 1)
    for i, centre in enumerate(x.tolist()):
        low = centre - half if i else mean.item() - 60 * scale
        high = centre + half if i + 1 < levels else mean.item() + 60 * scale
        if low < high:
            fine = torch.linspace(low, high, 200_001, dtype=torch.float64)
            z = ((fine - mean) / scale).abs()
            density = (-z).exp() / (1 + (-z).exp()).square() / scale
            assert mass[i].item() == pytest.approx(torch.trapezoid(density, fine).item(), abs=1e-7)


def test_the_mixture_integrates_to_one():
    """Over a grid of all levels of two pixels, and over their continuous density likewise."""
    torch.manual_seed(0)
    tokens = Patches(2, 1, 8, patch_size=2, components=3, levels=6).double()
    x = torch.randn(1, 1, 8, dtype=torch.float64)
    every = tokens.value(torch.cartesian_prod(*[torch.arange(6)] * 4).double())  # all 6^4 patches
    assert (-tokens.nats(x.expand(len(every), 1, 8), every.unsqueeze(1))).exp().sum().item() == pytest.approx(
        1, abs=1e-9
    )
    log_pi, means, scales = tokens.mixture(x[0])
    fine = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    z = ((fine - means[0, :, 0, None]) / scales[0, :, 0, None].exp()).abs()
    density = (log_pi[0, :, None] - z - 2 * torch.log1p((-z).exp()) - scales[0, :, 0, None]).exp().sum(0)
    assert torch.trapezoid(density, fine).item() == pytest.approx(1, abs=1e-6)


def test_far_out_nothing_is_lost():
    """float32, forty widths away: the difference of two ones would be 0."""
    x = torch.tensor([-1.0, 0.0, 1.0])
    mean, log_scale = torch.tensor(-9.0, requires_grad=True), torch.tensor(-1.5)
    found = log_mass(x, mean, log_scale, 256)
    expected = log_mass(x.double(), mean.double(), log_scale.double(), 256)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    found.sum().backward()
    assert mean.grad.isfinite() and found[2] < -40


def test_temperature_and_top_k():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]], dtype=torch.float64)
    e = torch.e
    torch.testing.assert_close(probabilities(logits, 1.0, None), logits.softmax(-1))
    torch.testing.assert_close(probabilities(logits, 0.5, None), logits.exp().square() / logits.exp().square().sum())
    torch.testing.assert_close(probabilities(logits, 1.0, 2), torch.tensor([[e / (e + 1), 1 / (e + 1), 0, 0]]).double())
    torch.testing.assert_close(
        probabilities(logits, 0.5, 2), torch.tensor([[e**2 / (e**2 + 1), 1 / (e**2 + 1), 0, 0]]).double()
    )
    assert probabilities(logits, 3.0, 1).tolist() == [[1, 0, 0, 0]]
    torch.testing.assert_close(probabilities(logits, 1.0, 9), logits.softmax(-1))  # more than there are: all


def test_choose_is_the_inverse_of_the_sums():
    row = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]], dtype=torch.float64)
    uniform = torch.tensor([0.0, 0.4999, 0.5, 0.9999, 1 - 2.0**-53], dtype=torch.float64)
    assert choose(row.expand(5, -1), uniform).tolist() == [1, 1, 3, 3, 3]


def test_a_narrow_mixture_is_sampled_where_it_is():
    """Temperature narrows, top_k=1 takes the likeliest component."""
    tokens = Patches(1, 1, 4, patch_size=1, components=2, levels=256).double()
    with torch.no_grad():
        tokens.head.weight.zero_()
        tokens.head.bias.copy_(torch.tensor([1.0, 0.0, -0.5, 0.5, -3.0, -3.0]))  # pi, means, log scales
        uniform = torch.rand(20_000, 2, dtype=torch.float64)
        x = torch.zeros(20_000, 4, dtype=torch.float64)
        one, cool, only = (tokens.draw(x, uniform, *how) for how in ((1.0, None), (0.5, None), (1.0, 1)))
    share = torch.tensor([1.0, 2.0]).sigmoid()  # of logits 1, 1 / 0.5
    assert (one < 0).double().mean() == pytest.approx(share[0].item(), abs=0.02)
    assert (cool < 0).double().mean() == pytest.approx(share[1].item(), abs=0.02)
    assert (only < 0).sum() > 19_990  # the others are its tail
    width = torch.pi / 3**0.5 * torch.exp(torch.tensor(-3.0)).item()  # a logistic's deviation
    assert one[one < 0].std() == pytest.approx(width, rel=0.05)
    assert cool[cool < 0].std() == pytest.approx(width / 2, rel=0.05)
