"""Training, evaluating and sampling from Python."""

import logging
import random
import shutil
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import transgan
from transgan.api import overrides, undone
from transgan.errors import UserError
from transgan.runs.folder import hush

PROJECT = Path(__file__).parent / "own_project"
TINY = {
    "trainer": "cpu", "logger": "none", "metrics": "fast", "extractor": "pixels", "batch_size": 32, "kimg": 0.064,
    "grid": 4, "threads": 1, "generator": {"dim": [16], "depth": [1], "num_heads": [2], "style_dim": 16},
    "discriminator": {"dim": [16], "depth": [1], "num_heads": [2]}, "metrics.num_samples": 64,
    "evaluate_at_start": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return transgan.train(**TINY, runs=tmp_path_factory.mktemp("runs"), name="first")


@pytest.mark.parametrize(
    "keys, arguments",
    [
        ({"kimg": 1, "mirror": True, "threads": None, "name": "a=b"}, ["kimg=1", "mirror=true", "threads=null", "name=a=b"]),
        ({"algorithm.gamma": 1.5, "generator": "vitgan"}, ["algorithm.gamma=1.5", "generator=vitgan"]),
        ({"generator": {"dim": [16, 8], "depth": (1, None)}}, ["generator.dim=[16, 8]", "generator.depth=[1, null]"]),
        ({"leak": {"_target_": "a.B", "x": "it's"}}, [r"leak={_target_: 'a.B', x: 'it\'s'}"]),
        ({"seeds": range(3)}, ["seeds=0,1,2"]), ({"seeds": "0-7"}, ["seeds=0-7"]), ({"class_": "cats"}, ["class=cats"]),
        ({"config_dir": Path("mine")}, ["--config-dir=mine"]), ({"runs": Path("a b")}, ["runs=a b"]),
        ({"seed": np.int64(3), "kimg": torch.tensor(2.0)}, ["seed=3", "kimg=2.0"]),
    ],
)  # fmt: skip
def test_arguments_are_those_of_the_command_line(keys, arguments):
    assert overrides(keys) == arguments


def test_a_run_has_its_numbers_and_its_module(run):
    assert run.folder.name == "first" and (run.folder / "checkpoints" / "last.ckpt").is_file()
    assert run.metrics["fd_pixels"] > 0
    assert run.module.generate([0, 1]).dtype == torch.uint8


def test_the_same_call_continues(run, capsys):
    again = transgan.train(**TINY | {"kimg": 0.096}, runs=run.folder.parent, name="first")
    assert again.folder == run.folder and "from 0.064" in capsys.readouterr().out


def test_evaluate_returns_numbers_with_their_protocol(run):
    found = transgan.evaluate(run, bounds=False, seed=3)
    assert found["fd_pixels"] > 0 and found.protocol["seed"] == 3 and found.protocol["id"] in found.protocol_line


def test_sample_returns_images_or_a_path(run, tmp_path):
    images = transgan.sample(run, seeds=[3, 5], class_=7)
    assert images.shape == (2, 1, 8, 8) and images.dtype == torch.uint8
    assert torch.equal(images[1:], transgan.sample(run.folder, seeds=5, class_="7"))
    assert transgan.sample(run, seeds=range(4), to="grid", out=tmp_path / "a.png") == tmp_path / "a.png"
    assert (tmp_path / "a.png").is_file()


def test_mistakes_are_exceptions(run, tmp_path):
    with pytest.raises(UserError) as error:
        transgan.train(kimgs=3, seed="x")
    assert str(error.value).splitlines() == [
        "kimgs is not an option; did you mean kimg?",
        "seed=x: it takes a whole number, 0 to 9,223,372,036,854,775,807",
    ]
    for call in (transgan.evaluate, transgan.sample):
        with pytest.raises(UserError, match="there is no run folder"):
            call(tmp_path / "none")
    with pytest.raises(UserError, match="no such class"):
        transgan.sample(run, class_="cats")
    with pytest.raises(UserError, match="neither an option"):
        transgan.train(tmp_path / "none")


def test_nothing_stays_changed_in_the_process(run):
    def state():
        root = logging.getLogger()
        signals = [signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")]
        numbers = torch.random.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
        return (
            root.handlers[:], root.level, signals, numbers, sys.path[:], torch.get_num_threads(), warnings.filters[:],
            warnings.showwarning, sys.stdout, sys.stderr, Path.cwd(),
        )  # fmt: skip

    before = state()
    transgan.train(**TINY | {"threads": 2, "kimg": 0.032}, runs=run.folder.parent, name="second")
    transgan.sample(run, seeds=1)
    transgan.evaluate(run, bounds=False)
    with pytest.raises(UserError):
        transgan.train(kimgs=3)
    assert state() == before


def test_ones_own_project(tmp_path, monkeypatch):
    """A generator, a loss, a data source, a metric and a callback: one file and one YAML each, in the current folder."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    small = {"trainer": "cpu", "logger": "none", "grid": 4, "metrics.num_samples": 64, "threads": 1,
             "discriminator": {"dim": [16], "depth": [1], "num_heads": [2]}}  # fmt: skip
    run = transgan.train(experiment="mine", kimg=0.064, **small)
    assert 0 < run.metrics["mean_level"] < 255  # of images, and so without the extractor in its name
    assert run.metrics["mean_distance_pixels"] > 0 and (run.folder / "steps.txt").read_text() == "2\n"
    transgan.train(experiment="mine", kimg=0.128, **small)
    assert (run.folder / "steps.txt").read_text() == "2\n"  # of the second process
    assert transgan.evaluate(run, bounds=False)["mean_distance_pixels"] > 0
    assert transgan.sample(run, seeds=range(2), class_="large").shape == (2, 1, 8, 8)
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(UserError, match=r"start in the folder whose conf/ names it.*TRANSGAN_TRUST=my_data.Discs:my_"):
        transgan.sample(tmp_path / "runs" / "mine")
    assert transgan.sample(tmp_path / "runs" / "mine", seeds=1, config_dir=tmp_path / "conf").shape == (1, 1, 8, 8)


def test_one_call_after_another_keeps_warnings_of_others_from_the_screen():
    shown = warnings.showwarning
    for _ in range(2):
        with undone():
            hush()
            assert warnings.showwarning is not shown  # logging has them
        assert warnings.showwarning is shown
