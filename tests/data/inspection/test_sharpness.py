"""Sharpness is measured where there are edges, and along both axes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from defects import good
from transgan.data.inspection.check import check
from transgan.data.inspection.sharpness import sharpness
from transgan.data.inspection.traits import light_of


def kinds(report):
    return {each.kind: set(each.files) for each in report.findings}


def values(image):
    return np.asarray(image.convert("L"), np.float32)


def sky(seed, side=64, disc=False):
    """Shades and the noise of a sensor; with a disc, whose border is sharp."""
    random = np.random.default_rng(seed)
    shades = 80 + np.linspace(0, random.uniform(40, 120), side)[:, None] + np.linspace(0, 20, side)[None]
    image = Image.fromarray((shades + random.normal(0, 1.5, shades.shape)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if disc:
        ImageDraw.Draw(image).ellipse([side // 4, side // 4, side // 2, side // 2], fill=(230, 40, 60))
    return image


def moved(image, length):
    """As by a camera that moved along the rows."""
    pixels = np.asarray(image, np.float32)
    return Image.fromarray((sum(np.roll(pixels, i, 1) for i in range(length)) / length).astype(np.uint8))


def test_sharpness_of_known_images():
    """Steps from one pixel to the next are as sharp as can be; of steps over n pixels each is one in n; a ramp over the
    whole image is a shade and no edge."""
    board = np.indices((32, 32)).sum(0) % 2 * np.float32(200)
    assert sharpness(board) == light_of(board)[2] == 1
    row = np.interp(np.arange(32) % 16, [0, 4, 8, 12, 16], [0, 160, 160, 0, 0]).astype(np.float32)
    assert sharpness(np.tile(row, (32, 1))) == pytest.approx(1 / 4)
    ramp = np.tile(np.arange(32, dtype=np.float32) * 8, (32, 1))
    assert sharpness(ramp) == float("inf")
    assert light_of(ramp / 8)[1] == pytest.approx(np.sqrt((32**2 - 1) / 12))
    assert sharpness(np.zeros((1, 1), np.float32)) == sharpness(np.zeros((9, 9), np.float32)) == float("inf")


@pytest.mark.parametrize("deviation", [1.0, 1.5, 2.0])
def test_after_a_gaussian_blur_it_is_that_of_the_gaussian(deviation):
    stripes = np.tile(np.where(np.arange(64) // 16 % 2, 200.0, 20.0), (64, 1)).astype(np.uint8)
    soft = values(Image.fromarray(stripes).filter(ImageFilter.GaussianBlur(deviation)))
    assert sharpness(soft) == pytest.approx(1 / (deviation * np.sqrt(2 * np.pi)), rel=0.15)


@pytest.mark.parametrize("soften", [
    lambda image: image.filter(ImageFilter.GaussianBlur(2)), lambda image: image.filter(ImageFilter.BoxBlur(2)),
    lambda image: moved(image, 6), lambda image: moved(image.rotate(90), 6).rotate(-90),
])  # fmt: skip
def test_blurred_images_are_found_and_smooth_ones_are_not(tmp_path, soften):
    for i in range(12):
        good(i, 64).save(tmp_path / f"{i}.png")
    for i in range(6):
        sky(i, disc=i % 2 == 0).save(tmp_path / f"sky{i}.png")
    for i in range(3):
        soften(good(30 + i, 64)).save(tmp_path / f"soft{i}.png")
    assert kinds(check(tmp_path, resolution=64))["blurred"] == {f"soft{i}.png" for i in range(3)}


@pytest.mark.parametrize(("sharp", "soft", "found"), [(12, 14, "blurred"), (8, 16, "blurred"), (1, 20, "all_blurred")])
def test_a_set_of_which_more_than_half_is_blurred(tmp_path, sharp, soft, found):
    for i in range(sharp + soft):
        image = good(i, 64)
        (image if i < sharp else image.filter(ImageFilter.GaussianBlur(3))).save(tmp_path / f"{i}.png")
    (one,) = (each for each in check(tmp_path, resolution=64).findings if "blurred" in each.kind)
    assert (one.kind, one.count) == (found, soft)
    assert found == "blurred" or one.way == "resolution=16 shows as much"


@pytest.mark.parametrize(("grey", "found"), [(3, "grey"), (9, "coloured"), (12, "all_grey"), (0, None)])
def test_every_mixture_of_grey_and_colour_is_named(tmp_path, grey, found):
    for i in range(12):
        good(i).convert("L" if i < grey else "RGB").save(tmp_path / f"{i:02}.png")
    report = {each.kind: each for each in check(tmp_path, resolution=16).findings}
    named = report.keys() & {"grey", "coloured", "all_grey"}
    assert named == ({found} - {None})
    if found == "coloured":
        assert report[found].count == 3 and "9 are grey, 3 in colour" in report[found].training
