"""Variety within the classes: closed forms, and what must not pass for variety."""

from functools import partial

import numpy as np
import pytest
import torch

from transgan.metrics import FeatureSpread, Spread
from transgan.metrics.extractors import Pixels
from transgan.metrics.spread import areas, low_size


def photos(n, size=32, channels=1, seed=0, contrast=1.0):
    """A class k is a brightness of its own; images vary in large blotches around it."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    blotches = torch.randn(n, channels, 4, 4, generator=generator).repeat_interleave(size // 4, 2)
    blotches = blotches.repeat_interleave(size // 4, 3)
    images = 60 + 60 * labels[:, None, None, None] + 20 * contrast * blotches
    return images.round().clamp(0, 255).byte(), labels


with_pixels = partial(Spread, pixels=True)


def measured(fake, real, size=1000, kind=with_pixels, of=lambda images: images):
    metric = kind()
    for (images, labels), is_real in ((real, True), (fake, False)):
        for first in range(0, len(images), size):
            part = slice(first, first + size)
            metric.update(of(images[part]), real=is_real, labels=None if labels is None else labels[part])
    return metric


def within(images, labels):
    """The definition, by numpy."""
    rows, labels = images.reshape(len(images), -1).numpy().astype(float), labels.numpy()
    return np.mean([rows[labels == k].var(0, ddof=1).sum() ** 0.5 for k in np.unique(labels)])


def test_the_definition_by_numpy():
    fake, real = photos(90, contrast=0.5), photos(120, seed=1)
    low = [(images.float().unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2)), labels) for images, labels in (fake, real)]
    report = measured(fake, real).report()
    assert report.of_images == {"spread": pytest.approx(within(*low[0]) / within(*low[1]), rel=1e-9)}
    assert report.details["spread_pixels"] == pytest.approx(within(*fake) / within(*real), rel=1e-9)
    of_class = [within(images[labels == 1], labels[labels == 1]) for images, labels in low]
    assert report.details["spread_per_class"][1] == pytest.approx(of_class[0] / of_class[1], rel=1e-9)
    assert measured(fake, real).compute().item() == report.of_images["spread"] and not report.numbers


def test_windows_that_overlap_are_averages_all_the_same(noise):
    images, real = noise(30, 3, 27), noise(30, 3, 27, seed=1)
    zeros = torch.zeros(30, dtype=torch.int64)
    low = [torch.nn.functional.interpolate(each.double(), size=(6, 6), mode="area") for each in (images, real)]
    value = measured((images, zeros), (real, zeros)).compute().item()
    assert value == pytest.approx(within(low[0], zeros) / within(low[1], zeros), rel=1e-9)
    assert areas(27, 27).sum() > 27 * 27 and areas(28, 16).sum() == 28 * 16


def test_how_far_images_are_averaged_down():
    assert [low_size(size) for size in (2, 4, 8, 16, 24, 28, 32, 64, 256)] == [2, 4, 4, 4, 6, 7, 8, 8, 8]


def test_one_image_a_class_is_no_variety():
    (real, labels), one = photos(60), photos(3, seed=1)[0]
    collapsed = measured((one[labels], labels), (real, labels))
    assert collapsed.compute() == 0 and collapsed.report().details["spread_pixels"] == 0  # exactly
    # which the variance of all images does not notice
    assert measured((one[labels], None), (real, labels)).compute() > 0.9


def test_a_set_repeated_is_as_varied():
    fake, real = photos(90, contrast=0.5), photos(120, seed=1)
    again = measured((fake[0].repeat(9, 1, 1, 1), fake[1].repeat(9)), real).compute()
    assert again.item() == pytest.approx(measured(fake, real).compute().item(), rel=0.02)  # n - 1 is another share


def test_noise_and_a_mesh_do_not_pass_for_variety():
    real, (fake, labels) = photos(600), photos(600, seed=1, contrast=0.4)
    generator = torch.Generator().manual_seed(0)
    noise = 10 * torch.randn(fake.shape, generator=generator)
    patterns = torch.randn(600, 1, 4, 4, generator=generator)
    mesh = 10 * (patterns - patterns.mean((2, 3), keepdim=True)).repeat(1, 1, 8, 8)
    plain = measured((fake, labels), real).compute().item()
    for spoiled in (noise, mesh):
        report = measured(((fake + spoiled).round().clamp(0, 255).byte(), labels), real).report()
        assert report.of_images["spread"] == pytest.approx(plain, rel=0.06)
        assert report.details["spread_pixels"] > 1.5 * plain  # as the variance of all pixels makes believe


def test_without_classes_on_a_side_it_is_of_all_images():
    (fake, labels), real = photos(90, contrast=0.5), photos(120, seed=1)
    expected = measured((fake, None), (real[0], None))
    for one, other in ((labels, None), (None, real[1])):
        metric = measured((fake, one), (real[0], other))
        assert metric.compute() == expected.compute()
        assert "spread_per_class" not in metric.report().details
        assert set(metric.report().flags) == {"spread_of_all"}
    assert not expected.report().flags


def test_batches_and_their_order_change_nothing():
    fake, real = photos(70, contrast=0.5, channels=3), photos(90, seed=2, channels=3)
    reports = [measured(fake, real, size).report() for size in (1, 7, 70)]
    assert reports[0] == reports[1] == reports[2]
    order = torch.randperm(70, generator=torch.Generator().manual_seed(0))
    assert measured((fake[0][order], fake[1][order]), real, 7).report() == reports[0]


def test_classes_of_one_image_are_left_out_and_reported():
    fake, (real, labels) = photos(61), photos(90, seed=1)
    metric = measured((fake[0][:60], fake[1][:60]), (torch.cat([real, real[:2]]), torch.cat([labels, labels[:2] + 7])))
    assert metric.report().of_images == measured((fake[0][:60], fake[1][:60]), (real, labels)).report().of_images
    assert not metric.report().flags  # nothing is known of the real ones of those classes
    few = measured((fake[0][:4], fake[1][:4]), (real, labels)).report()
    assert "leaves 2 of 3 classes out" in few.flags["few_per_class"] and few.of_images["spread"] > 0
    assert few.details["spread_per_class"][1] is None
    nothing = measured((fake[0][:3], fake[1][:3]), (real, labels))
    assert set(nothing.report().flags) == {"no_spread"} and not nothing.report().of_images
    with pytest.raises(ValueError, match="no class has two generated images"):
        nothing.compute()
    alike = measured(fake, (real[:1].repeat(9, 1, 1, 1), labels[:9]))
    with pytest.raises(ValueError, match="two real ones that differ"):
        alike.compute()


def test_held_out_images_stand_beside():
    metric = measured(photos(90, contrast=0.5), photos(120, seed=1))
    images, labels = photos(90, seed=3)
    metric.update(images, real=True, heldout=True, labels=labels)
    numbers = metric.report().of_images
    assert numbers == {"spread": pytest.approx(0.5, abs=0.05), "spread_heldout": pytest.approx(1, abs=0.05)}


def test_pixels_of_large_images_are_not_kept_for_every_class():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 3, 72, 72), generator=generator, dtype=torch.uint8)
    metric = measured((images, None), (images, None))
    assert metric.report().of_images == {"spread": 1.0} and not metric.report().details
    assert metric.metric_state["fake_classes"][0].numel() < 500


def test_pixels_are_a_detail_that_changes_no_number():
    fake, real = photos(90, contrast=0.5), photos(120, seed=1)
    both, without = measured(fake, real).report(), measured(fake, real, kind=Spread).report()
    assert without.of_images == both.of_images and "spread_pixels" not in without.details
    assert Spread(pixels=True).facts() == Spread().facts() == {}


def test_bad_labels_are_refused(noise):
    for labels in (torch.arange(4), torch.zeros(3), torch.tensor([0, -1, 1]), torch.zeros(3, 1, dtype=torch.int64)):
        with pytest.raises(ValueError, match="a whole number from 0 for each of the 3 images"):
            Spread().update(noise(3), real=True, labels=labels)
    metric = Spread()
    metric.update(noise(0), real=True, labels=torch.arange(0))
    assert metric.metric_state["real_classes"] == []
    with pytest.raises(ValueError, match="Spread takes uint8 images"):
        metric.update(noise(3).float(), real=True)


def test_of_features_by_numpy():
    fake, real = photos(90, 8, contrast=0.5), photos(120, 8, seed=1)
    metric = measured(fake, real, 40, FeatureSpread, lambda images: images.flatten(1) / 255)
    assert metric.compute().item() == pytest.approx(within(*fake) / within(*real), rel=1e-5)
    assert metric.report().numbers == {"spread_features": metric.compute().item()}
    by_images = FeatureSpread(extractor=Pixels())
    for (images, labels), is_real in ((real, True), (fake, False)):
        by_images.update(images, real=is_real, labels=labels)
    assert by_images.compute() == metric.compute()
    pooled = measured((fake[0], None), real, 40, FeatureSpread, lambda images: images.flatten(1) / 255)
    expected = (fake[0].flatten(1).double().var(0).sum() / real[0].flatten(1).double().var(0).sum()).sqrt()
    assert pooled.compute().item() == pytest.approx(expected.item(), rel=1e-5)
    single = measured((fake[0][:3], fake[1][:3]), real, 40, FeatureSpread, lambda images: images.flatten(1) / 255)
    assert single.report().numbers == {}
    with pytest.raises(ValueError, match="no class has two"):
        single.compute()
