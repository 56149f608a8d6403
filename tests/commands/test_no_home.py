"""A user whom the system does not know, without $HOME: as in a container started with a number, or a bare scheduler."""

import os
import pwd
from pathlib import Path

import pytest

from transgan import files
from transgan.metrics.extractors import sources

EVALUATED = ["metrics=fast", "extractor=classifier", "extractor.steps=2", "kimg=0.032", "batch_size=16"]


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    def unknown(user):
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("HOME", "TRANSGAN_CACHE", "USER", "LOGNAME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(RuntimeError):
        Path.home()


@pytest.mark.slow
def test_every_command(inside, homeless, pictures, tiny_folder, tmp_path):
    """The cache is in the folder for temporary files, and nothing is written to a folder named ~."""
    pictures(tmp_path / "in")
    for words in (
        ["train", "in", *tiny_folder, *EVALUATED, "data.in_memory=false", "logger=tensorboard"],
        ["train", "in", *tiny_folder, *EVALUATED, "data.in_memory=false", "logger=tensorboard", "kimg=0.064"],
        ["evaluate", "runs/folder", "device=cpu"],
        ["sample", "runs/folder", "to=grid"],
        ["summary", "runs/folder"],
        ["train", "config=runs/folder/config.yaml", "name=again"],
        ["compare", "runs/folder", "runs/again", "num_samples=16"],
    ):
        code, out, err = inside(*words)
        assert code == 0, (words, out, err)
    kept = tmp_path / "temporary" / f"transgan-{os.getuid()}"
    assert {each.name for each in kept.iterdir()} >= {"reference", "checked"}
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("words", [
    ["train", "data.path=~/pictures", "experiment=folder"], ["train", "runs=~/runs"], ["train", "init_from=~"],
    ["train", "extractor=inception", "extractor.weights=~/w.pt"], ["evaluate", "~/runs/x"], ["sample", "run=~/x"],
    ["evaluate", "in", "against=~/x.npz"], ["compare", "~/a", "~/b"], ["summary", "~/a"], ["import-transgan", "~/a"],
])  # fmt: skip
def test_a_path_from_a_home_that_nobody_knows(refused, homeless, words, tmp_path):
    err = refused(*words)
    assert "this user has no home folder here; write the path without the ~" in err
    assert "Traceback" not in err and not (tmp_path / "~").exists()


def test_a_file_whose_name_begins_with_a_tilde(inside, homeless, tiny, tmp_path):
    code, out, err = inside("train", *tiny, "kimg=0.032", "runs=~x", "name=~y")
    assert code == 0 and (tmp_path / "~x" / "~y" / "stats.csv").exists(), err


def test_weights_of_others_have_a_place(homeless, tmp_path):
    assert sources.torch_hub("x.pth") == files.cache_folder("hub") / "checkpoints" / "x.pth"
