"""The runs that an experiment begins with, trained first where they are not there."""

import json
import signal
import time

import pytest
import torch
from PIL import Image

import transgan
from transgan.config import own
from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.runs.pretraining import linked, named


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture
def project(tmp_path):
    """Small versions of the experiments, in a conf/ of one's own: their kimg is what the tests give."""
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "first.yaml").write_text(
        "# @package _global_\ndefaults: [/experiment/digits_flow@_here_]\nname: first\nkimg: 0.32\nbatch_size: 32\n"
        "log_every: 0.064\ngrid: 4\nalgorithm: {network: {dim: 16, depth: 1, num_heads: 2}}\n"
    )
    (folder / "second.yaml").write_text(
        "# @package _global_\ndefaults: [/experiment/digits_student@_here_]\nname: second\nkimg: 0.32\nbatch_size: 32\n"
        "log_every: 0.064\ngrid: 4\npretraining: [experiment=first]\nalgorithm: {teacher_steps: 2}\n"
    )
    (folder / "third.yaml").write_text(
        "# @package _global_\ndefaults: [/experiment/digits_post_trained@_here_]\nname: third\nkimg: 0.064\n"
        "batch_size: 32\ngrid: 4\npretraining: [experiment=second]\ndiscriminator: {dim: [16], depth: [1], num_heads: [2]}\n"
    )
    (folder / "round.yaml").write_text(
        "# @package _global_\ndefaults: [/experiment/second@_here_]\nname: round\npretraining: [experiment=round]\n"
    )
    return tmp_path


COMMON = ["metrics=none", "logger=none", "trainer=cpu"]


def test_what_is_missing_is_trained_first(transgan_process, project):
    done = transgan_process("train", "experiment=second", *COMMON, cwd=project)
    assert done.returncode == 0 and not done.stderr, done.stderr
    out = done.stdout
    assert (
        out.index("first   transgan train experiment=first metrics=none")
        < out.index("run runs/first")
        < out.index("then    second, which begins with runs/first")
        < out.rindex("start   generator from the flow of")
    )
    assert saved(project / "runs/first")["images_seen"] == saved(project / "runs/second")["images_seen"] == 320
    assert json.loads((project / "runs/second/env.json").read_text())["command"][-1] == "checkpoint=runs/first"
    again = transgan_process("train", "experiment=second", *COMMON, "kimg=0.352", cwd=project)
    assert again.returncode == 0 and "first   " not in again.stdout, again.stdout + again.stderr
    assert saved(project / "runs/second")["images_seen"] == 352


def test_nothing_is_first_where_nothing_takes_its_weights(transgan_process, project):
    words = ["experiment=digits_post_trained", "generator=one_step", *COMMON, "kimg=0.064", "batch_size=32", "grid=4"]
    done = transgan_process("train", *words, cwd=project)
    assert done.returncode == 0 and "first   " not in done.stdout, done.stdout + done.stderr
    assert [path.name for path in (project / "runs").iterdir()] == ["digits_post_trained"]


def test_both_see_the_images_that_are_given(transgan_process, project):
    (project / "pictures").mkdir()
    for i in range(40):
        Image.new("L", (8, 8), 255 * i // 40).save(project / "pictures" / f"{i}.png")
    levels = project / "conf/experiment/first.yaml"
    levels.write_text(levels.read_text().replace("num_heads: 2", "num_heads: 2, levels: 256"))
    words = ["pictures", "experiment=third", *COMMON]
    done = transgan_process("train", *words, "dry_run=true", "minutes=3", cwd=project)
    assert done.returncode == 0 and not (project / "runs").exists(), done.stdout + done.stderr
    first, second = (line for line in done.stdout.splitlines() if line.startswith("plan    first"))
    given = "pictures metrics=none logger=none trainer=cpu minutes=1"
    assert f"transgan train experiment=first {given} name=pictures_flow" in first
    assert f"experiment=second {given} checkpoint=runs/pictures_flow name=pictures_student" in second
    assert done.stdout.count("cost    ") == 3, done.stdout
    done = transgan_process("train", *words, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    names = ("pictures_flow", "pictures_student", "pictures")
    assert sorted(path.name for path in (project / "runs").iterdir()) == sorted(names)
    every = [saved(project / "runs" / name) for name in names]
    assert len({each["data"] for each in every}) == 1 and [each["images_seen"] for each in every] == [320, 320, 64]


def first_of(*words):
    """The commands of what would be first, in the current folder."""
    whole = ["experiment=second", *COMMON, *words]
    config = compose("train", whole)
    return [stage.overrides for stage in named(linked(config, whole), str(config.name))]


def test_what_is_there_otherwise_is_left_and_not_taken(transgan_process, project, monkeypatch):
    """Seeds are independent, and what one has held out no other one has seen before."""
    done = transgan_process("train", "experiment=first", *COMMON, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.chdir(project)
    assert first_of() == first_of("kimg=9", "generator.dim=16") == [["experiment=first", *COMMON]]
    for more in ("seed=1", "holdout=0.1", "precision=bf16-mixed", "data.limit=100"):
        assert first_of(more, "name=other") == [["experiment=first", *COMMON, more, "name=other_flow"]]
    (project / "runs/other_flow").symlink_to(project / "runs/first")
    with pytest.raises(UserError) as error:
        first_of("holdout=0.1", "name=other")
    assert "runs/other_flow holds a run with other settings (holdout: 0.2 -> 0.1)" in str(error.value)
    assert "checkpoint=runs/other_flow to begin with it as it is" in str(error.value)


def test_a_run_that_begins_with_itself_is_refused(refused, project, monkeypatch):
    monkeypatch.chdir(project)
    assert "a run that begins with itself has no beginning" in refused("train", "experiment=round", *COMMON)


@pytest.mark.parametrize("way", ["--config-dir=mine", "hydra.searchpath=[file://mine]"])
def test_experiments_of_another_folder_are_found_for_all(way, project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "conf").rename(project / "mine")
    with own.allowed([way]):
        assert first_of(way) == [["experiment=first", *COMMON, way]]


def test_what_is_first_ends_with_a_command_that_is_killed_and_the_same_command_goes_on(transgan_process, project):
    words = ["train", "experiment=second", *COMMON]
    process = transgan_process.start(*words, cwd=project)
    log, end = project / "runs/first/stats.csv", time.monotonic() + 60
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.communicate(60)
    done = transgan_process(*words, cwd=project)  # at once, while the other one may train still
    assert done.returncode == 0 and saved(project / "runs/second")["images_seen"] == 320, done.stdout + done.stderr


def test_from_python_a_mistake_in_what_is_first_is_an_error_with_its_command(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(UserError, match="was not trained: transgan train experiment=first .*resolution=7"):
        transgan.train(experiment="second", trainer="cpu", logger="none", metrics="none", resolution=7)


def test_a_mistake_in_what_is_first_ends_both(transgan_process, project):
    (project / "runs/first/checkpoints").mkdir(parents=True)
    (project / "runs/first/checkpoints/last.ckpt").write_bytes(b"no checkpoint")
    done = transgan_process("train", "experiment=second", *COMMON, cwd=project)
    assert done.returncode == 2 and "Traceback" not in done.stderr and not (project / "runs/second").exists()


def test_a_signal_ends_both_and_both_go_on(transgan_process, project):
    words = ["train", "experiment=second", *COMMON]
    process = transgan_process.start(*words, cwd=project)
    log, end = project / "runs/first/stats.csv", time.monotonic() + 60
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(60)
    assert process.returncode == 128 + signal.SIGTERM and "stopped" in out, out
    assert not (project / "runs/second").exists()
    done = transgan_process(*words, cwd=project)
    assert done.returncode == 0 and saved(project / "runs/second")["images_seen"] == 320, done.stdout + done.stderr
