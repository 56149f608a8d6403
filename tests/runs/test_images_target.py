"""`transgan evaluate IMAGES` asks for all it lacks at once, with one command that runs, and finds the run near them."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transgan.runs import nearby
from transgan.runs.proposals import typed

RUN = """name: {name}
resolution: {size}
channels: {channels}
data: {{_target_: transgan.data.Folder, path: {path}, resolution: {size}, channels: {channels}}}
extractor: {{_target_: transgan.metrics.extractors.{extractor}}}
metrics: {{}}
algorithm: {{_target_: transgan.training.adversarial.Adversarial}}
trainer: {{}}
"""
FEW = ["metrics=fast", "bounds=false", "device=cpu"]


def draw(folder, count=30, size=8, mode="RGB", seed=0):
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(count):
        shape = (size, size, 3) if mode == "RGB" else (size, size)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def near(tmp_path):
    """Writes the configuration of a run of tmp_path/runs: near(name, images, size, channels, extractor)."""

    def write(name, images, size=8, channels=3, extractor="Pixels", runs="runs"):
        folder = tmp_path / runs / name
        folder.mkdir(parents=True)
        text = RUN.format(name=name, path=tmp_path / images, size=size, channels=channels, extractor=extractor)
        (folder / "config.yaml").write_text(text)
        return folder

    return write


def proposed(err):
    """The words of the one command in backticks that is complete."""
    (line,) = [line for line in err.splitlines() if "command: `" in line]
    return shlex.split(line.partition("command: `")[2].rpartition("`")[0])[1:]


def test_the_only_run_near_says_what_to_compare_with(inside, near, tmp_path):
    draw(tmp_path / "real", 40, mode="L")
    draw(tmp_path / "made", seed=1)  # grey images of other programs are often saved in colour
    near("cats", "real", channels=1)
    near("large", "real", size=16)
    near("again", "real", channels=1)  # on the same images, and so no other choice
    near("gone", "nowhere")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.yaml").write_text("- nothing")
    code, out, err = inside("evaluate", "made", *FEW, "explain=true")
    assert code == 0, err
    assert "note    compared with what runs/again was trained on, the only such images of 8 px near" in out
    assert "data    real: 40 images" in out and "explain fd_pixels " in out
    (file,) = tmp_path.glob("made.*.evaluation.json")
    code, named, err = inside("evaluate", "made", *FEW, "against=runs/cats", f"out={tmp_path}/other.json")
    assert code == 0 and "note    compared" not in named, err
    assert [line for line in named.splitlines() if " fd_pixels " in line][0] in out and file.exists()


def test_colour_is_not_left_out_without_a_word(inside, near, tmp_path):
    draw(tmp_path / "grey", mode="L")
    draw(tmp_path / "made", seed=1)
    near("a", "grey", channels=1)
    words = ["evaluate", "made", *FEW]
    grey = "note    measured in grey, as runs/a is; channels=3 measures in colour, on both sides"
    for more in ([], ["against=runs/a"]):
        code, out, err = inside(*words, *more, f"out={tmp_path}/grey.json")
        assert code == 0 and grey in out, err
        code, out, err = inside(*words, *more, "channels=3", f"out={tmp_path}/colour.json")
        assert code == 0 and "in grey" not in out, err
    assert (tmp_path / "grey.json").read_text() != (tmp_path / "colour.json").read_text()
    draw(tmp_path / "coloured", seed=2)
    near("b", "coloured")
    code, out, err = inside(*words)
    assert code == 0 and "compared with what runs/b was trained on" in out and "in grey" not in out, err


@pytest.mark.parametrize(
    "words, those",
    [
        (["real"], "runs/mine was trained on"),
        (["real", "against=runs/mine"], "runs/mine was trained on"),
        (["copy", "against=real", "extractor=pixels"], "real holds"),
    ],
)
def test_images_that_are_compared_with_themselves_are_named(inside, near, tmp_path, words, those):
    draw(tmp_path / "real")
    draw(tmp_path / "copy")
    near("mine", "real")
    code, out, err = inside("evaluate", *words, *FEW)
    assert code == 0 and f"note    {words[0]} holds the very images that {those}: compared with themselves" in out, err
    assert f"`transgan evaluate {'runs/mine' if 'mine' in those else 'RUN'}` measures what a run makes" in out
    draw(tmp_path / "made", seed=1)
    code, out, err = inside("evaluate", "made", *words[1:], *FEW)
    assert code == 0 and "very images" not in out, err


def test_images_in_a_run_are_compared_with_what_that_run_was_trained_on(inside, near, tmp_path):
    draw(tmp_path / "real")
    draw(tmp_path / "others", seed=5)
    near("other", "others")
    run = near("mine", "real")
    draw(run / "made by others", seed=1)
    found = nearby.runs_near(run / "made by others")
    assert [each.path for each in found] == ["runs/mine"] and found[0].extractor["_target_"].endswith("Pixels")


def test_runs_are_looked_for_here_and_above_the_images(near, tmp_path, monkeypatch):
    draw(tmp_path / "deep" / "made")
    near("b", "real")
    near("a", "real")
    near("c", "real", runs="deep/runs")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = [Path(each.path) for each in nearby.runs_near(tmp_path / "deep" / "made")]
    assert found == [tmp_path / "deep/runs/c", tmp_path / "runs/a", tmp_path / "runs/b"]
    monkeypatch.chdir(tmp_path)
    assert [each.path for each in nearby.runs_near(tmp_path / "deep/made")][:2] == ["runs/a", "runs/b"]


def test_all_that_is_missing_is_asked_for_at_once(refused, inside, tmp_path):
    draw(tmp_path / "made ü")
    draw(tmp_path / "real", size=12, mode="L")
    err = refused("evaluate", "made ü", *FEW, "psi=0.5")
    assert len(err.splitlines()) == 4 and "say what to compare them with: against=FOLDER" in err
    assert "psi= is for runs" in err and "extractor=masked" in err
    assert proposed(err) == ["evaluate", "made ü", *FEW, "against=REAL_IMAGES", "extractor=masked"]
    err = refused("evaluate", "made ü", *FEW, "against=real")
    assert len(err.splitlines()) == 4 and "have 12 px" in err and "are grey" in err and "which features" in err
    command = proposed(err)
    assert command == ["evaluate", "made ü", *FEW, "against=real", "resolution=8", "channels=3", "extractor=masked"]
    code, out, err = inside(*command, "extractor.steps=2")
    assert code == 0, err


def test_one_that_is_missing_is_one_sentence_with_the_command(refused, inside, tmp_path):
    draw(tmp_path / "made")
    draw(tmp_path / "real", size=12)
    err = refused("evaluate", "made", *FEW, "against=real", "extractor=pixels")
    assert len(err.splitlines()) == 1 and inside(*proposed(err))[0] == 0


def test_several_runs_near_are_named_and_one_is_proposed(refused, inside, near, tmp_path):
    draw(tmp_path / "one")
    draw(tmp_path / "two", seed=1)
    draw(tmp_path / "made", seed=2)
    for name, images in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "two")):
        near(name, images)
    err = refused("evaluate", "made", *FEW)
    assert "near these 8 px are runs/a (8 px), runs/b (8 px), runs/c (8 px) and 1 more" in err
    assert proposed(err) == ["evaluate", "made", *FEW, "against=runs/a"]
    assert inside(*proposed(err))[0] == 0


def test_a_run_of_another_size_is_proposed_and_not_taken(refused, inside, near, tmp_path):
    draw(tmp_path / "real", size=16)
    draw(tmp_path / "made", seed=2)
    near("a", "real", size=16, extractor="Inception")
    err = refused("evaluate", "made", *FEW)
    assert proposed(err) == ["evaluate", "made", *FEW, "against=runs/a", "extractor=masked"]
    assert inside(*proposed(err), "extractor.steps=2")[0] == 0


def test_a_class_that_a_configuration_near_names_is_not_run(refused, near, tmp_path, monkeypatch):
    draw(tmp_path / "made")
    near("evil", "real")
    path = tmp_path / "runs/evil/config.yaml"
    path.write_text(path.read_text().replace("transgan.data.Folder", "evil.Data"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text("open('ran', 'w')\nclass Data:\n    pass\n")
    refused("evaluate", "made", *FEW, "against=runs/evil", "extractor=pixels")
    refused("evaluate", "made", *FEW)
    assert not (tmp_path / "ran").exists()


def test_a_command_is_typed_as_a_shell_reads_it():
    words = ["transgan", "report", "it's my run", "a=$b", "ü"]
    assert shlex.split(typed(*words)) == words
