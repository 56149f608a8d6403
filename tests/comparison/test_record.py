"""What a run cost and how good it was, out of the files of a run folder; what may not stand in one table."""

import csv
import json
import math

import pytest
import torch

from transgan.comparison.charging import charge
from transgan.comparison.record import Record, leaks, mixed
from transgan.comparison.results import file_name
from transgan.comparison.tables import (
    budget_table,
    cell,
    claims_table,
    relative,
    require_same_runs,
    seconds_of,
    shown_metrics,
    speed,
    spread,
    table,
    values,
    write_csv,
)
from transgan.errors import UserError

CONFIG = {"algorithm": {}, "resolution": 8, "channels": 1, "holdout": 0.2, "num_classes": 10, "seed": 0}


@pytest.fixture
def run(tmp_path):
    """Writes what a run leaves: run(name, speeds of 1 kimg each, fd at each, configuration...)."""

    def make(name, speeds, fd=(), data="1234567890", by_cpu=None, clock="wall", **changes) -> Record:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        torch.save(
            {"state_dict": {}, "config": CONFIG | changes, "images_seen": 1000 * len(speeds), "data": data,
             "class_names": list("0123456789")},
            folder / "checkpoints" / "last.ckpt",
        )  # fmt: skip
        lines = [f"{i + 1},{99 * (i + 1)},{speed}" for i, speed in enumerate(speeds)]
        head = "kimg,seconds,images_per_second"
        if by_cpu is not None:
            head, lines = f"{head},images_per_cpu_second", [f"{a},{b}" for a, b in zip(lines, by_cpu, strict=True)]
        (folder / "stats.csv").write_text("\n".join([head, *lines]) + "\n")
        points = [
            {"kimg": i + 1, "seconds": 0, "metrics": {"fd": value}, "protocol": {"id": "aa"}}
            for i, value in enumerate(fd)
        ]
        points.append(
            {"kimg": len(fd), "seconds": 0, "metrics": {"fd": 99}, "protocol": {"id": "aa", "checkpoint": "best.ckpt"}}
        )
        (folder / "metrics.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
        return Record(folder, name, "images", 0, clock=clock)

    return make


def test_seconds_are_those_of_training_alone(run):
    record = run("a", [100, 200, 400])  # 1 kimg each: 10, 5 and 2.5 seconds
    assert record.seconds == pytest.approx(17.5)
    assert record.kimg == 3
    assert record.images_per_second == pytest.approx(3000 / 17.5)
    assert record.seconds_at(1.5) == pytest.approx(12.5)


def test_seconds_on_a_cpu(run):
    """A run that had half of a core, with one that says nothing of it and one of an earlier version."""
    record = run("a", [100, 200, 400], fd=[3.0, 2.0, 1.0], by_cpu=[200, 400, 800], clock="cpu")
    assert record.seconds == pytest.approx(17.5 / 2) and record.images_per_second == pytest.approx(6000 / 17.5)
    assert [pytest.approx(point.seconds) for point in record.curve("fd")] == [5, 7.5, 8.75]
    assert seconds_of([record]) == "CPU-seconds" and seconds_of([run("b", [100])]) == "seconds"
    resumed = run("c", [100, 200], by_cpu=["", 400], clock="cpu")
    assert math.isnan(resumed.seconds) and math.isnan(run("d", [100], clock="cpu").seconds)


def test_pretraining_is_paid_for(run):
    before = run("gpt", [1000, 1000])
    record = run("gan", [100, 200], fd=[4.0, 2.0])
    record.before = before
    assert record.kimg == 4 and record.seconds == pytest.approx(17) and record.own_kimg == 2
    assert record.images_per_second == pytest.approx(2000 / 15)  # its own
    assert [(p.kimg, pytest.approx(p.seconds), p.value) for p in record.curve("fd")] == [(3, 12, 4.0), (4, 17, 2.0)]


def test_pretraining_that_has_gone_on_costs_what_was_written(run):
    first = run("flow", [1000, 1000, 1000, 1000])
    record = run("student", [100])
    record.before = first
    written = {
        "path": str(first.path),
        "sha256": first.sha256,
        "images_seen": 2000,
        "seconds": {"wall": 9.0, "cpu": 5.0},
    }
    record.saved["begun_with"] = written | {"data": "1234567890", "holdout": 0.2, "begun_with": None}
    assert charge([record]) == [] and (record.kimg, record.seconds) == (3, pytest.approx(19))
    record.saved["begun_with"]["sha256"] = "0" * 64
    (note,) = charge([record])
    assert "which has changed since: its cost is that of the 2 kimg that it had then" in note
    record.saved["begun_with"] = first.counted = None  # of an earlier version
    assert charge([record]) == [] and record.kimg == 5


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"data": "x" * 10}, "other images (xxxxxxxx and 12345678)"),
        ({"holdout": 0.0, "data": "x" * 10}, "other images (holdout=0 and holdout=0.2)"), ({}, None),
    ],
)  # fmt: skip
def test_images_held_out_of_a_run_that_began_with_one_that_has_seen_them(run, changes, said):
    first, middle, last = run("a", [1], **changes), run("b", [1]), run("c", [1])
    middle.before, last.before = first, middle
    found = leaks([last])
    assert len(found) == (said is not None) and (said is None or said in found[0] and "/c began with " in found[0])


def test_a_speed_of_nothing_is_unknown(run):
    """Too slow for the one decimal that earlier versions wrote."""
    record = run("slow", [100, 0.0, 400])
    assert record.seconds_at(1) == pytest.approx(10) and math.isnan(record.seconds)
    assert math.isnan(record.images_per_second) and values([record], "seconds") == []
    assert run("crawl", [0.04]).seconds == pytest.approx(25_000)


def test_curves_leave_out_what_was_measured_after_the_training(run):
    assert [point.value for point in run("a", [100, 100], fd=[3.0, 2.0]).curve("fd")] == [3.0, 2.0]
    assert run("b", [100]).curve("fd") == []


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"resolution": 16}, "differ in resolution: 8 and 16"), ({"channels": 3}, "differ in channels: 1 and 3"),
        ({"data": "x" * 10}, "differ in training images: 12345678 and xxxxxxxx"), ({"num_classes": 0}, "differ in classes"),
    ],
)  # fmt: skip
def test_what_may_not_stand_in_one_table(run, changes, said):
    records = [run("a", [100]), run("b", [100]), run("c", [100], **changes)]
    assert mixed(records[:2]) == []
    (sentence,) = mixed(records)
    assert said in sentence and "/a and " in sentence and "/c " in sentence


def test_likelihoods_of_other_levels(run):
    def network(levels, part="tokens"):
        return {"network": {part: {"levels": levels}}}

    gan, gpt, vae = (
        run("gan", [9]),
        run("gpt", [9], algorithm=network(17)),
        run("vae", [9], algorithm=network(17, "observation")),
    )
    assert mixed([gan, gpt, vae]) == []
    (sentence,) = mixed([gan, gpt, vae, run("other", [9], algorithm=network(256))])
    assert "/gpt and " in sentence and "differ in the levels a pixel has in their likelihoods: 17 and 256" in sentence


def test_columns_and_cells(run, tmp_path):
    record = run("a", [100])
    record.metrics = {
        "fd_x": 1.0,
        "fd_x_heldout": 2.0,
        "kd_x": 3.0,
        "cs_x_std": 4.0,
        "recall_x": 0.5,
        "bad": float("nan"),
    }
    assert shown_metrics([record], "fd_x") == ["fd_x_heldout", "fd_x", "recall_x", "bad"]
    assert values([record], "recall_x") == [0.5] and values([record], "bad") == [] and values([record], "kimg") == [1.0]
    assert spread([1.0, 2.0, 3.0]) == "2 ± 1" and spread([0.5]) == "0.5" and spread([]) == "–"
    assert spread([1234.5, 1236.5]) == "1,236 ± 1.4" and spread([1000.0, 2000.0, 3000.0]) == "2,000 ± 1,000"
    assert table([["a", "b"], ["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert relative(tmp_path / "runs" / "a", tmp_path / "out") == "../runs/a"


NAMES = [
    "=cmd|'/c calc'!A0",
    "+1",
    "-2",
    "@sum(a1)",
    "\tx",
    " =x",
    "a,b",
    'say "a"',
    "two\nlines",
    "a|b",
    "<b>",
    "*x*",
    "a`b",
    "\\|",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_csv_holds_any_name_and_computes_none(run, tmp_path, name):
    record = run("plain", [100], fd=[2.0])
    record.system, record.metrics = name, {"fd": -1.5}
    record.evaluation = {"file": record.folder / "x.json", "protocol": {"id": "0a1b2c3d"}, "likelihood": None}
    write_csv(tmp_path / "comparison.csv", [record], {}, {name: {"generator": 7}}, tmp_path)
    with open(tmp_path / "comparison.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["system"].removeprefix("'") == name and row["fd"] == "-1.5" and row["run"] == "plain"
    assert not any(row["system"].startswith(sign) or row["system"].lstrip().startswith(sign) for sign in "=+-@")
    assert row["system"].startswith("'") == (name.lstrip()[0] in "=+-@" or name[0] == "\t")


@pytest.mark.parametrize("name", NAMES)
def test_markdown_holds_any_name(run, name):
    record = run("plain", [100], fd=[2.0])
    record.system, record.metrics = name, {"fd": 2.0}
    head, line, row = budget_table({name: [record]}, str, "fd", {}, {name: {"generator": 7}})
    assert len(unescaped(row)) == len(unescaped(head)) == len(unescaped(line)) and "\n" not in row
    assert "<b>" not in row
    rows = claims_table({"a": ("holds", [], [(name, "images")])}, {"a": {"says": name}}, str)
    assert len(rows) == 3 and all(len(unescaped(row)) == 5 for row in rows)


def unescaped(row):
    """The cells of a row of a table, with an empty one before and behind."""
    return row.replace("\\\\", "").replace("\\|", "").split("|")


def test_names_of_files(run):
    taken = set()
    names = ["real", "Real", "a/b", "a:b", "../x", "/tmp/x", "", "ä ö", "x" * 300, "x" * 301, "a|b"]
    files = [file_name(name, taken) for name in names]
    assert files[:5] == ["real", "Real_2", "a_b", "a_b_2", "_x"] and files[7] == "ä_ö"
    assert len({file.lower() for file in files}) == len(names)
    assert all(file and not set(file) & set("/\\:|") and len(file) < 200 for file in files)


def test_speeds_in_words():
    assert [speed(each) for each in (12345.6, 10, 9.96, 0.0412)] == ["12,346", "10", "10", "0.041"]
    assert cell("plain name_1") == "plain name_1"


def test_the_table_of_other_runs_is_not_overwritten(tmp_path):
    """The runs that a table is of are those in its column; a folder without a table is free."""
    runs = [Record(tmp_path / name, name, "images", 0) for name in ("one", "=two")]
    require_same_runs(runs, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "comparison.csv").write_text("system,run\na,../=two\nb,../one\n")
    require_same_runs(runs, tmp_path / "out")
    with pytest.raises(UserError, match=r"out holds the comparison of other runs \(../=two, ../one\); give another"):
        require_same_runs(runs[:1], tmp_path / "out")
    (tmp_path / "out" / "comparison.csv").write_text("mine")
    with pytest.raises(UserError):
        require_same_runs(runs, tmp_path / "out")
