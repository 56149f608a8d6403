"""stats.csv, metrics.jsonl and pictures: what a resumed run keeps of them, and how they are laid out."""

import csv
import json
import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from transgan.callbacks import evaluation, stats
from transgan.callbacks.evaluation import Evaluation, append
from transgan.callbacks.interval import Interval
from transgan.callbacks.progress import ProgressLine
from transgan.callbacks.samples import FORMATS, Samples, layout, save_grid
from transgan.callbacks.stats import Stats


def test_stats_beyond_the_checkpoint_are_taken_out(tmp_path):
    path = tmp_path / "stats.csv"
    path.write_text("kimg,seconds,loss\n0.5,1,2.5\n1.0,2,2.4\n1.5,3,2.3\n")
    stats.keep_until(path, 1.0)
    assert path.read_text().split() == ["kimg,seconds,loss", "0.5,1,2.5", "1.0,2,2.4"]
    assert [each.name for each in tmp_path.iterdir()] == ["stats.csv"]


def test_a_torn_line_of_stats_is_taken_out(tmp_path):
    path = tmp_path / "stats.csv"
    for torn in ("1.0,2", "1", ""):
        path.write_text(f"kimg,seconds,loss\n0.5,1,2.5\n{torn}")
        stats.keep_until(path, 9.0)
        assert path.read_text().split() == ["kimg,seconds,loss", "0.5,1,2.5"]


def test_stats_from_the_beginning_and_without_a_file(tmp_path):
    path = tmp_path / "stats.csv"
    stats.keep_until(path, 1.0)
    assert not path.exists()
    for text in ("", "kimg,sec", "kimg,seconds,loss\n0.5,1,2.5\n"):
        path.write_text(text)
        stats.keep_until(path, 0.0)
        assert path.read_text() == ""  # the header is written again with the first line


def test_means_are_over_the_steps_that_logged_a_value(tmp_path):
    """The generator's loss comes in one of n_critic steps; a window may begin with it, or have none."""
    watch, seen = Stats(tmp_path, Interval(0.002, 1.0)), SimpleNamespace(images_seen=0, batch_size=1, nonfinite={})
    watch.on_train_start(trainer(), seen)
    for step in range(8):
        seen.images_seen += 1
        seen.log_values = {"loss_d": step} | ({"loss_g": 10.0 * step} if step in (3, 4) else {}) | {"gamma": 1.0}
        if step == 5:  # a resume amid a window
            state, watch = watch.state_dict(), Stats(tmp_path, Interval(0.002, 1.0))
            watch.load_state_dict(state)
        watch.on_train_batch_end(trainer(), seen, None, None, step)
    with open(tmp_path / "stats.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss_d"]) for row in rows] == [0.5, 2.5, 4.5, 6.5]
    assert [row["loss_g"] for row in rows] == ["", "30.0", "40.0", ""]
    assert [row["gamma"] for row in rows] == ["1.0"] * 4 and not list(tmp_path.glob("*.tmp"))


def line(kimg):
    return json.dumps({"kimg": kimg, "seconds": 1.0, "metrics": {"fid": 2.0}, "protocol": {}}) + "\n"


@pytest.mark.parametrize("torn", ["", '{"kimg": 0.5, "sec', "null", "7", "[]", "{}"])
def test_metrics_beyond_the_checkpoint_and_torn_lines_are_taken_out(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(0.5) + line(1.0) + line(1.5) + torn)
    evaluation.keep_until(path, 1.0)
    assert path.read_text() == line(0.5) + line(1.0)
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_metrics_without_a_file(tmp_path):
    evaluation.keep_until(tmp_path / "metrics.jsonl", 1.0)
    assert not list(tmp_path.iterdir())


def test_what_is_not_finite_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append(path, 1.5, 2.00049, {"fid": math.nan, "is": 3.0}, {"seed": 0})
    append(path, 2.0, 3.0, {"fid": math.inf}, {})
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {"kimg": 1.5, "seconds": 2.0, "metrics": {"fid": None, "is": 3.0}, "protocol": {"seed": 0}}
    assert second["metrics"] == {"fid": None}


class FakeStrategy:
    def broadcast(self, value):
        return value


def trainer():
    return SimpleNamespace(is_global_zero=True, world_size=1, global_rank=0, logger=None, strategy=FakeStrategy())


def module(images, **more):
    return SimpleNamespace(images_seen=images, batch_size=100, nonfinite={"generator": 0}, **more)


def test_stats_are_means_since_the_last_line(tmp_path):
    callback = Stats(tmp_path, Interval(kimg=0.2, total=1.0))
    for step, value in enumerate((1.0, 2.0, 5.0, 9.0), start=1):
        callback.on_train_batch_end(trainer(), module(100 * step, log_values={"loss": value}), None, None, step)
    rows = [row.split(",") for row in (tmp_path / "stats.csv").read_text().split()]
    assert rows[0][:3] == ["kimg", "seconds", "loss"] and len(rows) == 3
    assert [(float(row[0]), float(row[2])) for row in rows[1:]] == [(0.2, 1.5), (0.4, 7.0)]


def test_open_sums_travel_in_the_checkpoint(tmp_path):
    first = Stats(tmp_path, Interval(kimg=0.2, total=1.0))
    first.on_train_batch_end(trainer(), module(100, log_values={"loss": torch.tensor(1.0)}), None, None, 0)
    second = Stats(tmp_path, Interval(kimg=0.2, total=1.0))
    second.load_state_dict(first.state_dict())
    second.on_train_batch_end(trainer(), module(200, log_values={"loss": torch.tensor(4.0)}), None, None, 1)
    assert second.latest["loss"] == 2.5 and second.seconds >= first.before


class Evaluator:
    primary = "fid"
    identity = ["fid", "ab", 100, 0, 1]

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, generate, context):
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        return SimpleNamespace(numbers={"fid": value}, flags={})

    def protocol(self):
        return {"seed": 0}


def evaluations(tmp_path, evaluator, share=1.0):
    alone = SimpleNamespace(rank=0, world_size=1, gather=None, together=nullcontext)
    seconds = SimpleNamespace(seconds=1.0)
    return Evaluation(tmp_path, Interval(kimg=0.1, total=1.0), evaluator, lambda **_: None, alone, True, share, seconds)


def test_the_best_is_the_lowest_finite(tmp_path):
    callback = evaluations(tmp_path, Evaluator(9.0, 5.0, math.nan, RuntimeError("out of memory"), 7.0, 4.0))
    network = module(0, generate=None, all_gather=None)
    callback.on_train_start(trainer(), network)
    improved = [callback.improved]
    for step in range(1, 6):
        network.images_seen = 100 * step
        callback.on_train_batch_end(trainer(), network, None, None, step)
        improved.append(callback.improved)
    assert improved == [True, True, False, False, False, True]
    assert callback.best == {"kimg": 0.5, "value": 4.0} and callback.first == {"fid": 9.0}
    written = [json.loads(each)["metrics"]["fid"] for each in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert written == [9.0, 5.0, None, None, 7.0, 4.0]


def test_the_best_of_another_evaluator_does_not_count(tmp_path):
    callback, other = evaluations(tmp_path, Evaluator()), evaluations(tmp_path, Evaluator())
    callback.best = {"kimg": 0.5, "value": 4.0}
    other.load_state_dict(callback.state_dict())
    assert other.best == callback.best
    other = evaluations(tmp_path, Evaluator())
    other.evaluator.identity = ["fid", "ab", 5000, 0, 1]
    other.load_state_dict(callback.state_dict())
    assert other.best is None


def test_evaluations_take_no_more_than_their_share(tmp_path, caplog):
    callback = evaluations(tmp_path, Evaluator(4.0, 3.0, 2.0, 1.0), share=0.25)
    network = module(0, generate=None, all_gather=None)
    for images, spent in ((100, 0.0), (200, 0.2), (300, 0.3), (400, 0.25), (1000, 0.9)):  # of stats.seconds = 1
        network.images_seen, callback.spent = images, spent
        callback.on_train_batch_end(trainer(), network, None, None, 0)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == [0.1, 0.2, 0.4, 1.0]  # the last one in any case
    assert "no evaluation at 0.3 kimg: evaluations took 30 % of the time, and evaluate_share allows 25 %" in caplog.text
    with pytest.raises(ValueError, match="evaluate_share"):
        evaluations(tmp_path, Evaluator(), share=0)


@pytest.mark.parametrize("taken", [25.0, 1e4, 1e9, 0.0])
def test_however_slow_the_speed_is_not_zero(tmp_path, monkeypatch, taken):
    callback, clock = Stats(tmp_path, Interval(kimg=0.1, total=1.0)), [0.0]
    monkeypatch.setattr(stats.time, "monotonic", lambda: clock[0])
    callback.resume_clock()
    clock[0] += taken
    network = module(100, log_values={"loss": 1.0})
    callback.on_train_batch_end(trainer(), network, None, None, 0)
    speed = callback.latest["images_per_second"]
    assert speed == pytest.approx(100 / max(taken, 1e-9), rel=1e-3) and speed > 0
    line = ProgressLine(1.0, callback, None, None, Interval(1.0, 1.0), None)
    assert " img/s  eta " in line.speed(network, callback.latest) and not line.speed(
        network, callback.latest
    ).startswith("0 ")
    for unknown in (0.0, float("nan")):  # of a file of an earlier version, or made by hand
        assert line.speed(network, {"images_per_second": unknown}).endswith("eta unknown")


def test_the_speed_counts_the_images_there_were(tmp_path, monkeypatch):
    callback, clock = Stats(tmp_path, Interval(kimg=0.1, total=1.0)), [0.0]
    monkeypatch.setattr(stats.time, "monotonic", lambda: clock[0])
    callback.resume_clock()
    shown = 0
    for count in (60, 30, 10):
        clock[0] += 1
        shown += count
        network = module(shown, log_values={"loss": 1.0}, images_in_step=count)
        callback.on_train_batch_end(trainer(), network, None, None, 0)
    assert callback.latest["images_per_second"] == pytest.approx(100 / 3, rel=1e-3)
    resumed = Stats(tmp_path, Interval(kimg=0.1, total=1.0))  # amid a line: what came before took other time
    resumed.load_state_dict(callback.state_dict() | {"steps": 5})
    resumed.resume_clock()
    clock[0] += 1
    resumed.on_train_batch_end(trainer(), module(200, log_values={"loss": 1.0}, images_in_step=10), None, None, 0)
    assert resumed.latest["images_per_second"] == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("suffix", [*FORMATS, ".PNG", ".Jpg"])
def test_a_picture_is_what_its_suffix_says(tmp_path, suffix):
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    save_grid(images, tmp_path / f"grid{suffix}", 2)
    with Image.open(tmp_path / f"grid{suffix}") as grid:
        assert grid.format == FORMATS[suffix.lower()][0] and grid.size == (86, 86)
        pixel = torch.tensor(grid.convert("RGB").getpixel((50, 60)))
        assert (pixel - images[3, :, 16, 6]).abs().max() <= (60 if "j" in suffix.lower() else 0)


@pytest.mark.parametrize("name", ["grid.gif", "grid", "grid.png.tmp", "v1.5", "grid.pdf"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="a picture has a name that ends in .png, "):
        save_grid(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), tmp_path / name, 1)
    for images in (torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(1, 1, 8, 8).long()):
        with pytest.raises(ValueError, match="is made of uint8 images N x C x H x W"):
            save_grid(images, tmp_path / "grid.png", 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels, size, factor", [(1, 8, 5), (3, 32, 1), (3, 64, 1)])
def test_a_grid_is_as_large_as_its_images(tmp_path, channels, size, factor):
    images = torch.randint(0, 256, (6, channels, size, size), dtype=torch.uint8)
    path = tmp_path / "samples" / "000000.png"
    save_grid(images, path, columns=3)
    side = factor * size + 2
    grid = Image.open(path)
    assert grid.size == (3 * side + 2, 2 * side + 2)
    assert [each.name for each in path.parent.iterdir()] == ["000000.png"]
    corner = 2 + side  # the fifth image is in row 1, column 1
    expected = tuple(images[4, :, 0, 0].tolist()) * (3 // channels)
    assert grid.getpixel((corner, corner)) == expected
    assert grid.getpixel((0, 0)) == (128, 128, 128)


def test_layout():
    columns, labels = layout(100, 10)
    assert columns == 10 and labels.view(10, 10).eq(torch.arange(10)).all()  # a column per class
    assert layout(49, 0) == (7, None) and layout(1, 0) == (1, None)
    columns, labels = layout(64, 1000)
    assert columns == 8 and labels.tolist() == list(range(64))
    assert layout(20, 20)[0] == 20 and layout(16, 21)[0] == 4


def test_reals_stand_in_the_same_layout(tmp_path):
    class Data:
        labels = torch.tensor([0, 1, 2] * 4)

        def __len__(self):
            return 12

        def __getitems__(self, chosen):
            return torch.tensor(chosen), self.labels[chosen]

    callback = Samples(tmp_path, Interval(1.0, 1.0), Data(), 3, 9)
    chosen = callback.reals().tolist()
    assert [k % 3 for k in chosen] == [0, 1, 2] * 3 and len(set(chosen)) == 9
    free = Samples(tmp_path, Interval(1.0, 1.0), Data(), 0, 4)
    assert free.reals().tolist() == [0, 3, 7, 11]


def test_pictures_are_of_the_same_seeds_and_named_by_kimg(tmp_path):
    asked = []

    def generate(seeds, labels):
        asked.append((seeds, labels.tolist()))
        return torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8)

    callback = Samples(tmp_path, Interval(kimg=2.0, total=9.0), None, 3, 70)
    for images in (1900, 2000, 2100, 4000):
        callback.on_train_batch_end(trainer(), module(images, generate=generate), None, None, 0)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["000002.png", "000004.png"]
    for images in (5900, 6064):  # what no batch shows whole
        callback.on_train_batch_end(trainer(), module(images, generate=generate), None, None, 0)
    assert (tmp_path / "samples" / "000006_064.png").exists()
    assert asked[:2] == asked[2:4] and [len(seeds) for seeds, _ in asked] == [64, 6] * 3
    assert asked[1] == (list(range(64, 70)), [k % 3 for k in range(64, 70)])
