"""What is white is decided by all files of a set together, said, and asked for where they do not tell."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data import Folder, Zip, checking
from transgan.data.levels import Facts, Levels, decide

DARK = np.full((8, 8), 40)


def bright(high, low=0):
    return np.linspace(low, high, 64).reshape(8, 8).round()


def put(folder, *arrays, kind=np.uint16, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, values in enumerate(arrays):
        Image.fromarray(values.astype(kind)).save(folder / f"{i}.{suffix}")
    return folder


def pgm(folder, *arrays, white):
    folder.mkdir(parents=True, exist_ok=True)
    for i, values in enumerate(arrays):
        head = f"P5 {values.shape[1]} {values.shape[0]} {white}\n".encode()
        (folder / f"{i}.pgm").write_bytes(head + values.astype(">u2").tobytes())
    return folder


def packed(folder):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize(
    "suffix, high, white, said",
    [
        ("png", 4095, 4095, "2 files of more than 8 bits use 12 (up to 4095): white is 4095"),
        ("tif", 1000, 1023, "use 10 (up to 1000): white is 1023"),
        ("jp2", 16000, 16383, "use 14 (up to 16000): white is 16383"),
        ("png", 255, 255, "use 8 (up to 255): white is 255"),
        ("png", 65535, 65535, None),
        ("tif", 20000, 65535, None),
    ],
)
def test_the_brightest_of_all_files_decides_for_the_darkest(tmp_path, suffix, high, white, said):
    folder = put(tmp_path / "set", DARK, bright(high), suffix=suffix)
    data = Folder(folder, 8, 1)
    assert data.levels.integer == white
    assert (data.images[0] == (40 * 255 * 2 + white) // (2 * white)).all()
    assert data.images[1].max() == round(high * 255 / white)
    assert (said is None and "white" not in data.describe()) or said in data.describe()
    alone = Folder(put(tmp_path / "alone", DARK, suffix=suffix), 8, 1)
    assert alone.levels.integer == 255  # the same file, in another set


def test_what_a_pgm_says_needs_no_others(tmp_path):
    data = Folder(pgm(tmp_path / "set", DARK, DARK, white=1000), 8, 1)
    assert (data.images == 10).all() and "white" not in data.describe()
    with pytest.raises(ValueError, match="a value of 400, more than the white of its header, 300"):
        Folder(pgm(tmp_path / "beyond", np.full((8, 8), 400), white=300), 8, 1)


@pytest.mark.parametrize(
    "arrays, white, said",
    [
        ([DARK / 100, bright(100) / 100], 1, "2 files of floats go up to 1: white is 1"),
        ([DARK / 100, bright(100) / 100 * 1.0000001], 1, "white is 1"),
        ([DARK, bright(255)], 255, "2 files of floats go up to 255: white is 255"),
        ([DARK * 0 + np.eye(8), bright(200)], 255, "white is 255"),
        ([DARK + 0.5, bright(200)], 255, "white is 255"),
    ],
)
def test_floats(tmp_path, arrays, white, said):
    data = Folder(put(tmp_path, *arrays, kind=np.float32, suffix="tif"), 8, 1)
    assert data.levels.real == white and said in data.describe()
    expected = np.rint(np.float32(arrays[0]) * (255 / white))
    assert np.array_equal(data.images[0, 0].numpy(), expected)


@pytest.mark.parametrize(
    "arrays, kind, suffix",
    [
        ([np.eye(8), np.eye(8)], np.float32, "tif"),  # masks, or two dark frames of 255
        ([DARK / 10, DARK / 9], np.float32, "tif"),  # up to 4.4
        ([np.eye(8), 1 - np.eye(8)], np.uint16, "png"),
    ],
)
def test_what_cannot_be_known_is_asked_for(tmp_path, arrays, kind, suffix):
    folder = put(tmp_path, *arrays, kind=kind, suffix=suffix)
    for in_memory in (True, False):
        with pytest.raises(ValueError, match="2 files .*say what is white by data.white=1"):
            Folder(folder, 8, 1, in_memory=in_memory)
    white = float(np.max(arrays))
    reported = Folder(folder, 8, 1, white=white)
    assert np.array_equal(reported.images[0, 0].numpy(), np.rint(np.float32(arrays[0]) * (255 / white)))
    assert torch.equal(Folder(folder, 8, 1, white=white, in_memory=False)[0][0], reported.images[0])


def test_a_user_says_otherwise(tmp_path):
    folder = put(tmp_path, DARK, bright(4095))
    reported = Folder(folder, 8, 1, white=65535)
    assert reported.images.max() == 16 and "white" not in reported.describe()
    with pytest.raises(ValueError, match=r"1.png: values 0 to 4095, expected 0 to 1000"):
        Folder(folder, 8, 1, white=1000)
    for white in (0, -1, "many", True, float("inf")):
        with pytest.raises(ValueError, match="white=.* is not possible"):
            Folder(folder, 8, 1, white=white)


@pytest.mark.parametrize("make", [lambda p: put(p, DARK, kind=np.uint8), lambda p: pgm(p, DARK, white=1000)])
def test_saying_it_where_every_file_says_it_has_no_effect(tmp_path, make):
    with pytest.raises(ValueError, match="white=4095 has no effect"):
        Folder(make(tmp_path), 8, 1, white=4095)


def test_broken_files_have_no_voice(tmp_path):
    folder = put(tmp_path, DARK / 100, bright(100) / 100, np.full((8, 8), 5e4), np.full((8, 8), np.nan),
                 np.full((8, 8), -3.0), kind=np.float32, suffix="tif")  # fmt: skip
    with pytest.raises(ValueError) as caught:
        Folder(folder, 8, 1)
    message = str(caught.value)
    assert "3 of 5" in message and "2.tif: float values to 50000" in message and "3.tif: float values nan" in message
    assert "4.tif: float values -3 to -3, expected 0 to" in message
    assert Folder(folder, 8, 1, on_error="skip").levels.real == 1


@pytest.mark.parametrize(
    "arrays, kind, suffix", [([DARK, bright(4095)], np.uint16, "png"), ([DARK / 99, bright(1)], np.float32, "tif")]
)
def test_streamed_zipped_and_in_memory_are_the_same_bits(tmp_path, arrays, kind, suffix):
    folder = put(tmp_path / "set", *arrays, kind=kind, suffix=suffix)
    Image.fromarray(DARK.astype(np.uint8)).save(folder / "eight.png")
    path = packed(folder)
    sources = [c(p, 8, 1, in_memory=m) for c, p in ((Folder, folder), (Zip, path)) for m in (True, False)]
    first = sources[0]
    for other in sources[1:]:
        assert torch.equal(other.__getitems__(range(3))[0], first.images)
        assert other.fingerprint == first.fingerprint
        assert other.levels == first.levels and other.hints == first.hints


def test_it_is_remembered_with_the_files(tmp_path, monkeypatch):
    folder = put(tmp_path / "set", DARK, bright(4095))
    first = Folder(folder, 8, 1, in_memory=False)
    fingerprint = first.fingerprint

    def fail(*_):
        raise AssertionError("looked at again")

    monkeypatch.setattr(checking, "look", fail)
    again = Folder(folder, 8, 1, in_memory=False)
    assert again.levels == first.levels and again.hints == first.hints and again.fingerprint == fingerprint


def test_other_pictures_can_be_read_like_these(tmp_path):
    whole = Folder(put(tmp_path / "set", DARK, bright(4095), bright(300), bright(200)), 8, 1)
    darker = put(tmp_path / "darker", bright(300), bright(200))
    assert torch.equal(Folder(darker, 8, 1, white=whole.levels).images, whole.images[2:])
    assert not torch.equal(Folder(darker, 8, 1).images, whole.images[2:])


def test_alpha_of_sixteen_bits_beside_colour_of_twelve():
    facts = [Facts("integer", 4000.0, False, alpha, 0) for alpha in (65535, 0)]
    assert decide(facts)[0] == Levels(4095, None, 65535)
    assert decide([each._replace(alpha=4095) for each in facts])[0] == Levels(4095, None, 4095)


def test_bits_that_files_name_count_where_the_numbers_fit():
    assert decide([Facts("integer", 900.0, False, 0, 12)])[0].integer == 4095
    assert decide([Facts("integer", 65520.0, False, 0, 12)])[0].integer == 65535  # moved up, as PNG wants it
