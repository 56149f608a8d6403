"""An exact duplicate is one at every resolution, however large JPEGs are read."""

import numpy as np
import pytest
from PIL import Image

from defects import good
from transgan.data.inspection import pixels
from transgan.data.inspection.check import check


def kinds(report) -> dict[str, set[str]]:
    return {each.kind: set(each.files) for each in report.findings}


def same_in(form, path):
    """Writes the pixels of a JPEG once more, in a file of other bytes."""
    if form == "jpg":
        data = path.read_bytes()
        (path.parent / "twin.jpg").write_bytes(data[:2] + b"\xff\xfe\x00\x04hi" + data[2:])  # with a comment
    else:
        Image.open(path).save(path.parent / f"twin.{form}")


def page(seed: int, size: tuple[int, int]) -> Image.Image:
    """White, with lines of marks: all are alike, and at few pixels they differ by how they were made smaller."""
    random = np.random.default_rng(seed)
    values = np.full(size, 255, np.uint8)
    for top in range(8, size[0] - 8, 12):
        values[top : top + 5, 8:-8] = np.where(random.random(size[1] - 16) < 0.5, 0, 255)
    return Image.fromarray(values)


@pytest.mark.parametrize("form", ["png", "bmp", "jpg"])
@pytest.mark.parametrize("resolution", [8, 32, 128])
def test_an_exact_duplicate_is_one_at_every_resolution(tmp_path, form, resolution):
    for i in range(6):
        good(i, 128).save(tmp_path / f"{i}.jpg", quality=90)
    same_in(form, tmp_path / "2.jpg")
    good(3, 128).save(tmp_path / "near.jpg", quality=80)
    found = kinds(check(tmp_path, resolution=resolution))
    assert found["exact_duplicates"] == {"2.jpg", f"twin.{form}"} and found["near_duplicates"] == {"3.jpg", "near.jpg"}


@pytest.mark.parametrize("form", ["png", "jpg"])
@pytest.mark.parametrize("resolution", [9, 28, 64])
def test_also_among_images_that_are_all_alike(tmp_path, form, resolution):
    """Of sides that no power of two divides: those that are read smaller are cut otherwise."""
    for i in range(20):
        page(i, (261, 187)).convert("RGB").save(tmp_path / f"{i}.jpg", quality=85)
    same_in(form, tmp_path / "7.jpg")
    assert kinds(check(tmp_path, resolution=resolution))["exact_duplicates"] == {"7.jpg", f"twin.{form}"}


def test_few_files_are_read_again(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(pixels, "whole_digest", lambda data: read.append(data))
    for i in range(20):
        good(i, 128).save(tmp_path / f"{i}.jpg", quality=90)
        good(100 + i, 128).save(tmp_path / f"{i}.png")
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    found = kinds(check(tmp_path, resolution=32))
    assert found["exact_duplicates"] == {"0.jpg", "copy.jpg"} and read == []
    same_in("png", tmp_path / "2.jpg")
    check(tmp_path, resolution=32)
    assert len(read) == 1
