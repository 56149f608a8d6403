"""Band gains against convolutions, and against waves whose band is known."""

import math

import pytest
import torch
from scipy.stats import norm
from torch.nn import functional

from transgan.augmentation import BandGains
from transgan.augmentation.bands import bands
from transgan.augmentation.resampling import SYM2, SYM6, doubling, smoothing

LIKE = torch.empty(0, dtype=torch.float64)
SHARES = [10 / 13, 1 / 13, 1 / 13, 1 / 13]


def convolved(signal, taps, pad):
    padded = functional.pad(signal.view(1, 1, -1), (pad, pad), mode="reflect")
    return functional.conv1d(padded, torch.tensor(taps, dtype=torch.float64).view(1, 1, -1)).flatten()


def test_smoothing_is_a_convolution_of_the_mirrored_signal():
    signal = torch.rand(16, dtype=torch.float64)
    expected = convolved(signal, [-1 / 32, 0, 9 / 32, 16 / 32, 9 / 32, 0, -1 / 32], 3)
    torch.testing.assert_close(smoothing(16, SYM2, 1, LIKE) @ signal, expected)
    twice = [-1 / 32, 0, 0, 0, 9 / 32, 0, 16 / 32, 0, 9 / 32, 0, 0, 0, -1 / 32]
    torch.testing.assert_close(smoothing(16, SYM2, 2, LIKE) @ signal, convolved(signal, twice, 6))


def test_the_half_band_filter_is_the_wavelet_times_its_mirror_image():
    root, scale = math.sqrt(3), 4 * math.sqrt(2)
    wavelet = torch.tensor([1 + root, 3 + root, 3 - root, 1 - root], dtype=torch.float64) / scale
    product = functional.conv1d(wavelet.view(1, 1, -1), wavelet.view(1, 1, -1), padding=3).flatten() / 2
    w = [0.5 * weight for weight in SYM2]
    torch.testing.assert_close(product, torch.tensor([w[0], 0, w[1], 0.5, w[2], 0, w[3]], dtype=torch.float64))


@pytest.mark.parametrize("weights, degree", [(SYM2, 3), (SYM6, 11)])
def test_half_way_is_exact_for_polynomials(weights, degree):
    place = torch.arange(40, dtype=torch.float64) / 20 - 1
    fine = torch.arange(79, dtype=torch.float64) / 40 - 1
    for power in (1, degree):
        out = doubling(40, weights, LIKE) @ place**power
        torch.testing.assert_close(out[12:-12], (fine**power)[12:-12])
        torch.testing.assert_close(out[::2], place**power, rtol=0, atol=0)


@pytest.mark.parametrize("side", [4, 8, 32, 48])
def test_bands_add_up_to_the_image(side):
    torch.testing.assert_close(bands(side, LIKE).sum(0), torch.eye(side, dtype=torch.float64))


@pytest.mark.parametrize("frequency, band", [(0, 0), (1 / 16, 0), (3 / 16, 1), (3 / 8, 2), (3 / 4, 3), (1, 3)])
def test_a_wave_is_in_its_band(frequency, band):
    wave = torch.cos(math.pi * frequency * torch.arange(65, dtype=torch.float64))  # mirrors into itself
    parts = bands(65, LIKE) @ wave
    share = (parts @ wave) / (wave @ wave)
    assert share.argmax() == band and share[band] > (0.9999 if frequency in (0, 1) else 0.7)


@pytest.mark.parametrize("band", range(4))
def test_gains_closed_form(band):
    step, u = BandGains(1.0, 1.0), 0.8
    numbers = torch.full((1, 4), 0.3, dtype=torch.float64)
    numbers[0, band] = u
    on = torch.zeros(1, 4, dtype=torch.bool)
    on[0, band] = True
    value = 2 ** norm.ppf(u)
    expected = torch.ones(4, dtype=torch.float64)
    expected[band] = value
    expected /= math.sqrt(1 + SHARES[band] * (value**2 - 1))
    torch.testing.assert_close(step.gains(numbers, on)[0], expected)
    assert sum(s * g**2 for s, g in zip(SHARES, expected.tolist(), strict=True)) == pytest.approx(1)


def test_low_and_high_waves_get_their_gains():
    step, numbers = BandGains(1.0, 1.0), torch.zeros(1, 8, dtype=torch.float64)
    numbers[0, :4] = torch.tensor([0.7, 0.2, 0.6, 0.1])
    gains = step.gains(numbers[:, :4], torch.ones(1, 4, dtype=torch.bool))[0]
    flat = torch.ones(1, 2, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(step(flat, numbers, 1.0), flat * gains[0] ** 2)
    board = (-1.0) ** torch.arange(9, dtype=torch.float64)
    torch.testing.assert_close(step(flat * board, numbers, 1.0), flat * board * gains[0] * gains[3])
    both = flat * board[:, None] * board
    torch.testing.assert_close(step(both, numbers, 1.0), both * gains[3] ** 2)


def test_the_share_of_images_touched():
    images = torch.rand(4000, 1, 4, 4)
    out = BandGains(0.25, 1.0)(images, torch.rand(4000, 8), 0.8)
    expected = 1 - 0.8**4
    share = (out != images).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 4000) ** 0.5)
