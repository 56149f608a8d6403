"""Pictures that a command made once, made again: from themselves, after a kill, as sheets and as films."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import transgan
from transgan import provenance


@pytest.fixture
def run(digits_run):
    return digits_run[0]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_classes_without_names_and_names_without_letters_are_rows(sample, run, tmp_path):
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(saved | {"class_names": []}, tmp_path / "nameless.ckpt")
    path, out = sample("nameless.ckpt", "to=sheet", "seeds=0-2", "out=nameless.png")
    named, _ = sample(run, "checkpoint=last", "to=sheet", "seeds=0-2", "out=named.png")
    assert "30 images of" in out and (pixels(path) == pixels(named)).all()  # digits are called by their numbers
    others = ["chat noir", "Ätna", *"3456789"]
    torch.save(saved | {"class_names": ["猫", *others]}, tmp_path / "foreign.ckpt")
    foreign, _ = sample("foreign.ckpt", "to=sheet", "seeds=0-2", "out=foreign.png")
    torch.save(saved | {"class_names": ["class 0", *others]}, tmp_path / "plain.ckpt")
    plain, _ = sample("plain.ckpt", "to=sheet", "seeds=0-2", "out=plain.png")
    assert (pixels(foreign) == pixels(plain)).all()  # and not a box, as for a character that a font lacks


@pytest.fixture
def sample(inside):
    """sample(*words) -> (the file or folder, what was printed)."""

    def call(*words):
        code, out, err = inside("sample", *words)
        assert code == 0, out + err
        return re.search(r"images? of .* -> (.+)$", out, re.MULTILINE)[1], out

    return call


def test_a_picture_is_made_again_from_itself(sample, run, tmp_path):
    folder, out = sample(run, "seeds=3-70", "psi=0.7", "batch_size=5", "out=made")
    assert "speed   " in out and "images/s" in out
    one = tmp_path / "made" / sorted(os.listdir("made"))[4]
    again, out = sample(f"like={one}", run, "out=again.png")
    assert f"every pixel is that of {one}" in out and (pixels(one) == pixels(again)).all()
    assert provenance.read(one) == provenance.read(again)
    one.rename(run / "generated-moved.png")  # beside the run it needs no more
    again, out = sample(f"like={run / 'generated-moved.png'}")
    assert "every pixel is that of" in out and again.startswith(str(run / "redrawn" / "generated-moved-"))
    (run / "generated-moved.png").unlink()


def test_images_of_one_name_are_made_again_beside_each_other(sample, run, tmp_path):
    """In files of their own, the same image in the same; none of them, nor a grid, among those that are measured."""
    before = set((run / "generated").glob("*"))
    made = [sample(run, f"seeds={seed}", f"out={seed}/x.png")[0] for seed in (0, 1)]
    made.append(sample(run, "seeds=0-3", "to=grid", "out=2/x.png")[0])
    (tmp_path / "3").mkdir()
    made.append(str(tmp_path / "3" / "x.png"))
    shutil.copy(made[0], made[3])
    again = [sample(run, f"like={path}")[0] for path in made]
    assert len(set(again)) == 3 and again[3] == again[0]
    assert all((pixels(one) == pixels(other)).all() for one, other in zip(made, again, strict=True))
    assert set((run / "generated").glob("*")) == before
    shutil.rmtree(run / "redrawn")


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_is_made_again_by_its_command(refused, tmp_path, kind):
    (tmp_path / f"walk.{kind}").write_bytes(b"film")
    found = refused("sample", f"like=walk.{kind}")
    assert "like= makes single images, grids and sheets again" in found and f"to={kind}" in found


@pytest.mark.parametrize("key", ["psi", "temperature"])
def test_a_sweep_has_no_strength_of_all_rows(refused, run, key):
    found = refused("sample", run, "to=sheet", "sweep=[0.3,1]", f"{key}=0.5")
    assert f"{key}=0.5: sweep= gives the strength of each row" in found


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_a_grid_is_made_again_tile_by_tile(sample, run, suffix):
    grid, _ = sample(run, "to=grid", "seeds=5-24", "class=3", "columns=7", f"out=grid.{suffix}")
    again, out = sample(run, f"like={grid}", f"out=again.{suffix}")
    assert "every pixel is that of" in out and (pixels(grid) == pixels(again)).all()


def test_the_last_grid_of_training_is_made_again(sample, run, refused):
    grids = sorted((run / "samples").glob("0*.png"))
    again, out = sample(f"like={grids[-1]}", "out=again.png")
    assert "every pixel is that of" in out and (pixels(grids[-1]) == pixels(again)).all()
    found = refused("sample", f"like={grids[0]}")
    assert "it was made at 0 kimg of digits, whose weights of then are gone: there are" in found and "kimg" in found
    assert "does not say how it was made" in refused("sample", f"like={run / 'samples' / 'reals.png'}")


def test_a_sheet_has_a_row_for_each_class_or_psi(sample, run, refused, tmp_path):
    sheet, _ = sample(run, "to=sheet", "out=sheet.png")
    images = transgan.sample(run, seeds="0-7", class_="3")
    with Image.open(sheet) as picture:
        assert picture.width > 8 * 64 and picture.height > 10 * 64
        step = 66
        left, top = picture.width - 8 * step - 2, picture.height - 10 * step - 2
        tile = np.asarray(picture.convert("L"))[top + 3 * step : top + 3 * step + 64, left + step : left + step + 64]
    assert (tile.reshape(8, 8, 8, 8)[:, 0, :, 0] == images[1, 0].numpy()).all()
    sweep, out = sample(run, "to=sheet", "sweep=[0,0.5,1]", "class=3", "seeds=1,2", "out=sweep.png")
    assert "psi 0, 0.5 and 1)" in out
    again, out = sample(run, f"like={sweep}", "out=again.png")
    assert "every pixel is that of" in out and "psi 0, 0.5 and 1)" in out
    found = refused("sample", run, "to=grid", "sweep=[1]", "fps=3", "frames=2", "space=w")
    assert found.count("\n") == 4 and "sweep=[1]" in found.replace("1.0", "1")
    assert "the rows of this sheet are all classes" in refused("sample", run, "to=sheet", "class=3")


def film(path):
    if str(path).endswith(".gif"):
        with Image.open(path) as image:
            return [np.asarray((image.seek(i), image.convert("L"))[1]).astype(int) for i in range(image.n_frames)]
    av = pytest.importorskip("av", reason="the extra video is not installed")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_ends_where_it_began(sample, run, kind):
    path, out = sample(run, f"to={kind}", "seeds=1-4", "frames=10", "space=w", f"out=walk.{kind}")
    frames = film(path)
    assert len(frames) == 40 and frames[0].shape == (256, 256) and "40 images of" in out
    apart = [abs(a - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert max(apart) < 4 * np.median(apart) and apart[-1] < 2.5 * np.median(apart)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are of POSIX systems")
@pytest.mark.slow
def test_killed_and_continued_is_as_if_uninterrupted(sample, run, tmp_path):
    words = [str(run), "seeds=0-999", "batch_size=16"]
    command = [sys.executable, "-m", "transgan", "sample", *words, "out=killed"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, env=os.environ)
    until = time.monotonic() + 60
    while len(list((tmp_path / "killed").glob("*.png"))) < 100:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("*.png")}
    assert 100 <= len(made) < 1000
    sample(*words, "out=killed")
    assert sum(path.stat().st_mtime_ns == then for path, then in made.items()) > len(made) - 16  # not made again
    sample(*words, "out=whole")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes(), path.name
    with open(tmp_path / "whole" / "seeds.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in rows] == list(range(1000)) and rows[7]["file"].startswith("seed00000007-")
    assert not list((tmp_path / "killed").glob("*.tmp"))


@pytest.mark.parametrize("kind", ["mp4", "gif", "sheet", "grid"])
def test_a_full_disk_leaves_nothing(kind, refused, run, tmp_path):
    resource = pytest.importorskip("resource", reason="this system has no limits of this kind")
    if kind == "mp4":
        pytest.importorskip("av", reason="the extra video is not installed")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, before[1]))
    try:
        suffix = kind if kind in ("mp4", "gif") else "png"
        found = refused("sample", run, f"to={kind}", "seeds=0-2", f"out=a.{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.count("\n") == 1 and "out=PATH" in found
    assert not list(tmp_path.iterdir())


def test_without_provenance_nothing_is_said_and_that_is(sample, run, refused):
    folder, out = sample(run, "seeds=1-2", "provenance=false", "out=silent")
    assert "provenance=false: nothing in these images says that a model made them" in out
    for name in os.listdir("silent"):
        assert b"trainedAlgorithmicMedia" not in open(os.path.join("silent", name), "rb").read()
    found = refused("sample", run, f"like=silent/{sorted(os.listdir('silent'))[1]}")
    assert "does not say how it was made" in found
    _, out = sample(run, "seeds=0-3", "to=grid", "out=grid.bmp")
    assert ".bmp has no place for where an image came from; .png has" in out


def test_what_cannot_be_made_again_is_a_sentence(sample, run, refused, tmp_path):
    assert "a run is needed: `transgan sample runs/NAME`" in refused("sample")
    picture, _ = sample(run, "seeds=1", "out=one.png")
    found = refused("sample", f"like={picture}")
    assert "it is of the run digits, which is not in" in found and "transgan sample RUN like=one.png" in found
    assert "psi=0.3: like=one.png says it" in refused("sample", run, f"like={picture}", "psi=0.3")
    assert "no.png" in refused("sample", run, "like=no.png")
    facts = provenance.read(picture)
    for lacking in ("seeds", "weights_sha256"):
        own = {key: value for key, value in facts.items() if key != lacking}
        Image.new("L", (8, 8)).save("less.png", **provenance.options("PNG", own))
        assert f"what it says of itself is incomplete ('{lacking}')" in refused("sample", run, "like=less.png")
    Image.new("L", (8, 8)).save("odd.png", **provenance.options("PNG", facts | {"run": "../../etc"}))
    assert "of the run ../../etc" in refused("sample", "like=odd.png")


def test_from_python(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = transgan.sample(run, seeds=[4], out="four.png")
    assert json.loads(Image.open(path).text["transgan"])["seeds"] == [4]
    again = transgan.sample(run, like=path, out="again.png")
    assert (pixels(path) == pixels(again)).all()
