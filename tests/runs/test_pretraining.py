"""The runs that another one begins with: their commands, their part of its time, and when they are done."""

import pytest
import torch

from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.runs import pretraining
from transgan.runs.pretraining import Stage, begun, stand_in

POST = ["experiment=digits_post_trained", "metrics=none", "logger=none", "trainer=cpu"]
FLOW = ["experiment=digits_flow", *POST[1:]]
STUDENT = ["experiment=digits_student", *POST[1:]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Records the commands in place of running them; a dry run ends the chain."""
    commands = []
    monkeypatch.setattr(pretraining, "run", lambda overrides: commands.append(overrides) or 0)
    return commands


def plan(*more):
    arguments = [*POST, *more]
    return begun(compose("train", arguments), arguments)


def test_the_time_is_shared_by_all_runs(here, run, capsys):
    """Each command says its own plan, beside stand-ins for what is not there, which are gone after it."""
    assert plan("minutes=6", "dry_run=true")[2] == 0
    flow, student, gan = run
    assert flow == [*FLOW, "minutes=2", "dry_run=true"]
    assert student[:-2] == [*STUDENT, "minutes=2"] and student[-2].endswith("/digits_flow")
    assert gan[:-2] == [*POST, "minutes=2"] and gan[-2].endswith("/digits_student") and gan[-1] == "dry_run=true"
    assert not list(here.iterdir())
    out = " ".join(capsys.readouterr().out.split())
    assert "plan 2 minutes for each of 3 runs; checkpoint=RUN would leave all to this one" in out
    assert "begins with: transgan train experiment=digits_student metrics=none logger=none trainer=cpu minutes=2" in out
    assert "checkpoint=runs/digits_flow" in out


def test_without_a_time_each_has_its_own_length(here, run, capsys):
    assert plan("dry_run=true")[2] == 0
    assert run[0] == [*FLOW, "dry_run=true"] and "minutes" not in capsys.readouterr().out


def test_a_run_that_begins_with_one_that_is_named_has_all_of_the_time(here):
    arguments = [*POST, "minutes=65", "checkpoint=runs/flow"]
    config = compose("train", arguments)
    assert begun(config, arguments) == (config, arguments, None)


def trained(*overrides, kimg, minutes=None, patience=None):
    """What a run of these overrides leaves when it has seen so many images: an untrained checkpoint that says so."""
    stage = Stage(list(overrides), compose("train", list(overrides)))
    path = stand_in(stage, stage.folder.parent) / "checkpoints" / "last.ckpt"
    saved = torch.load(path) | {"images_seen": round(1000 * kimg), "arguments": list(overrides)}
    if minutes is not None:
        saved["chosen"] = {"arguments": [f"kimg={kimg}"], "minutes": minutes}
    torch.save(saved, path)


def test_what_is_there_is_taken_and_what_has_begun_goes_on_with_it(here, run):
    trained(*FLOW, kimg=60)
    trained(*STUDENT, "checkpoint=runs/digits_flow", kimg=60)
    config, arguments, code = plan()
    assert code is None and not run and arguments == [*POST, "checkpoint=runs/digits_student"]
    trained(*arguments, kimg=1)
    assert plan("seed=5")[1] == [*POST, "seed=5", "checkpoint=runs/digits_student"] and not run


def test_what_is_not_at_its_end_goes_on(here, run):
    trained(*FLOW, kimg=30)
    with pytest.raises(
        Exception, match="runs/digits_flow has stopped before its end; the same command goes on with it"
    ):
        plan()
    assert run == [FLOW]


def test_a_stand_in_has_the_shape_of_what_it_stands_for(here):
    trained(*FLOW, "algorithm.network.dim=32", kimg=1)
    trained(*STUDENT, "checkpoint=runs/digits_flow", kimg=1)
    saved = torch.load("runs/digits_student/checkpoints/last.ckpt")["config"]
    assert saved["algorithm"]["generator"]["dim"] == 32 and saved["num_classes"] == 10


@pytest.mark.parametrize("more, reason", [
    ("generator.dim=16", "generator.dim=16: the flow of checkpoint=runs/digits_student has dim"),
    ("resolution=12", None),  # what all of them have in common fits together
])  # fmt: skip
def test_what_contradicts_is_refused_before_anything_is_trained(here, run, more, reason):
    if reason is None:
        plan(more, "dry_run=true")
        assert len(run) == 3
        return
    with pytest.raises(UserError) as error:
        plan(more)
    assert more in str(error.value) and not run


def test_what_another_process_trains_is_waited_for_and_taken_only_if_it_is_the_same(here, run, monkeypatch, capsys):
    """As in a sweep over seeds whose jobs are beside each other."""
    looks = []

    def owner(folder):
        if folder.name != "digits_flow" or len(looks) > 1:
            return None
        looks.append(folder)
        if len(looks) == 2:
            trained(*FLOW, kimg=60)  # of seed 0, and gone with the next look
        return {"pid": 7, "host": "here"}

    monkeypatch.setattr(pretraining, "owner", owner)
    monkeypatch.setattr(pretraining, "LOOK", 0.01)
    with pytest.raises(UserError, match="has stopped before its end"):
        plan("seed=1", "name=other")
    assert "wait    for runs/digits_flow, which process 7 on here trains" in capsys.readouterr().out
    assert run == [[*FLOW, "seed=1", "name=other_flow"]]
