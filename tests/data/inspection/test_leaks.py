"""What training says at its beginning of its own part to measure against, without reading more than it must."""

import zipfile

import pytest
from PIL import Image

from defects import good, in_parts
from transgan.data import Folder, Zip, hold_out
from transgan.data.inspection import leaks
from transgan.data.inspection.short import short
from transgan.data.preparation.prepare import Settings, prepare


def folder(root, place):
    return Folder(root, 32, 3, in_memory=place)


def packed(root, place):
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(root))
    return Zip(root.with_suffix(".zip"), 32, 3, in_memory=place)


def prepared(root, place):
    prepare(root, root.with_name("prepared.zip"), Settings(32))
    return Zip(root.with_name("prepared.zip"), 32, 3, in_memory=place)


@pytest.mark.parametrize("place", [True, False])
@pytest.mark.parametrize("source", [folder, packed, prepared])
def test_images_of_the_part_to_measure_against_that_are_also_trained_on(tmp_path, source, place):
    root = in_parts(tmp_path / "set", train={"a": range(6), "b": range(6, 12)}, test={"a": [20, 21, 22]})
    assert short(source(root, place)) == []
    for path in tmp_path.glob("*.zip"):
        path.unlink()
    for name, seed in {"test/a/2": 2, "test/a/other": 3}.items():
        good(seed).save(root / f"{name}.png")
    assert short(source(root, place))[0] == "2 of 5 images in test are also trained on"


def test_pixels_are_compared_where_training_has_them_in_memory(tmp_path, monkeypatch):
    """Of the same image in another file; a part of many images is compared by its files alone."""
    root = in_parts(tmp_path, train={"a": range(6)}, val={"a": [20, 21]})
    good(2).save(root / "val" / "a" / "again.bmp")
    (root / "val" / "a" / "cut.png").write_bytes((root / "val" / "a" / "20.png").read_bytes()[:400])
    assert short(Folder(root, 32, 3, in_memory=True)) == ["1 of 4 images in val is also trained on"]
    assert short(Folder(root, 32, 3, in_memory=False)) == []
    monkeypatch.setattr(leaks, "FEW", 3)
    assert short(Folder(root, 32, 3, in_memory=True)) == []


def test_a_share_that_is_held_out_takes_the_place_of_the_part(tmp_path):
    root = in_parts(tmp_path, train={"a": range(20)}, test={"a": [2]})
    assert short(*hold_out(Folder(root, 32, 3, in_memory=True), 0.1)) == []


def test_images_of_one_colour_that_become_the_same_are_no_duplicates(tmp_path):
    """`transgan data check` does not name them as such: they are blank."""
    for i in range(20):
        good(i).save(tmp_path / f"{i}.png")
    for side in (40, 80):
        Image.new("RGB", (side, side), (9, 90, 200)).save(tmp_path / f"plain{side}.png")
    assert short(Folder(tmp_path, 32, 3, in_memory=True)) == ["one colour: 2 images"]
