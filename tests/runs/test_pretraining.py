"""The runs that another one begins with: their commands, their part of its time, and when they are done."""

import pytest
import torch

from transgan.config.compose import compose
from transgan.runs import pretraining
from transgan.runs.pretraining import begun, chain, shared_out, stand_in

POST = ["experiment=digits_post_trained", "metrics=none", "logger=none", "trainer=cpu"]


def stages_of(*words):
    arguments = [*POST, *words]
    return shared_out(chain(compose("train", arguments), arguments))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(place, kimg, length, minutes=None):
    """A checkpoint of which nothing but its length is looked at."""
    path = place / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    algorithm = {"_target_": "transgan.training.student.Student"}
    torch.save({
        "state_dict": {}, "config": {"algorithm": algorithm, "kimg": length}, "images_seen": round(1000 * kimg),
        "chosen": {"arguments": [f"kimg={length}"], "minutes": minutes}, "format": 10**6,
    }, path)  # fmt: skip


def test_the_time_is_that_of_all_runs():
    """In proportion to their kimg: 60, 60 and 10."""
    stages = stages_of("minutes=65")
    assert [each.config.name for each in stages] == ["digits_flow", "digits_student", "digits_post_trained"]
    assert [each.minutes for each in stages] == [30, 30, 5]
    assert stages[-1].arguments[-1] == "minutes=5" and "minutes=65" not in stages[-1].arguments
    assert stages[1].arguments[-1] == "minutes=60" and stages[0].arguments[-1] == "minutes=30"
    assert [each.minutes for each in stages_of("hours=6.5")] == [180, 180, 30]
    assert [each.minutes for each in stages_of()] == [None] * 3
    assert not any(word.startswith("minutes") for each in stages_of() for word in each.arguments)


@pytest.mark.parametrize("minutes", [1, 7, 0.123, 60])
def test_every_command_of_the_chain_shares_it_alike(minutes):
    """That of an earlier run takes its own part of what it is given: so the same command finds it done."""
    whole = stages_of(f"minutes={minutes}")
    words = whole[1].arguments
    part = shared_out(chain(compose("train", words), words))
    assert [each.minutes for each in part] == [each.minutes for each in whole[:2]]
    assert part[0].arguments[-1] == whole[0].arguments[-1]
    assert sum(each.minutes for each in whole) == pytest.approx(minutes, rel=1e-3)


def test_a_run_that_begins_with_one_that_is_named_has_all_of_the_time(here):
    arguments = [*POST, "minutes=65", "checkpoint=runs/flow"]
    config = compose("train", arguments)
    assert begun(config, arguments) == (config, arguments, None)


@pytest.mark.parametrize("kimg, length, minutes, done", [
    (2.0, 2.0, 30.0, True),  # of this very time, as long as that made it
    (1.0, 2.0, 30.0, False), (2.0, 2.0, 10.0, False), (2.0, 2.0, None, False), (60.0, 60.0, None, True),
])  # fmt: skip
def test_a_run_of_this_time_is_done_at_its_own_length(here, monkeypatch, kimg, length, minutes, done):
    monkeypatch.setattr(pretraining.checkpoint, "read", lambda path: torch.load(path))
    trained = []
    monkeypatch.setattr(pretraining, "run", lambda words: trained.append(words) or 0)
    saved(here / "runs" / "digits_student", kimg, length, minutes)
    arguments = [*POST, "minutes=65"]
    config, words, code = begun(compose("train", arguments), arguments)
    assert code is None and words[-2:] == ["minutes=5", "checkpoint=runs/digits_student"] and config.minutes == 5
    assert trained == ([] if done else [["experiment=digits_student", *POST[1:], "minutes=60"]])
    saved(here / "runs" / "digits_post_trained", 0.1, 10.0, 5.0)  # has begun: goes on with the same part
    assert begun(compose("train", arguments), arguments)[1] == words and len(trained) == (not done)


def test_a_dry_run_goes_through_the_stages(here, monkeypatch, capsys):
    """Each command says its own plan, this one beside a stand-in for what is not there, which is gone after it."""
    commands = []

    def run(words):
        commands.append(words)
        if words[-1].startswith("checkpoint="):
            place = words[-1].partition("=")[2]
            found = pretraining.checkpoint.read(pretraining.checkpoint.find(place))
            assert found["images_seen"] == 0 and "callbacks" not in found["config"]
            commands.append(place)
        return 0

    monkeypatch.setattr(pretraining, "run", run)
    arguments = [*POST, "minutes=65", "dry_run=true"]
    assert begun(compose("train", arguments), arguments)[2] == 0
    first, present, place = commands
    assert first == ["experiment=digits_student", *POST[1:], "minutes=60", "dry_run=true"]
    assert present == [*POST, "dry_run=true", "minutes=5", f"checkpoint={place}"]
    assert not (here / place).exists() and not (here / "runs").exists()
    said = " ".join(capsys.readouterr().out.split())
    assert "65 minutes for all, by the kimg of each: digits_flow 30, digits_student 30, digits_post_trained 5" in said


def test_a_stand_in_has_the_shape_of_what_it_stands_for(tmp_path):
    place = stand_in(stages_of()[:-1], tmp_path)
    kept = torch.load(place / "checkpoints" / "last.ckpt")
    assert place.name == "digits_student" and kept["config"]["num_classes"] == 10
    teacher = torch.load(tmp_path / "digits_flow" / "checkpoints" / "last.ckpt")["config"]["algorithm"]["network"]
    assert kept["config"]["algorithm"]["generator"]["dim"] == teacher["dim"]
