"""The mesh: closed forms of known grids, and what is no grid."""

import numpy as np
import pytest
import torch

from transgan.metrics import Mesh
from transgan.metrics.mesh import FLOOR, autocorrelation, periods


def smooth(n, size=16, channels=1, seed=0):
    """Images whose power falls with the frequency, as that of photographs does."""
    generator = torch.Generator().manual_seed(seed)
    frequency = torch.fft.fftfreq(size).abs()
    decay = 1 / (frequency[:, None] + frequency[None] + 0.05)
    white = torch.randn(n, channels, size, size, generator=generator)
    images = torch.fft.ifft2(torch.fft.fft2(white) * decay).real
    return (128 + 30 * images / images.std()).round().clamp(0, 255).byte()


def with_grid(images, period, amplitude, seed=1):
    """One grey pattern of this period a set, of either sign in each image."""
    generator = torch.Generator().manual_seed(seed)
    pattern = torch.randn(period, period, generator=generator)
    tiled = (pattern / pattern.std()).repeat(images.shape[2] // period, images.shape[3] // period)
    signs = torch.randint(2, (len(images), 1, 1, 1), generator=generator) * 2 - 1
    return (images + amplitude * signs * tiled).round().clamp(0, 255).byte()


def measured(fake, real, size=1000):
    metric = Mesh()
    for images, is_real in ((real, True), (fake, False)):
        for part in images.split(size):
            metric.update(part, real=is_real)
    return metric


def test_the_definition_by_numpy():
    """Frequency by frequency, from the spectra of the single images."""
    fake, real = with_grid(smooth(40, 12, 3), 3, 12), smooth(50, 12, 3, seed=5)
    excesses = []
    for images in (fake, real):
        transformed = np.fft.fft2(images.numpy().astype(float))
        log = np.log((abs(transformed) ** 2).mean((0, 1)) + 144 * FLOOR**2)
        found = {}
        for y in range(12):
            for x in range(12):
                beside = [((y + 1) % 12, x), ((y - 1) % 12, x)] if y else []
                beside += [(y, (x + 1) % 12), (y, (x - 1) % 12)] if x or not y else []
                found[y, x] = log[y, x] - np.mean([log[each] for each in beside])
        excesses.append(found)
    for period, value in measured(fake, real).by_period("fake").items():
        frequencies = [(y, x) for y in range(0, 12, 12 // period) for x in range(0, 12, 12 // period) if y or x]
        expected = np.exp(np.mean([excesses[0][each] - excesses[1][each] for each in frequencies]))
        assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("period, amplitude", [(2, 2), (4, 5), (8, 9)])
def test_a_faint_grid_is_found(period, amplitude):
    real, clean = smooth(300, seed=2), smooth(300)
    assert measured(clean, real).compute() == pytest.approx(1, abs=0.1)
    metric = measured(with_grid(clean, period, amplitude), real)
    found = metric.by_period("fake")
    assert found[period] > 1.5 and max(found.values()) == metric.compute()
    assert all(value < found[period] for p, value in found.items() if period % p)  # but harmonics show it as well


def test_what_real_images_have_themselves_is_no_mesh():
    real, fake = with_grid(smooth(300, seed=2), 4, 6), with_grid(smooth(300), 4, 6)
    assert measured(fake, real).compute() == pytest.approx(1, abs=0.1)
    assert measured(smooth(300), real).compute() < 1.1  # and without it they are no worse


def test_blur_noise_and_contrast_are_no_mesh():
    real, fake = smooth(400, 32, seed=2), smooth(400, 32).float()
    blurred = (fake + fake.roll(1, 2) + fake.roll(1, 3) + fake.roll((1, 1), (2, 3))) / 4
    noisy = fake + 16 * torch.randn(fake.shape, generator=torch.Generator().manual_seed(0))
    for images in (blurred, noisy, fake / 2 + 60):
        assert 0.8 < measured(images.round().clamp(0, 255).byte(), real).compute() < 1.2


def test_the_correlation_is_of_whole_numbers(noise):
    images = noise(7, 3, 6)
    shifted = [[(images.double() * images.double().roll((-i, -j), (2, 3))).sum() for j in range(6)] for i in range(6)]
    assert torch.equal(autocorrelation(images), torch.tensor(shifted, dtype=torch.float64))
    wide = noise(4, 1, 8)[..., :4]  # taller than wide
    assert autocorrelation(wide)[3, 1] == (wide.double() * wide.double().roll((-3, -1), (2, 3))).sum()


def test_batches_change_nothing():
    fake, real = with_grid(smooth(70), 4, 5), smooth(90, seed=2)
    reports = [measured(fake, real, size).report() for size in (1, 7, 70)]
    assert reports[0] == reports[1] == reports[2]


def test_a_set_repeated_is_the_same():
    fake, real = with_grid(smooth(40), 4, 5), smooth(50, seed=2)
    again = measured(fake.repeat(3, 1, 1, 1), real).compute()
    assert again.item() == pytest.approx(measured(fake, real).compute().item(), rel=1e-9)


def test_images_without_any_content_have_a_number():
    black = torch.zeros(10, 1, 8, 8, dtype=torch.uint8)
    assert measured(black, black).compute() == 1
    assert measured(smooth(10, 8), black).compute().isfinite()


def test_periods_divide_both_sides():
    assert periods(32, 32) == [2, 4, 8, 16] and periods(28, 28) == [2, 4, 7, 14] and periods(16, 24) == [2, 4, 8]
    assert periods(7, 7) == []
    metric = measured(smooth(9, 7), smooth(9, 7))
    with pytest.raises(ValueError, match="images of 7 x 7 px have no mesh"):
        metric.compute()
    assert metric.report().flags == {"no_mesh": "mesh is left out: no period divides images of 7 x 7 px"}


def test_held_out_images_stand_beside():
    metric = measured(with_grid(smooth(100), 4, 8), smooth(100, seed=2))
    assert list(metric.report().of_images) == ["mesh"]
    metric.update(smooth(100, seed=3), real=True, heldout=True)
    report = metric.report()
    assert list(report.of_images) == ["mesh", "mesh_heldout"]
    assert report.of_images["mesh_heldout"] < 1.2 < report.of_images["mesh"]
    assert list(report.details) == ["mesh_by_period", "mesh_heldout_by_period"] and not report.numbers


def test_bad_input_is_refused(noise):
    metric = Mesh()
    with pytest.raises(ValueError, match="Mesh takes uint8 images N x C x H x W, and got torch.float32 of shape"):
        metric.update(noise(3).float(), real=True)
    with pytest.raises(ValueError, match="got torch.uint8 of shape .1, 4, 4."):
        metric.update(noise(3)[0], real=True)
    with pytest.raises(ValueError, match="held-out images are real ones"):
        metric.update(noise(3), real=False, heldout=True)
    metric.update(noise(3), real=True)
    with pytest.raises(ValueError, match="there are no generated ones"):
        metric.compute()
    with pytest.raises(ValueError, match=r"real images had the shape \(1, 4, 4\) and now have \(1, 8, 8\)"):
        metric.update(noise(3, size=8), real=True)
    metric.update(noise(3, channels=3), real=False)
    with pytest.raises(ValueError, match=r"generated images have the shape \(3, 4, 4\) and real ones \(1, 4, 4\)"):
        metric.compute()
    metric.reset()
    metric.update(noise(0, size=8), real=True)  # no images are no mistake
    metric.update(noise(3, size=8), real=True)
    metric.update(noise(3, size=8, seed=1), real=False)
    assert metric.compute() > 0


def test_real_images_may_stay():
    metric = Mesh(reset_real_features=False)
    metric.update(smooth(20), real=True)
    for _ in range(2):
        metric.update(smooth(20, seed=1), real=False)
        value = metric.compute()
        metric.reset()
    assert value == measured(smooth(20, seed=1), smooth(20)).compute()
