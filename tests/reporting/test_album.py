"""Embedded images: the pixels they were, where that is small; small enough in any case."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.callbacks import samples
from transgan.callbacks.samples import save_grid
from transgan.reporting import drawing
from transgan.reporting.album import GAP, Album, about_square
from transgan.reporting.drawing import chosen, slerp


def opened(embedded):
    head, _, text = embedded.uri.partition(",")
    assert head == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    assert image.size == (embedded.width, embedded.height)
    return image


def noise(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_what_is_small_loses_nothing():
    pixels = noise(40, 60, 3).numpy()
    assert np.array_equal(np.asarray(opened(Album(100_000).image(Image.fromarray(pixels))).convert("RGB")), pixels)


@pytest.mark.parametrize("most", [50_000, 3_000])
def test_what_is_large_becomes_smaller(most):
    image = Image.fromarray(noise(1000, 2000, 3).numpy())
    found = Album(most).image(image)
    assert found.width <= 960 and len(base64.b64decode(found.uri.partition(",")[2])) <= most
    assert found.width / found.height == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_shows_its_images_in_order(channels):
    images = noise(3, channels, 8, 8)
    strip = np.asarray(opened(Album(100_000).strip(images, after_first=8)).convert("RGBA"))
    side = 48
    assert strip.shape == (side, 3 * side + 2 * GAP + 8, 4)
    for i, left in enumerate((0, side + GAP + 8, 2 * side + 2 * GAP + 8)):
        small = strip[3::6, left + 3 : left + side : 6]  # the middle of each enlarged pixel
        assert np.array_equal(small[..., :3], images[i].expand(3, 8, 8).permute(1, 2, 0).numpy())
        assert (small[..., 3] == 255).all()
    assert (strip[:, side : side + GAP + 8, 3] == 0).all()


def test_a_tall_grid_is_cut_into_blocks(tmp_path):
    """25 rows of 4 classes: three blocks of eight rows, and the classes in their order again and again."""
    values = torch.arange(100, dtype=torch.uint8)
    save_grid(values[:, None, None, None].expand(100, 3, 16, 16), tmp_path / "a.png", 4)
    square = np.asarray(about_square(Image.open(tmp_path / "a.png").convert("RGB"), 34))
    assert square.shape[:2] == (8 * 34 + 2, 12 * 34 + 2)
    found = square[17::34, 17::34, 0]
    assert found[0].tolist() == [0, 1, 2, 3, 32, 33, 34, 35, 64, 65, 66, 67] and found[7, 11] == 95
    assert Album(10**6).grid(tmp_path / "a.png", 32).width == 2 * square.shape[1]  # a narrow one is enlarged


@pytest.mark.parametrize("size", [(170, 100), (142, 342)])
def test_other_grids_stay_as_they_are(size):
    grid = Image.new("RGB", size)
    assert about_square(grid, 34) is grid  # wide, or not of whole images


def test_a_walk_keeps_to_the_arc():
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    b = b * a.norm() / b.norm()
    for share in (0.0, 0.25, 0.5, 1.0):
        assert slerp(a, b, share).norm() == pytest.approx(a.norm().item(), rel=1e-4)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)
    assert torch.equal(slerp(a, a, 0.3), a)


def test_evenly_chosen():
    assert chosen(3, 5) == [0, 1, 2] and chosen(101, 5) == [0, 25, 50, 75, 100] and chosen(0, 5) == []


@pytest.mark.parametrize("count, classes, said", [
    (100, 10, "Each column is a class, from the left: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
    (100, 2, "Each 5 columns are a class, from the left: 0, 1."), (100, 15, ""), (4, 10, ""), (100, 100, ""),
])  # fmt: skip
def test_where_the_classes_of_a_grid_are(tmp_path, count, classes, said):
    path = tmp_path / "000001.png"
    save_grid(torch.zeros(count, 1, 8, 8, dtype=torch.uint8), path, samples.layout(count, classes)[0])
    material = SimpleNamespace(
        class_names=[str(k) for k in range(classes)], config={"num_classes": classes, "resolution": 8},
        grids=[(1.0, path)],
    )  # fmt: skip
    assert drawing.layout(material) == said
    material.grids = []
    assert drawing.layout(material) == ""


def test_a_strip_of_an_earlier_version_is_cut_and_said_to_be(tmp_path):
    path = tmp_path / "000001.png"
    save_grid(torch.zeros(20, 1, 8, 8, dtype=torch.uint8), path, 2)
    material = SimpleNamespace(class_names=["a", "b"], config={"num_classes": 2, "resolution": 8}, grids=[(1.0, path)])
    assert drawing.layout(material) == "Each column is a class, from the left: a, b, and again."
