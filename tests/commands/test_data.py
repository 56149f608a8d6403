"""`transgan data check` and `transgan data prepare` as commands."""

import io
import json
import os
import re
import signal
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from defects import good, spoiled


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return spoiled(tmp_path_factory.mktemp("spoiled") / "photos")


def test_check_prints_and_writes_everything(inside, folder, tmp_path):
    root, expected = folder
    code, out, err = inside("data", "check", root, "resolution=32", "json=out.json", "sheet=sheet.png", "images=6")
    assert code == 0, err
    for kind in ("truncated", "near duplicates", "extreme shape", "suspicious classes", "HEIC"):
        assert kind in out
    assert "data.on_error=skip" in out and "cats/empty.png" in out and "dogs/26.png = dogs/again.jpg" in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert {each["kind"]: set(each["files"]) for each in report["findings"]} == expected
    page = (tmp_path / "photos-check.html").read_text()
    assert "data:image/png;base64," in page and "dogs/wide.png" in page and "http" not in page
    assert Image.open(tmp_path / "sheet.png").size == (6 * 34 + 2, 34 + 2)


def test_check_looks_at_what_training_would_make(inside, tmp_path):
    """At the resolution, and in the colours, that training would choose, unless they are given."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        Image.effect_noise((48, 40), 20 + i).convert("RGB").save(photos / f"{i}.png")
    code, out, err = inside("data", "check", photos, "workers=1", "json=out.json")
    assert code == 0 and out.startswith("chosen  resolution=32 ") and "short side 40 px" in out, err
    assert "in training 32x32 pixels in grey" in out and "channels=1" in out
    assert json.loads((tmp_path / "out.json").read_text())["settings"]["resolution"] == 32
    code, out, err = inside("data", "check", photos, "workers=1", "resolution=16", "channels=3")
    assert code == 0 and "chosen" not in out and "in training 16x16 pixels:" in out, err


def test_every_name_is_on_the_page(inside, tmp_path):
    """As many as there are; where no page is written, the command that names them is."""
    photos = tmp_path / "photos"
    photos.mkdir()
    good(0).save(photos / "good.png")
    for i in range(260):
        (photos / f"empty{i}.png").write_bytes(b"")
    assert inside("data", "check", photos, "resolution=16", "workers=1")[0] == 0
    page = (tmp_path / "photos-check.html").read_text()
    assert all(f"<li>empty{i}.png</li>" in page for i in range(260))
    code, out, err = inside("data", "check", photos, "resolution=16", "workers=1", "html=null")
    assert code == 0 and "and 256 more" in out and "html=FILE and json=FILE name all" in out, err


@pytest.fixture
def odd(tmp_path):
    """A folder whose name is not UTF-8, with an image of such a name and two others."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this system has no such names")
    for i, name in enumerate((b"0.png", b"1.png", b"\xe9t\xe9.png")):
        file = io.BytesIO()
        good(i).save(file, "PNG")
        with open(os.path.join(folder, name), "wb") as target:
            target.write(file.getvalue())
    return os.fsdecode(folder)


def test_a_folder_whose_name_is_not_utf8_is_checked_twice(inside, odd):
    for _ in range(2):
        code, out, err = inside("data", "check", odd, "resolution=16", "workers=1")
        assert code == 0 and "names not in UTF-8" in out and "caf\\351' resolution=16" in out.replace("\n", ""), err


def test_names_that_are_not_utf8_are_refused_or_skipped(inside, refused, odd, tmp_path):
    err = refused("data", "prepare", odd, "out.zip", "resolution=16", "workers=1")
    assert (
        "1 image in " in err
        and "not in UTF-8" in err
        and "data.on_error=skip" in err
        and not (tmp_path / "out.zip").exists()
    )
    code, out, err = inside("data", "prepare", odd, "out.zip", "resolution=16", "workers=1", "data.on_error=skip")
    assert code == 0 and "skipped" in out and "its name is not in UTF-8" in out, err
    names = set(zipfile.ZipFile(tmp_path / "out.zip").namelist())
    assert names == {"0.png", "1.png", "dataset.json", "transgan.json"}


def test_check_does_not_overwrite_what_it_wrote_of_other_images(inside, refused, tmp_path):
    for place in ("one", "two", "more/one"):
        (tmp_path / place).mkdir(parents=True)
        Image.effect_noise((16, 16), 50).save(tmp_path / place / "0.png")
    for place in ("one", "two", "./one/"):
        assert inside("data", "check", place, "workers=1")[0] == 0
    before = (tmp_path / "one-check.html").read_bytes()
    assert (tmp_path / "two-check.html").exists()
    assert "one-check.html is there already and is the report of ./one/" in refused("data", "check", "more/one")
    (tmp_path / "two-check.html").write_text("mine")
    assert "two-check.html is there already and is no report of these images" in refused("data", "check", "two")
    assert (tmp_path / "one-check.html").read_bytes() == before
    assert inside("data", "check", "more/one", "workers=1", "html=other.html")[0] == 0


def test_training_goes_on_with_the_good_ones_and_then_with_the_prepared(inside, folder, tiny_folder, tmp_path):
    root, expected = folder
    code, before, err = inside("train", root, *tiny_folder, "data.on_error=skip", "kimg=0.032")
    assert code == 0, err
    broken = sum(len(expected[kind]) for kind in ("empty", "unreadable", "truncated"))
    assert f"skipped {broken} unreadable" in before
    named = [path for path in root.rglob("*") if path.suffix in (".png", ".jpg", ".gif", ".bmp")]
    assert int(re.search(r"photos: (\d+) images", before)[1]) == len(named) - 3 - broken  # 3 in folders of the system
    code, out, err = inside("data", "prepare", root, "small.zip", "resolution=8", "data.on_error=skip")
    assert code == 0, err
    assert "written small.zip" in out and "skipped cats/letter.png: not an image" in out
    assert "next    transgan train small.zip resolution=8" in out
    code, after, err = inside("train", "small.zip", *tiny_folder, "kimg=0.064")
    assert code == 0 and "from 0.032" in after, err  # the same run goes on: these are the same pixels
    classes = [re.search(r"\d+ images, .* by folder", out)[0] for out in (before, after)]
    assert classes[0] == classes[1] and "Dataset 1, cats" in classes[0]


def test_killed_it_goes_on(transgan_process, tmp_path):
    (tmp_path / "set").mkdir()
    random = np.random.default_rng(0)
    for i in range(1000):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{i:04d}.bmp")
    words = ("data", "prepare", "set", "out.zip", "resolution=32", "workers=2")
    process = transgan_process.start(*words, cwd=tmp_path)
    partial = tmp_path / "out.zip.partial"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (partial.exists() and partial.stat().st_size > 400_000):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL and not (tmp_path / "out.zip").exists()
    done = transgan_process(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = int(re.search(r"([\d,]+) of them by the command that was stopped", done.stdout)[1].replace(",", ""))
    assert 100 < again < 1000
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert len(archive.namelist()) == 1002 and archive.testzip() is None


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["data", "check"], "a folder or zip of images is needed: `transgan data check PATH`"),
        (["data", "check", "nowhere"], "nowhere is neither an option (key=value) nor a folder or zip of images"),
        (["data", "check", "set", "set"], "data check takes one folder or zip"),
        (["data", "check", "set", "html=report.txt"], "html=report.txt: its name must end in .html"),
        (["data", "check", "set", "resolution=0"], "resolution=0: it takes a whole number, 1 to 4,096"),
        (["data", "check", "set/a.txt"], "set/a.txt is neither a folder nor a zip of images"),
        (
            ["data", "check", "set/a.zip"],
            "set/a.zip is neither a folder nor a zip of images, or it is cut short; ",
        ),
        (["data", "check", "set"], "No image in set, only 1 other files (.txt 1)"),
        (["data", "prepare", "set"], "a zip to write is needed: `transgan data prepare PATH OUT.zip`"),
        (["data", "prepare", "nowhere", "out.zip"], "nowhere is neither an option"),
        (["data", "prepare", "set", "out.tar"], "out=out.tar: its name must end in .zip"),
        (["data", "prepare", "set", "a.zip", "b.zip"], "writes one zip; give PATH OUT.zip"),
        (["data", "prepare", "set", "out.zip", "crop=middle"], "crop=middle: it takes center, pad, stretch or entropy"),
        (["data", "chekc", "set"], "data chekc is not a command; did you mean data check?"),
        (["data", "xyz"], "data xyz is not a command"),
    ],
)
def test_mistakes(refused, tmp_path, words, sentence):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_text("no image")
    if "set/a.zip" in words:
        (tmp_path / "set" / "a.zip").write_bytes(b"PK\x03\x04")
    err = refused(*words)
    assert sentence in err and err.count("\n") == 1


def test_a_zip_that_is_there_is_not_overwritten(refused, tmp_path):
    (tmp_path / "set").mkdir()
    good(0).save(tmp_path / "set" / "0.png")
    (tmp_path / "out.zip").write_bytes(b"mine")
    assert "out.zip is there already: remove it, or give another name" in refused("data", "prepare", "set", "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"mine"


def test_help(inside):
    code, out, _ = inside("data")
    assert code == 0 and "transgan data check IMAGES" in out and "transgan data prepare IMAGES OUT.zip" in out
    assert inside("data", "--help")[1] == out
    for command, keys in {
        "check": "holdout= html= json= sheet= workers=",
        "prepare": "crop= format= channels= workers=",
    }.items():
        code, out, _ = inside("data", command, "--help")
        assert code == 0 and not [key for key in keys.split() if key not in out]
