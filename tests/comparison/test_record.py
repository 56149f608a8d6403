"""What a run cost and how good it was, out of the files of a run folder; what may not stand in one table."""

import json

import pytest
import torch

from transgan.comparison.record import Record, mixed
from transgan.comparison.tables import relative, shown_metrics, spread, table, values

CONFIG = {"algorithm": {}, "resolution": 8, "channels": 1, "holdout": 0.2, "num_classes": 10, "seed": 0}


@pytest.fixture
def run(tmp_path):
    """Writes what a run leaves: run(name, speeds of 1 kimg each, fd at each, configuration...)."""

    def make(name, speeds, fd=(), data="1234567890", **changes) -> Record:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        torch.save(
            {"state_dict": {}, "config": CONFIG | changes, "images_seen": 1000 * len(speeds), "data": data,
             "class_names": list("0123456789")},
            folder / "checkpoints" / "last.ckpt",
        )  # fmt: skip
        lines = [f"{i + 1},{99 * (i + 1)},{speed}" for i, speed in enumerate(speeds)]
        (folder / "stats.csv").write_text("\n".join(["kimg,seconds,images_per_second", *lines]) + "\n")
        points = [{"kimg": i + 1, "seconds": 0, "metrics": {"fd": value}, "protocol": {"id": "aa"}} for i, value in enumerate(fd)]
        points.append({"kimg": len(fd), "seconds": 0, "metrics": {"fd": 99}, "protocol": {"id": "aa", "checkpoint": "best.ckpt"}})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
        return Record(folder, name, "images", 0)

    return make


def test_seconds_are_those_of_training_alone(run):
    record = run("a", [100, 200, 400])                  # 1 kimg each: 10, 5 and 2.5 seconds
    assert record.seconds == pytest.approx(17.5)
    assert record.kimg == 3
    assert record.images_per_second == pytest.approx(3000 / 17.5)
    assert record.seconds_at(1.5) == pytest.approx(12.5)


def test_pretraining_is_paid_for(run):
    before = run("gpt", [1000, 1000])
    record = run("gan", [100, 200], fd=[4.0, 2.0])
    record.before = before
    assert record.kimg == 4 and record.seconds == pytest.approx(17) and record.own_kimg == 2
    assert record.images_per_second == pytest.approx(2000 / 15)         # its own
    assert [(p.kimg, pytest.approx(p.seconds), p.value) for p in record.curve("fd")] == [(3, 12, 4.0), (4, 17, 2.0)]


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

    gan, gpt, vae = run("gan", [9]), run("gpt", [9], algorithm=network(17)), run("vae", [9], algorithm=network(17, "observation"))
    assert mixed([gan, gpt, vae]) == []
    (sentence,) = mixed([gan, gpt, vae, run("other", [9], algorithm=network(256))])
    assert "/gpt and " in sentence and "differ in the levels a pixel has in their likelihoods: 17 and 256" in sentence


def test_columns_and_cells(run, tmp_path):
    record = run("a", [100])
    record.metrics = {"fd_x": 1.0, "fd_x_heldout": 2.0, "kd_x": 3.0, "cs_x_std": 4.0, "recall_x": 0.5, "bad": float("nan")}
    assert shown_metrics([record], "fd_x") == ["fd_x_heldout", "fd_x", "recall_x", "bad"]
    assert values([record], "recall_x") == [0.5] and values([record], "bad") == [] and values([record], "kimg") == [1.0]
    assert spread([1.0, 2.0, 3.0]) == "2 ± 1" and spread([0.5]) == "0.5" and spread([]) == "–"
    assert spread([1234.5, 1236.5]) == "1,236 ± 1.4" and spread([1000.0, 2000.0, 3000.0]) == "2,000 ± 1,000"
    assert table([["a", "b"], ["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert relative(tmp_path / "runs" / "a", tmp_path / "out") == "../runs/a"
