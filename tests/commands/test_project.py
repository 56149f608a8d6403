"""`transgan project` as a user types it, and `transgan sample latent=`."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import transgan
from transgan import provenance
from transgan.runs import projecting
from transgan.runs.projected import Latent
from transgan.runs.run import Run

FEW = ["candidates=40", "starts=2", "steps=2", "newton=1"]


@pytest.fixture
def run(digits_run, tmp_path):
    """A copy, to whose folder these commands write."""
    return shutil.copytree(digits_run[0], tmp_path / "runs" / "digits")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


@pytest.fixture
def projected(inside, run, tmp_path):
    """An image of the run, projected in a few steps -> the folder."""
    assert inside("sample", run, "seeds=7", "out=seven.png")[0] == 0
    code, out, err = inside("project", run, "seven.png", "out=found", *FEW)
    assert code == 0, err
    return tmp_path / "found"


def test_an_image_of_the_run_comes_back_and_is_sampled_again(inside, run, tmp_path):
    assert inside("sample", run, "seeds=7", "out=seven.png")[0] == 0
    code, out, err = inside("project", run, "seven.png", "out=found", "steps=60")
    assert code == 0, err
    rmse, nearest, mean = map(float, re.search(r"error (\S+) of 255 .* images (\S+), their mean (\S+);", out).groups())
    assert 10 * rmse < nearest < mean
    assert "photo   seven.png (8 x 8 px: as it is)" in out and "next    transgan sample" in out
    with np.load("found/latent.npz", allow_pickle=False) as found:
        assert found["space"] == "w" and found["style"].shape == (1, 16) and found["style"].dtype == np.float32
        assert found["class_name"] == str(found["label"]) and found["version"] == transgan.__version__
        assert found["rmse"] == pytest.approx(rmse, abs=0.01) and found["run"] == "digits"
    assert ((pixels("found/projected.png") - pixels("seven.png")) ** 2).mean() ** 0.5 == pytest.approx(rmse, abs=0.01)
    code, out, err = inside("sample", run, "latent=found/latent.npz")
    assert code == 0 and out.startswith("1 image of"), err
    again = out.split("-> ")[1].splitlines()[0]
    assert (pixels(again) == pixels("found/projected.png")).all()
    facts = provenance.read(again)
    assert facts["projected_from"] == "latent.npz" and facts["photo"] == "seven.png" and "seeds" not in facts
    assert not [path for path in tmp_path.rglob("*.tmp")]


def test_the_same_command_writes_the_same_files(inside, run, projected):
    before = {path.name: path.read_bytes() for path in projected.iterdir()}
    assert sorted(before) == ["before-after.png", "latent.npz", "projected.png"]
    assert inside("project", run, "seven.png", "out=found", *FEW)[0] == 0
    assert {path.name: path.read_bytes() for path in projected.iterdir()} == before
    for name in ("before-after.png", "projected.png"):
        assert provenance.read(projected / name)["photo"] == "seven.png"
    wide = pixels(projected / "before-after.png")
    assert wide.shape[1] > 3 * 192 and wide.shape[0] > 192


def test_other_settings_leave_an_earlier_result_alone_or_say_so(inside, run, projected, tmp_path):
    shutil.copy("seven.png", "Gr\u00fc\u00dfe.png")
    for more in ([], ["steps=3"]):
        assert inside("project", run, "Gr\u00fc\u00dfe.png", "candidates=40", "starts=2", "newton=1", *more)[0] == 0
    folders = sorted(path.name for path in (run / "projections").iterdir())
    assert len(folders) == 2 and all(name.startswith("Gr\u00fc\u00dfe-") for name in folders)
    assert folders[1].endswith("-candidates40-starts2-steps3-newton1")
    out = inside("project", run, "seven.png", "out=found", "candidates=40", "starts=2", "newton=0", "steps=1")[1]
    assert "note    another projection of this photo was there and is replaced" in out


def test_what_sample_makes_of_a_latent(inside, run, projected):
    one = pixels(projected / "projected.png")
    for to, out in (("npz", "a.npz"), ("grid", "a.png"), ("png", "folder")):
        assert inside("sample", run, "latent=found/latent.npz", f"to={to}", f"out={out}")[0] == 0
    with np.load("a.npz") as found:
        assert (found["images"][0, ..., 0] == one).all() and found["labels"].shape == (1,)
    assert inside("sample", run, "latent=found/latent.npz", "psi=0", "out=mean.png")[0] == 0
    assert abs(pixels("mean.png") - one).max() > 0
    assert provenance.read("mean.png")["psi"] == 0
    images = transgan.sample(run, latent="found/latent.npz")
    assert (images[0, 0].numpy() == one).all()


def test_latents_as_in_training_and_a_class(inside, run, projected):
    code, out, err = inside("project", run, "seven.png", "space=z", "class=3", "provenance=false", *FEW)
    assert code == 0 and "in z, class 3" in out and "nothing in these images says" in out, err
    folder = run / "projections" / f"seven-{Run(run).kimg:g}kimg-class3-z-candidates40-starts2-steps2-newton1"
    latent = Latent.read(folder / "latent.npz")
    assert latent.label == 3 and latent.vector.shape[1] == 32
    with pytest.raises(ValueError, match="does not say how it was made"):
        provenance.read(folder / "projected.png")
    assert inside("sample", run, f"latent={folder / 'latent.npz'}", "out=again.png")[0] == 0
    assert (pixels("again.png") == pixels(folder / "projected.png")).all()


def test_a_photo_is_cut_resized_and_made_grey_and_it_is_said(inside, run):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save("wide.png")
    code, out, err = inside("project", run, "wide.png", *FEW)
    assert code == 0, err
    assert "30 x 20 px: centre crop to 20 x 20, resized to 8 x 8, colours to grey" in out
    assert transgan.project(run, "wide.png", candidates=20, starts=1, steps=0, newton=0, out="a") == Path("a")


def test_ctrl_c_leaves_nothing(inside, run, tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    Image.new("L", (8, 8), 200).save("a.png")
    monkeypatch.setattr(projecting, "project", stopped)
    code, out, err = inside("project", run, "a.png", "out=found")
    assert code == 130 and err == "transgan: stopped\n" and not (tmp_path / "found").exists()


def test_refusals(refused, run, tmp_path):
    (tmp_path / "a.txt").write_text("no image")
    Image.new("L", (8, 8), 200).save(tmp_path / "a.png")
    assert "a photo is needed" in refused("project", run)
    assert "there is no such file; give an image" in refused("project", run, "none.png")
    assert "not an image that Pillow can read" in refused("project", run, "a.txt")
    assert "it is a folder; give one image in it" in refused("project", run, tmp_path)
    assert "one run and one photo" in refused("project", run, "a.png", "b.png")
    assert "starts=8: there are candidates=3" in refused("project", run, "a.png", "candidates=3")
    assert "class=11: there is no such class" in refused("project", run, "a.png", "class=11")
    assert "a grid of generated images made by transgan" in refused("project", run, run / "samples" / "reals.png")


def test_a_model_with_a_likelihood_is_refused(inside, refused):
    words = ["experiment=digits_gpt", "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.032",
             "grid=4", "algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2"]  # fmt: skip
    assert inside("train", *words)[0] == 0
    Image.new("L", (8, 8), 200).save("a.png")
    said = refused("project", "runs/digits_gpt", "a.png")
    assert (
        "makes images token by token, and not at once from a latent; give the run of a generator" in said
        and said.count("\n") == 1
    )


def test_refusals_of_sample(inside, refused, run, projected, tmp_path, tiny):
    found = refused("sample", run, "latent=found/latent.npz", "seeds=3", "class=1", "like=a.png")
    assert found.count("it has no effect; leave it out") == 3
    assert "is not a latent.npz of transgan project" in refused("sample", run, "latent=seven.png")
    assert "latent=none.npz: there is no such file" in refused("sample", run, "latent=none.npz")
    assert "not of a seed, but of the projection of seven.png" in refused("sample", "like=found/projected.png")
    Image.new("L", (8, 8), 200).save(tmp_path / "a.png")
    assert "the projection of another photo" in refused("project", run, "a.png", "out=found", *FEW)
    for name, width in (("wider", 24), ("other", 16)):
        assert inside("train", *tiny, f"generator.style_dim={width}", f"name={name}", "kimg=0.032")[0] == 0
    assert "it has 16 numbers, and a style of" in (wider := refused("sample", "runs/wider", "latent=found/latent.npz"))
    assert "has 24" in wider
    assert f"it is of digits at {Run(run).kimg:g} kimg" in (
        other := refused("sample", "runs/other", "latent=found/latent.npz")
    )
    assert "is of other at 0.032 kimg" in other
