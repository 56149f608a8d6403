"""Callbacks composed by Hydra: left out, replaced, and added, from Lightning and from a user's own module."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

SHORT = ["kimg=0.256", "log_every=0.064", "sample_every=0.128", "checkpoint_every=0.128"]
PIXELS = ["metrics=fast", "extractor=pixels", "metrics.num_samples=20", "evaluate_every=0.064", "evaluate_share=1",
          "data.limit=100"]  # fmt: skip
LIGHTNING = "pytorch_lightning.callbacks"


@pytest.fixture
def train(inside, tiny, tmp_path):
    """Trains a tiny run: train(*overrides) -> (its folder, stdout, stderr)."""

    def run(*overrides, code=0):
        found, out, err = inside("train", *tiny, *SHORT, *overrides)
        assert found == code, out + err
        return tmp_path / "runs" / "digits", out, err

    return run


@pytest.fixture
def module_of_the_user(tmp_path, monkeypatch):
    """Writes my_callbacks.py into the current folder, from where it can be imported: module_of_the_user(source)."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)
    head = "from pytorch_lightning import Callback\nfrom transgan.callbacks import Session\n"
    yield lambda source: (tmp_path / "my_callbacks.py").write_text(head + source)
    sys.modules.pop("my_callbacks", None)


def speeds(run):
    with open(run / "stats.csv") as file:
        return [float(row["images_per_second"]) for row in csv.DictReader(file)]


def test_callbacks_can_be_left_out(train):
    run, out, _ = train(*(f"callbacks.{name}=null" for name in ("stats", "samples", "checkpoints", "progress")))
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "env.json", "log.txt"]
    assert "done    0.256 kimg" in out and "kimg  " not in out and "look" not in out and "next" not in out
    assert "good    not measured: the run has no evaluation" in out


def test_progress_needs_no_statistics(train):
    _, out, _ = train("callbacks.stats=null")
    assert "0.0/0.256" in out and "img/s" in out


def test_a_run_that_saves_nothing_does_not_say_that_it_did(train, module_of_the_user):
    module_of_the_user(
        "class Enough(Callback):\n"
        "    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):\n"
        "        trainer.should_stop = module.images_seen >= 64\n"
    )
    _, out, _ = train("callbacks.checkpoints=null", "+callbacks.enough={_target_: my_callbacks.Enough}")
    assert "stopped at 0.064 kimg and not saved, because the run has no callbacks.checkpoints" in out
    run, out, _ = train("+callbacks.enough={_target_: my_callbacks.Enough}")
    assert "stopped at 0.064 kimg and saved; the same command continues" in out
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["images_seen"] == 64


@pytest.mark.slow
def test_where_a_slow_callback_stands_changes_no_speed(train, module_of_the_user):
    module_of_the_user(
        "import time\n"
        "class Slow(Callback):\n"
        "    def __init__(self, seconds): self.seconds = seconds\n"
        "    def on_train_batch_start(self, trainer, module, batch, batch_idx): time.sleep(self.seconds)\n"
        "    def on_train_batch_end(self, *arguments): time.sleep(self.seconds)\n"
    )
    run, _, _ = train("+callbacks.slow={_target_: my_callbacks.Slow, seconds: 0.4}", "log_every=0.128", "kimg=0.128")
    assert max(speeds(run)) > 32 / 0.8  # what a batch of 32 images would have, were its sleep counted


def test_a_callback_finds_the_run_in_its_session(train, module_of_the_user):
    module_of_the_user(
        "class Mine(Callback):\n"
        "    def __init__(self, name): self.name = name\n"
        "    def setup(self, trainer, module, stage):\n"
        "        session = Session.of(trainer)\n"
        "        self.path, self.data = session.folder / self.name, session.dataset\n"
        "    def on_train_end(self, trainer, module):\n"
        "        self.path.write_text(f'{len(self.data)} images, {module.images_seen} shown')\n"
    )
    run, _, _ = train("+callbacks.mine={_target_: my_callbacks.Mine, name: mine.txt}", "data.limit=100")
    assert (run / "mine.txt").read_text() == "100 images, 256 shown"


def test_what_is_no_callback_is_refused(train):
    _, _, err = train("+callbacks.mine={_target_: transgan.schedules.Linear, start: 1, end: 0, kimg: 1}", code=2)
    assert "callbacks.mine: transgan.schedules.Linear is not a pytorch_lightning.Callback" in err


def test_early_stopping_on_an_evaluations_metric(train):
    words = f"+callbacks.early={{_target_: {LIGHTNING}.EarlyStopping, monitor: fd_pixels, patience: 1, min_delta: 1e6}}"
    run, out, _ = train(*PIXELS, words, "evaluate_at_start=false")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.064, 0.128]  # the second is not better by a million
    assert "Monitored metric fd_pixels did not improve" in out
    assert "stopped at 0.128 kimg and saved; the same command continues" in out


def test_model_checkpoint_keeps_the_best_evaluations(train, inside):
    words = (
        f"+callbacks.top={{_target_: {LIGHTNING}.ModelCheckpoint, monitor: fd_pixels, save_top_k: 2, "
        "dirpath: top, filename: '{step}'}"
    )
    train(*PIXELS, words, "evaluate_at_start=false")
    saved = sorted(Path("top").glob("*.ckpt"))
    assert len(saved) == 2
    code, out, err = inside("sample", saved[0], "seeds=0-3", "to=grid", "out=grid.png")
    assert code == 0 and Path("grid.png").exists(), err


@pytest.mark.parametrize("callback", [
    "LearningRateMonitor, logging_interval: step", "RichProgressBar", "TQDMProgressBar", "Timer",
    "ModelSummary", "DeviceStatsMonitor",
])  # fmt: skip
def test_lightnings_own_callbacks_run(train, callback):
    train(f"+callbacks.added={{_target_: {LIGHTNING}.{callback}}}", "logger=tensorboard", "kimg=0.064")


def test_tensorboard_shows_the_grids_at_the_steps_of_its_scalars(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, _, _ = train(*PIXELS, "logger=tensorboard", "kimg=0.128", "sample_every=0.064", "log_every=0.064")
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert {event.step for event in events.Images("samples/real")} == {0}
    steps = {event.step: event for event in events.Images("samples/generated")}
    assert list(steps) == [0, 64, 128]
    assert [event.step for event in events.Scalars("train/images_per_second")] == [64, 128]
    assert [event.step for event in events.Scalars("eval/fd_pixels")] == [0, 64, 128]
    assert {name.partition("/")[0] for name in events.Tags()["scalars"]} == {"train", "eval"}
    assert yaml.safe_load((run / "tensorboard" / "hparams.yaml").read_text())["loss._target_"].endswith(".Relativistic")
    for step, name in ((0, "000000"), (128, "000000_128")):
        shown = Image.open(io.BytesIO(steps[step].encoded_image_string)).convert("RGB")
        with Image.open(run / "samples" / f"{name}.png") as grid:
            assert shown.tobytes() == grid.convert("RGB").tobytes()


def test_a_saved_configuration_follows_its_keys(train, inside, tmp_path):
    run, _, _ = train(f"+callbacks.rates={{_target_: {LIGHTNING}.Timer}}", "callbacks.progress=null")
    code, out, err = inside("train", f"config={run}/config.yaml", "name=again", "sample_every=1", "log_every=0.128")
    assert code == 0 and "kimg  " not in out, err
    again = tmp_path / "runs" / "again"
    assert len(speeds(again)) == 2 and len(list((again / "samples").glob("0*.png"))) == 2
    saved = torch.load(again / "checkpoints" / "last.ckpt", weights_only=True)
    assert "callbacks" not in saved["config"] and saved["watched_by"]["rates"] == {"_target_": f"{LIGHTNING}.Timer"}


def test_an_old_configuration_has_the_usual_callbacks(train, inside, tmp_path):
    run, _, _ = train("callbacks=none")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config.pop("callbacks") == {}
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(config))
    assert inside("train", "config=old.yaml", "name=again")[0] == 0
    assert len(speeds(tmp_path / "runs" / "again")) == 4


def test_the_users_resume_file_says_what_may_change(train, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "resume.yaml").write_text("fixed: [callbacks.rates]\nfree: [batch_size]\n")
    train(f"+callbacks.rates={{_target_: {LIGHTNING}.Timer}}")
    _, _, err = train("kimg=0.32", "callbacks.samples=null", "batch_size=16", code=2)
    assert "callbacks.rates._target_: pytorch_lightning.callbacks.Timer -> absent" in err
    assert "callbacks.samples" not in err and "batch_size" not in err
    (tmp_path / "conf" / "resume.yaml").write_text("free: batch_size\n")
    _, _, err = train("kimg=0.32", code=2)
    assert "conf/resume.yaml: free is a list of keys, such as [callbacks.mine]" in err
