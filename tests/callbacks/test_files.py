"""stats.csv, metrics.jsonl and pictures: what a resumed run keeps of them, and how they are laid out."""

import csv
import json
import math
import time
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from pytorch_lightning import Callback
from rich.console import Console
from torch import nn

from transgan import provenance
from transgan.callbacks import Evaluation, ProgressLine, Samples, SaveCheckpoints, Session, Stats, evaluation, stats
from transgan.callbacks import session as session_file
from transgan.callbacks.evaluation import append
from transgan.callbacks.samples import FORMATS, layout, save_grid
from transgan.callbacks.session import Clock

QUIET = Console(quiet=True)


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


def test_what_is_measured_after_a_step_joins_its_line(tmp_path):
    path = tmp_path / "stats.csv"
    for row in ({"kimg": 0.5, "loss": 2.5}, {"kimg": 1.0, "loss": 2.4}):
        stats.append(path, row)
    stats.append(path, {"kimg": 1.0, "loss": 2.4, "grid_spread": 0.5}, again=True)
    stats.append(path, {"kimg": 1.5, "loss": 2.3})
    assert path.read_text().split() == ["kimg,loss,grid_spread", "0.5,2.5,", "1.0,2.4,0.5", "1.5,2.3,"]


class FakeStrategy:
    root_device = torch.device("cpu")

    def broadcast(self, value):
        return value


def trainer(*callbacks):
    return SimpleNamespace(
        is_global_zero=True, world_size=1, global_rank=0, logger=None, loggers=[], strategy=FakeStrategy(), callback_metrics={},
        callbacks=list(callbacks), should_stop=False,
    )  # fmt: skip


def module(images, batch_size=100, **more):
    usual = {"num_classes": 0, "images_in_step": batch_size, "device": torch.device("cpu")}
    return SimpleNamespace(images_seen=images, nonfinite={"generator": 0}, **(usual | more))


def ready(callback, folder, kimg=1.0, network=None, **more):
    """The callback after its setup in a session of this length; the session is `callback.session`."""
    session = Session(folder, kimg, **more)
    callback.setup(trainer(session, callback), network or module(0), "fit")
    callback.session = session
    return callback


def step(callback, network, busy=0.0, busy_cpu=0.0):
    """Ends a step that took so many seconds of training, and so many of its threads on CPUs."""
    callback.session.clock.training += busy
    callback.session.clock.training_cpu += busy_cpu
    callback.on_train_batch_end(trainer(callback.session), network, None, None, 0)


def test_means_are_over_the_steps_that_logged_a_value(tmp_path):
    """The generator's loss comes in one of n_critic steps; a window may begin with it, or have none."""
    watch, seen = ready(Stats(0.002), tmp_path), module(0, batch_size=1, log_values={})
    watch.on_train_start(trainer(), seen)
    for count in range(8):
        seen.images_seen += 1
        seen.log_values = {"loss_d": count} | ({"loss_g": 10.0 * count} if count in (3, 4) else {}) | {"gamma": 1.0}
        if count == 5:  # a resume amid a window
            state, watch = watch.state_dict(), ready(Stats(0.002), tmp_path)
            watch.load_state_dict(state)
        step(watch, seen)
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


def test_stats_are_means_since_the_last_line(tmp_path):
    callback = ready(Stats(0.2), tmp_path)
    for count, value in enumerate((1.0, 2.0, 5.0, 9.0), start=1):
        step(callback, module(100 * count, log_values={"loss": value}))
    rows = [row.split(",") for row in (tmp_path / "stats.csv").read_text().split()]
    assert rows[0][:3] == ["kimg", "seconds", "loss"] and len(rows) == 3
    assert [(float(row[0]), float(row[2])) for row in rows[1:]] == [(0.2, 1.5), (0.4, 7.0)]


def test_open_sums_travel_in_the_checkpoint(tmp_path):
    first, second = ready(Stats(0.2), tmp_path), ready(Stats(0.2), tmp_path)
    step(first, module(100, log_values={"loss": torch.tensor(1.0)}))
    second.load_state_dict(first.state_dict())
    step(second, module(200, log_values={"loss": torch.tensor(4.0)}))
    assert second.latest["loss"] == 2.5


@pytest.mark.parametrize("key", ["Session", "Stats"])
def test_seconds_count_on_after_a_resume(tmp_path, key):
    """Earlier versions kept them with the statistics."""
    session = Session(tmp_path)
    assert 0 <= session.state_dict()["seconds"] < 60
    session.on_load_checkpoint(trainer(), module(0), {"callbacks": {key: {"seconds": 1000.0}}})
    assert 1000 <= session.clock.seconds < 1060


class Evaluator:
    primary = "fid"
    identity = ["fid", "ab", 100, 0, 1]
    with_heldout, num_samples = False, 100

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, generate, context):
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        return SimpleNamespace(numbers={"fid": value}, flags={})

    def prepare(self, dataset, heldout, device, main, conditional):
        assert not conditional

    def few(self):
        return None

    def protocol(self):
        return {"seed": 0}


def evaluations(tmp_path, evaluator, share=1.0):
    return ready(Evaluation(0.1, True, share), tmp_path, evaluator=evaluator, dataset=[], console=QUIET)


def test_the_best_is_the_lowest_finite(tmp_path):
    callback = evaluations(tmp_path, Evaluator(9.0, 5.0, math.nan, RuntimeError("out of memory"), 7.0, 4.0))
    network = module(0, generate=None, all_gather=None)
    callback.on_train_start(trainer(), network)
    improved = [callback.improved]
    for count in range(1, 6):
        network.images_seen = 100 * count
        step(callback, network)
        improved.append(callback.improved)
    assert improved == [True, True, False, False, False, True]
    assert callback.best == {"kimg": 0.5, "value": 4.0} and callback.first == {"fid": 9.0}
    written = [json.loads(each)["metrics"]["fid"] for each in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert written == [9.0, 5.0, None, None, 7.0, 4.0]


def test_the_best_of_another_evaluator_does_not_compare(tmp_path):
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
    callback.session.clock = SimpleNamespace(seconds=1.0, training=0.0, training_cpu=0.0)
    network = module(0, generate=None, all_gather=None)
    for images, spent in ((100, 0.0), (200, 0.2), (300, 0.3), (400, 0.25), (1000, 0.9)):  # of 1 second
        network.images_seen, callback.spent = images, spent
        step(callback, network)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == [0.1, 0.2, 0.4, 1.0]  # the last one in any case
    assert "no evaluation at 0.3 kimg: evaluations took 30 % of the time, and evaluate_share allows 25 %" in caplog.text
    with pytest.raises(ValueError, match="evaluate_share"):
        evaluations(tmp_path, Evaluator(), share=0)


@pytest.mark.parametrize("taken", [25.0, 1e4, 1e9, 0.0])
def test_however_slow_the_speed_is_not_zero(tmp_path, taken):
    callback = ready(Stats(0.1), tmp_path)
    network = module(100, log_values={"loss": 1.0})
    step(callback, network, taken)
    speed = callback.latest["images_per_second"]
    assert speed == pytest.approx(100 / max(taken, 1e-9), rel=1e-3) and speed > 0
    line = ready(ProgressLine(), tmp_path)
    assert " img/s  eta " in (said := line.speed(network, callback.latest)) and not said.startswith("0 ")
    for unknown in (0.0, float("nan")):  # of a file of an earlier version, or made by hand
        assert line.speed(network, {"images_per_second": unknown}).endswith("eta unknown")
    assert ready(ProgressLine(), tmp_path, kimg=math.inf).speed(network, callback.latest).endswith("eta unknown")


def test_the_clock_tells_time_that_goes_by_from_time_on_a_cpu():
    clock = Clock()
    time.sleep(0.2)
    clock.callbacks_begin()
    assert clock.training >= 0.2 and clock.training_cpu < 0.1
    while time.process_time() < clock.mark_cpu + 0.1:  # busy, and not in training
        pass
    clock.callbacks_end()
    while time.process_time() < clock.mark_cpu + 0.1:
        pass
    clock.callbacks_begin()
    assert 0.1 <= clock.training_cpu < 0.2


def test_the_speed_by_the_time_on_a_cpu_is_written_where_it_means_something(tmp_path):
    callback = ready(Stats(0.1), tmp_path)
    step(callback, module(100, log_values={"loss": 1.0}), 10.0, 4.0)
    step(callback, module(200, log_values={"loss": 1.0}), 10.0, 5.0)
    assert callback.latest["images_per_second"] == 10 and callback.latest["images_per_cpu_second"] == 20
    step(callback, module(300, log_values={"loss": 1.0}, device=torch.device("meta")), 10.0, 5.0)
    assert "images_per_cpu_second" not in callback.latest


def test_the_speed_counts_the_images_there_were(tmp_path):
    callback, shown = ready(Stats(0.1), tmp_path), 0
    for count in (60, 30, 10):
        shown += count
        step(callback, module(shown, log_values={"loss": 1.0}, images_in_step=count), 1.0)
    assert callback.latest["images_per_second"] == pytest.approx(100 / 3, rel=1e-3)
    resumed = ready(Stats(0.1), tmp_path)  # amid a line: what came before took other time
    resumed.load_state_dict(callback.state_dict() | {"steps": 5})
    step(resumed, module(200, log_values={"loss": 1.0}, images_in_step=10), 1.0)
    assert resumed.latest["images_per_second"] == pytest.approx(10, rel=1e-3)


def test_training_is_what_happens_between_callbacks(tmp_path, monkeypatch):
    """Wherever a slow callback stands, in whichever hook: before a step, after it, or when training starts."""
    clock = [0.0]
    monkeypatch.setattr(session_file.time, "monotonic", lambda: clock[0])

    class Slow(Callback):
        def on_train_start(self, trainer, module):
            clock[0] += 100

        on_train_batch_start = on_train_batch_end = lambda self, *arguments: self.on_train_start(None, None)

    for place in range(3):
        callbacks = [Stats(0.1), ProgressLine()]
        callbacks.insert(place, Slow())
        session = Session(tmp_path, 1.0, console=QUIET)
        everyone = trainer(*session.around(callbacks))
        network = module(0, log_values={"loss": 1.0})
        for callback in everyone.callbacks:
            callback.setup(everyone, network, "fit")
        for callback in everyone.callbacks:
            callback.on_train_start(everyone, network)
        for _ in range(3):
            clock[0] += 1  # for the batch
            for callback in everyone.callbacks:
                callback.on_train_batch_start(everyone, network, None, 0)
            clock[0] += 3  # for the step
            network.images_seen += 100
            for callback in everyone.callbacks:
                callback.on_train_batch_end(everyone, network, None, None, 0)
            assert callbacks[0 if place else 1].latest["images_per_second"] == 25.0
        assert session.clock.training == 12.0 and session.clock.seconds > 600


def test_checkpoints_come_after_what_has_a_state(tmp_path):
    save, line, stats = SaveCheckpoints(1.0), ProgressLine(), Stats(1.0)
    session = Session(tmp_path)
    assert session.around([line, save, stats]) == [session, stats, save, line, session.last]


def test_callbacks_without_a_session_say_what_they_lack():
    with pytest.raises(ValueError, match=r"Session\(folder, kimg\)\.around"):
        Stats(1.0).setup(trainer(), module(0), "fit")


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
    with pytest.raises(ValueError, match="a grid of images has a name that ends in .png, "):
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


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 16, 64, 100, 144])
@pytest.mark.parametrize("classes", [0, 1, 2, 3, 5, 7, 10, 13, 15, 20, 37, 100, 1000])
def test_a_grid_is_near_square_whatever_the_number_of_classes(count, classes):
    columns, labels = layout(count, classes)
    rows = -(-count // columns)
    assert max(columns, rows) <= 2 * min(columns, rows)
    if not classes:
        assert labels is None
        return
    seen = labels.bincount(minlength=classes)
    assert len(labels) == count and len(seen) == classes and seen.count_nonzero() == min(count, classes)
    assert seen.max() - seen.min() <= max(1, columns // classes)  # a last row may lack some
    if columns % classes == 0:  # each class has columns of its own
        for column in range(columns):
            assert labels[column::columns].unique().numel() <= 1


def test_classes_have_columns_where_the_grid_stays_square():
    columns, labels = layout(100, 10)
    assert columns == 10 and labels.view(10, 10).eq(torch.arange(10)).all()
    columns, labels = layout(100, 2)
    assert columns == 10 and labels.view(10, 10).eq(torch.tensor([0] * 5 + [1] * 5)).all()
    columns, labels = layout(64, 1000)
    assert columns == 8 and labels[:3].tolist() == [0, 15, 31] and labels[-1] == 984  # spread over all classes
    assert layout(49, 0) == (7, None) and layout(100, 20)[0] == 10 and layout(16, 21)[0] == 4


class Numbered:
    """Images that are their own numbers, of classes that stand one after the other as folders do."""

    def __init__(self, labels):
        self.labels = torch.tensor(labels)

    def __len__(self):
        return len(self.labels)

    def __getitems__(self, chosen):
        return torch.tensor(chosen), self.labels[chosen]


def test_reals_stand_in_the_same_layout_and_are_spread_over_each_class(tmp_path):
    data = Numbered([0] * 30 + [1] * 3 + [2] * 300)
    callback = ready(Samples(1.0, 36), tmp_path, network=module(0, num_classes=3), dataset=data)
    chosen = callback.reals()
    assert data.labels[chosen].tolist() == callback.labels.tolist()
    of_first, of_last = (chosen[data.labels[chosen] == k].tolist() for k in (0, 2))
    assert of_first == sorted(set(of_first)) and len(of_first) == 12 and of_first[0] <= 2 and of_first[-1] >= 27
    assert of_last[0] - 33 < 25 and of_last[-1] > 307 and len(set(of_last)) == 12
    assert set(chosen[data.labels[chosen] == 1].tolist()) == {30, 31, 32}


def test_reals_without_classes_are_spread_over_the_set(tmp_path):
    callback = ready(Samples(1.0, 4), tmp_path, dataset=Numbered([0] * 12))
    assert callback.reals().tolist() == [1, 4, 7, 10]
    assert ready(Samples(1.0, 9), tmp_path, dataset=Numbered([0] * 3)).reals().tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_a_class_that_lost_its_images_to_the_held_out_ones_is_grey(tmp_path):
    callback = ready(Samples(1.0, 4), tmp_path, network=module(0, num_classes=2), dataset=Numbered([1] * 5))
    assert callback.reals().tolist() == [128, 1, 128, 3]


def test_pictures_are_of_the_same_seeds_and_named_by_kimg(tmp_path):
    asked = []

    def generate(seeds, labels):
        asked.append((seeds, labels.tolist()))
        return torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8)

    callback = ready(Samples(2.0, 70), tmp_path, kimg=9.0, network=module(0, num_classes=3))
    for images in (1900, 2000, 2100, 4000):
        step(callback, module(images, generate=generate))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["000002.png", "000004.png"]
    for images in (5900, 6064):  # what no batch shows whole
        step(callback, module(images, generate=generate))
    assert (tmp_path / "samples" / "000006_064.png").exists()
    assert asked[:2] == asked[2:4] and [len(seeds) for seeds, _ in asked] == [64, 6] * 3
    assert asked[1] == (list(range(64, 70)), layout(70, 3)[1][64:].tolist())


class Taking:
    """A logger whose experiment takes images, or fails to."""

    def __init__(self, error=None):
        self.taken, self.error, self.experiment = [], error, self

    def add_image(self, name, image, step):
        if self.error is not None:
            raise self.error
        self.taken.append((name, tuple(image.shape), image.dtype, step))


def test_loggers_that_take_images_get_the_grids(tmp_path, caplog):
    data = Numbered([0] * 4)
    data.__class__ = type("Images", (Numbered,), {
        "__getitems__": lambda self, chosen: (torch.zeros(len(chosen), 1, 8, 8, dtype=torch.uint8), None)
    })  # fmt: skip
    callback = ready(Samples(1.0, 4), tmp_path, kimg=9.0, dataset=data)
    taking, failing = Taking(), Taking(TypeError("another add_image"))
    others = [SimpleNamespace(), SimpleNamespace(experiment=None), SimpleNamespace(experiment=SimpleNamespace())]
    watching = trainer(callback.session)
    watching.loggers = [*others, failing, taking]
    network = module(0, generate=lambda seeds, labels: torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8))
    callback.on_train_start(watching, network)
    network.images_seen = 1000
    callback.on_train_batch_end(watching, network, None, None, 0)
    shape = (3, 2 * 42 + 2, 2 * 42 + 2)
    assert taking.taken == [
        ("samples/real", shape, torch.uint8, 0), ("samples/generated", shape, torch.uint8, 0),
        ("samples/generated", shape, torch.uint8, 1000),
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {"reals.png", "000000.png", "000001.png"}
    assert caplog.text.count("Taking failed: another add_image; training goes on") == 1


@pytest.mark.parametrize("tells", [True, False])
def test_a_grid_says_what_made_it_unless_it_is_not_to(tells, tmp_path, capsys):
    network = module(
        500, num_classes=3, ema=nn.Linear(1, 1), labels_of=lambda seeds: torch.zeros(len(seeds)).long(),
        generate=lambda seeds, labels: torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8),
    )  # fmt: skip
    known = {"config": {"name": "many/cats"}, "class_names": ["a", "b", "c"]}
    callback = ready(Samples(1.0, 9, provenance=tells), tmp_path, network=network, facts=known)
    callback.write(trainer(), network)
    path = tmp_path / "samples" / "000000_500.png"
    assert ("provenance=false: nothing in the grids" in capsys.readouterr().out) != tells
    if not tells:
        with pytest.raises(ValueError, match="does not say how it was made"):
            provenance.read(path)
        return
    facts = provenance.read(path)
    assert facts["run"] == "many/cats" and facts["kimg"] == 0.5 and facts["seeds"] == list(range(9))
    assert facts["labels"] == [0, 1, 2] * 3 and facts["classes"] == ["a", "b", "c"] * 3 and facts["columns"] == 3
    assert facts["weights_sha256"] == provenance.weights_hash(network.ema.state_dict())
