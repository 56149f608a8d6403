"""A suite of some of its systems: the table keeps the others, whose runs are there."""

import json

import pytest

from transgan import files
from transgan.comparison.beside import keep_others
from transgan.comparison.suite import Suite
from transgan.errors import UserError

SYSTEMS = {
    "gan": {"train": ["a=gan"]},
    "flow": {"train": ["a=flow"]},
    "flow_4": {"like": "flow", "sample": {"steps": 4}},
}


def suite(folder, only, **changes):
    config = dict(
        name="test", seeds=[0, 1], budgets=["images"], kimg=10.0, seconds=60.0, points=5, common=[], pretraining={},
        systems=SYSTEMS, claims={},
    )  # fmt: skip
    return Suite(config | changes, folder, only)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A folder with a table of every system, and their runs, as far as they are looked at here."""
    monkeypatch.setattr("transgan.comparison.jobs.checkpoint.read", lambda path: {"images_seen": 10_000})
    whole = suite(tmp_path, None)
    for job in whole.jobs("images", None):
        (whole.runs / job.name / "checkpoints").mkdir(parents=True)
        (whole.runs / job.name / "checkpoints" / "last.ckpt").touch()
        (whole.runs / job.name / "env.json").write_text(json.dumps({"command": ["python", "train", *job.arguments]}))
    files.write_csv(tmp_path / "comparison.csv", [["system"], *([record.system] for record in whole.records())])
    return tmp_path


@pytest.mark.parametrize("only, others", [(["gan"], ["flow", "flow_4"]), (["flow"], ["gan", "flow_4"]),
                                          (["gan", "flow_4"], ["flow"]), (None, [])])  # fmt: skip
def test_the_table_keeps_other_systems(table, only, others):
    plans = suite(table, only)
    assert keep_others(plans) == others
    assert [record.system for record in plans.records()] == ["gan", "gan", "flow", "flow", "flow_4", "flow_4"]


def test_seeds_that_others_do_not_have_are_not_asked_of_them(table):
    plans = suite(table, ["gan"], seeds=[0, 1, 2])
    keep_others(plans)
    assert [record.system for record in plans.records()] == ["gan"] * 3 + ["flow"] * 2 + ["flow_4"] * 2


def test_one_that_is_like_another_goes_with_it_where_that_is_trained_anew(table):
    (table / "runs" / "flow-images-0" / "env.json").unlink()
    (table / "runs" / "flow-images-1" / "env.json").unlink()
    plans = suite(table, ["flow"])
    assert keep_others(plans) == ["gan", "flow_4"] and len(plans.records()) == 6
    with pytest.raises(UserError, match="holds the table of flow, flow_4 too"):
        keep_others(suite(table, ["gan"]))


def test_a_table_of_other_settings_is_not_written_over(table):
    with pytest.raises(UserError) as error:
        keep_others(suite(table, ["gan"], kimg=20.0))
    assert "holds the table of flow, flow_4 too" in str(error.value) and "out=comparisons/NAME" in str(error.value)


def test_without_a_table_there_is_nothing_to_keep(tmp_path):
    plans = suite(tmp_path, ["gan"])
    assert keep_others(plans) == [] and {record.system for record in plans.records()} == {"gan"}
