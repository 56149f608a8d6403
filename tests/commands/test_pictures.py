"""Pictures on the command line: several of them, a run in their place, classes by name, a run that goes on elsewhere."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.runs import images
from transgan.runs.sampling import choose_labels


class Module:
    num_classes = 6

    def labels_of(self, seeds):
        return seeds


def label(word, names):
    module = Module()
    module.num_classes = len(names)
    return int(choose_labels(word, [0], names, module)[0])


@pytest.mark.parametrize(
    "names, word, place",
    [
        (["1", "10", "11", "12", "2", "3"], "2", 4),
        (["1", "10", "11", "12", "2", "3"], 12, 3),
        (["0", "2", "3"], "3", 2),
        (["1", "cats"], "1", 0),
        (["cats", "dogs"], "1", 1),
        (["cats", "dogs"], "dogs", 1),
        (["-1", "+1"], "1", 1),
        (["0", "1", "2"], "1", 1),
        (["007", "008"], "008", 1),
    ],
)
def test_a_class_is_named_by_its_name(names, word, place):
    assert label(word, names) == place


@pytest.mark.parametrize(
    "names, word",
    [
        (["1", "10", "11", "12", "2", "3"], "4"),
        (["1", "10", "11", "12", "2", "3"], "0"),
        (["0", "2", "3"], "1"),
        (["1", "cats"], "0"),
        (["007", "008"], "7"),
        (["007", "008"], "1"),
        (["cats", "dogs"], "2"),
        (["cats", "dogs"], "-1"),
        (["cats", "dogs"], "\u00b2"),
        (["cats", "dogs"], ""),
    ],
)
def test_a_number_that_is_another_class_is_refused(names, word):
    with pytest.raises(UserError, match="there is no such class") as caught:
        label(word, names)
    assert ", ".join(names) in str(caught.value)


def pictures_of(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / name)


@pytest.mark.parametrize(
    "words, says",
    [
        (["cats", "dogs"], "cats, dogs: train takes one folder or zip; move them into one folder"),
        (["cats", "cats.zip", "dogs", "birds"], "cats, cats.zip, dogs and 1 more: train takes one folder or zip"),
        (["cats", "dogs/1.png"], "cats, dogs/1.png: train takes one"),
        (["data.path=cats", "dogs"], "cats, dogs: train takes one"),
        (["cats", "data.path=dogs"], "cats, dogs: train takes one"),
        (["cats", "missing"], "missing is neither an option (key=value) nor a folder or zip of images"),
        (["cats/1.png"], "cats/1.png: train takes a folder or a zip, not single files; give the folder that holds them: "
                         "transgan train cats"),
        (["cats/1.png", "cats/2.png", "cats/3.png", "cats/4.png"], "cats/3.png and 1 more: train takes a folder"),
        (["1.png"], "give the folder that holds them: transgan train ."),
    ],
)  # fmt: skip
def test_several_pictures(tmp_path, monkeypatch, words, says):
    pictures_of(
        tmp_path, [f"{folder}/{i}.png" for folder in ("cats", "dogs", "birds") for i in range(1, 5)] + ["1.png"]
    )
    with zipfile.ZipFile(tmp_path / "cats.zip", "w") as archive:
        archive.write(tmp_path / "1.png", "1.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        compose("train", words)
    assert len(caught.value.findings) == 1 and says in str(caught.value)


@pytest.mark.parametrize("command", ["evaluate", "sample", "summary", "import-transgan"])
def test_several_runs(command):
    with pytest.raises(UserError, match="runs/a, runs/b: .* one"):
        compose(command, ["runs/a", "runs/b"])
    assert compose("compare", ["runs/a", "runs/b"]).run == ["runs/a", "runs/b"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_folder, pictures):
    """A run of a few steps on streamed pictures. -> (folder to work in, options)"""
    from transgan.cli import main

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trained")
        patch.chdir(folder)
        patch.setenv("TRANSGAN_CACHE", str(folder / "cache"))
        pictures(folder / "p")
        options = [*tiny_folder, "kimg=0.032", "data.in_memory=false"]
        assert main(["train", "p", *options]) == 0
    return folder, options


@pytest.fixture
def work(trained, tmp_path):
    """A copy of that folder to work in, where `inside` starts commands. -> the options"""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    return trained[1][:-1]


@pytest.mark.parametrize(
    "key, says",
    [("against", "give data=folder data.path=.* in the place of against="), ("heldout", "save those in .* with 8 bits"),
     ("", "save those in .* with 8 bits")],
)  # fmt: skip
def test_what_cannot_be_known_is_asked_for_in_the_words_of_the_command(tmp_path, key, says):
    Image.fromarray(np.eye(8, dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=f"say what is white by data.white=1.*{says}"):
        images.images_at(tmp_path, 8, 1, key)


def test_a_run_goes_on_with_the_same_images_elsewhere(work, inside, tmp_path):
    shutil.make_archive(tmp_path / "zipped", "zip", tmp_path / "p")
    shutil.copytree(tmp_path / "p", tmp_path / "q", copy_function=shutil.copyfile)
    roads = (["p", "data.in_memory=true"], ["q", "data.in_memory=false"], ["zipped.zip"])
    for i, words in enumerate(roads):
        code, out, err = inside("train", *words, *work, f"kimg={0.064 + 0.032 * i}")
        assert code == 0, err
        assert f"plan    to {0.064 + 0.032 * i:g} kimg, from {0.032 + 0.032 * i:g}" in out


@pytest.mark.parametrize("change", ["another pixel", "another class", "one less"])
def test_and_not_with_others(work, refused, tmp_path, change):
    if change == "another pixel":
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "p" / "a" / "3.png")
    elif change == "another class":
        (tmp_path / "p" / "b" / "0.png").rename(tmp_path / "p" / "a" / "9.png")
    else:
        (tmp_path / "p" / "b" / "7.png").unlink()
    err = refused("train", "p", *work, "kimg=0.064")
    assert "(other images)" in err and "force=true" in err


def test_a_run_or_what_lies_in_it_is_no_pictures(work, refused, tmp_path):
    run = "runs/folder"
    assert "is a run written by transgan, not images" in refused("train", run, *work)
    for path, says in ((run, "is a run written by transgan"), (f"{run}/samples", "grids of images"),
                       (f"{run}/checkpoints/last.ckpt", "is a checkpoint written by transgan")):  # fmt: skip
        for key in ("against", "heldout"):
            err = refused("evaluate", run, "metrics=fast", f"{key}={path}", "extractor=pixels")
            assert f"{key}=" in err and says in err and f"transgan sample {tmp_path / run}" in err
    assert "grids of images" in refused("evaluate", f"{run}/samples", "against=p")


def test_pictures_with_runs_inside_are_trained_on_twice(work, inside, tmp_path):
    shutil.move(tmp_path / "runs", tmp_path / "p" / "runs")
    code, out, err = inside("train", "p", *work, "runs=p/runs", "kimg=0.064")
    assert code == 0 and "Left out runs/folder: written by transgan." in out, err
    code, out, _ = inside("sample", "p/runs/folder", "seeds=0-1", "out=p/drawn")
    assert code == 0 and "run" in json.loads((tmp_path / "p" / "drawn" / "index.json").read_text())
    code, out, err = inside("train", "p", *work, "runs=p/runs", "kimg=0.096")
    assert code == 0 and "Left out drawn, runs/folder: written by transgan." in out and "16 images" in out, err
    assert inside("train", "p/drawn", *work, "name=other")[0] == 0


def test_a_grid_among_the_pictures_is_named(work, inside, refused, tmp_path):
    assert inside("sample", "runs/folder", "seeds=0-3", "to=grid", "out=p/a/grid.png")[0] == 0
    shutil.copy(tmp_path / "runs/folder/samples/reals.png", tmp_path / "p/b")
    err = refused("train", "p", *work, "name=other")
    assert "2 of 18 images" in err and "a/grid.png: a grid of generated images made by transgan" in err
    assert "b/reals.png: a grid of generated images" in err


def test_the_data_line_says_what_was_taken_for_classes(work, inside, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(tmp_path / "p", tmp_path / "parts" / part)
    code, out, _ = inside("train", "parts", *work, "name=parts")
    assert code == 0 and "16 images, 2 classes (a 8, b 8) by folder" in out and "Left out test 16" in out
    code, out, _ = inside("train", "p", *work, "name=none", "data.labels=none")
    assert code == 0 and "16 images, no labels" in out


@pytest.mark.parametrize("word", [".", "..", "./", "../b"])
def test_images_in_the_current_folder_have_a_name(tmp_path, monkeypatch, word):
    from omegaconf import OmegaConf

    from transgan.runs.images_target import ImagesTarget

    (tmp_path / "b" / "x").mkdir(parents=True)
    for i in range(2):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "b" / "x" / f"{i}.png")
    monkeypatch.chdir(tmp_path / "b" / "x" if word == ".." else tmp_path / "b")
    rest = {
        "channels": None,
        "psi": 1.0,
        "temperature": 1.0,
        "ema": True,
        "checkpoint": "best",
        "seed": None,
        "against": str(tmp_path / "b" / "x"),
        "out": None,
        "resolution": None,
        "num_real": None,
        "extractor": {"_target_": "transgan.metrics.extractors.Pixels"},
    }
    target = ImagesTarget(OmegaConf.create({"run": word} | rest))
    assert target.name == "b"
    written = target.write(OmegaConf.create({"out": None}), {"protocol": {"id": "0123"}})
    assert (tmp_path / "b.0123.evaluation.json").samefile(written)
