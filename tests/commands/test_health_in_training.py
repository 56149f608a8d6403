"""A run's health: it changes nothing in training, is continued with it, and names what is wrong; patience ends a run."""

import csv
import json

import pytest
import torch

from transgan.reporting.configuration import commands
from transgan.reporting.material import Material
from transgan.reporting.result import progress

SHORT = ["kimg=0.256", "log_every=0.064", "sample_every=1", "checkpoint_every=0.128", "evaluate_every=0.064"]
PIXELS = ["metrics=fast", "extractor=pixels", "metrics.num_samples=40", "metrics.measures.score.splits=1",
          "evaluate_share=1"]  # fmt: skip
COLUMNS = ("grid_spread", "grid_nearest", "grid_change", "discriminator_gap")


@pytest.fixture
def train(inside, tiny, tmp_path):
    """Trains a tiny run: train(name, *overrides) -> (its folder, stdout)."""

    def run(name, *overrides, code=0):
        found, out, err = inside("train", *tiny, *SHORT, f"name={name}", *overrides)
        assert found == code, out + err
        return tmp_path / "runs" / name, out + err if code else out

    return run


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def stats(run):
    with open(run / "stats.csv") as file:
        return list(csv.DictReader(file))


def same(one, other):
    """Whether two nested containers hold the same, tensors to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("more", [[], ["augmentation=shift", "adaptive=heldout_gap", "adaptive.every=2"]])
def test_it_changes_nothing_in_training(train, more):
    words = ["holdout=0.2", "mirror=true", "generator=hybrid", "discriminator=hybrid_strided", "resolution=16", *more]
    without, with_it = (saved(train(name, *words, *last)[0]) for name, last in (
        ("without", ["callbacks.health=null"]), ("with", [])))  # fmt: skip
    assert "Health" in with_it["callbacks"] and "Health" not in without["callbacks"]
    for key in ("state_dict", "optimizer_states", "adaptive", "images_seen"):
        assert same(without[key], with_it[key]), key


def test_its_numbers_stand_in_the_lines_of_their_kimg(train):
    run, _ = train("digits", "holdout=0.2", "evaluate_every=0.096")
    rows = {float(row["kimg"]): row for row in stats(run)}
    assert sorted(rows) == [0.064, 0.096, 0.128, 0.192, 0.256]  # 0.096 has a line because it was measured
    measured = [kimg for kimg, row in rows.items() if row["grid_spread"]]
    assert measured == [0.096, 0.192, 0.256]
    for kimg in measured[1:]:
        assert all(float(rows[kimg][name]) > 0 for name in COLUMNS)
    assert all(float(row["images_per_second"]) > 0 and row["discriminator_accuracy"] for row in rows.values())
    history = saved(run)["callbacks"]["Health"]["history"]
    assert [moment["kimg"] for moment in history] == measured
    assert history[-1]["grid_spread"] == float(rows[0.256]["grid_spread"])


def test_a_continued_run_knows_what_was_measured(train):
    words = ["holdout=0.2", "algorithm.generator_lr=1e-3", "algorithm.discriminator_lr=1e-3", "algorithm.beta2=0.99",
             "algorithm.gamma=1", "matching=none"]  # fmt: skip
    run, _ = train("halves", *words, "kimg=0.128")
    before = saved(run)["callbacks"]["Health"]
    train("halves", *words, "kimg=0.256")
    once, _ = train("once", *words)
    after, uninterrupted = (saved(each)["callbacks"]["Health"] for each in (run, once))
    assert len(before["history"]) == 2 and len(after["history"]) == 4 and after["history"][:2] == before["history"]
    assert same(after["history"], uninterrupted["history"]) and torch.equal(after["before"], uninterrupted["before"])


def test_a_frozen_generator_is_named_in_the_line_and_in_the_log(train):
    run, out = train("frozen", *PIXELS, "algorithm.generator_lr=0", "callbacks.progress.every_seconds=0")
    said = (
        "health  discriminator wins at 0.128 kimg: the generated images no longer change; raise algorithm.generator_lr"
    )
    assert said in out and "| discriminator wins" in out and "| warming up" in out
    assert "discriminator wins at 0.128 kimg" in (run / "log.txt").read_text()


def test_weights_that_run_away_are_named_though_the_images_collapse(train):
    rates = ["algorithm.generator_lr=1", "algorithm.discriminator_lr=1"]
    _, out = train("heavy", *PIXELS, *rates)
    assert "diverging at 0.128 kimg: the weights of the generator have become" in out


def test_weights_that_thaw_do_not_run_away():
    from transgan.callbacks.health import weights

    module = torch.nn.Module()
    module.generator = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 1))
    torch.nn.init.zeros_(module.generator[1].weight)
    module.generator[0].requires_grad_(False)
    frozen = weights(module)
    module.generator[0].requires_grad_(True)
    assert weights(module) == frozen and set(frozen) == {"generator"} and frozen["generator"] > 0.01


def test_images_that_are_all_equal_are_named(train, tmp_path):
    from PIL import Image

    (tmp_path / "equal").mkdir()
    for i in range(40):
        Image.new("L", (8, 8), 100).save(tmp_path / "equal" / f"{i}.png")
    _, out = train("equal", "data=folder", f"data.path={tmp_path / 'equal'}")
    assert "health  low variety at 0.128 kimg: the training images are all alike" in out


def test_other_algorithms_have_what_makes_sense(train, inside, tmp_path):
    words = ["experiment=digits_vae", "metrics=none", "trainer=cpu", "logger=none", "kimg=0.256", "evaluate_every=0.064",
             "log_every=0.064", "name=vae", "grid=4"]  # fmt: skip
    code, out, err = inside("train", *words)
    assert code == 0, err
    last = saved(tmp_path / "runs" / "vae")["callbacks"]["Health"]["history"][-1]
    assert {"grid_spread", "grid_nearest", "grid_change"} <= last.keys() and "discriminator_gap" not in last


def test_patience_ends_a_run_that_no_longer_improves(train):
    words = [*PIXELS, "patience=2", "callbacks.patience.margin=0.99", "kimg=0.64", "explain=true"]
    run, out = train("patient", *words)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    measured = [line["kimg"] for line in lines if "checkpoint" not in line["protocol"]]
    assert measured[-3:] == [0.064, 0.128, 0.192]
    assert "stopped at 0.192 kimg and saved: fd_pixels has not become better than" in out
    assert "in 2 evaluations. To train on, the same command with patience=null" in out and "\ngood    fd_pixels " in out
    assert "explain fd_pixels " in out
    assert (run / "checkpoints" / "best.ckpt").exists() and saved(run)["images_seen"] == 192
    material = Material(str(run))
    assert "Training ended after 0.192 of 0.64 thousand images, as fd_pixels has not become" in progress(material)
    (goes_on,) = [line for what, line in commands(material) if what == "continues it"]
    assert goes_on.endswith(" patience=null")
    _, out = train("patient", *words)  # the same command
    assert "has stopped at 0.192 kimg: fd_pixels has not become better than" in out and "name=NAME" in out
    assert saved(run)["images_seen"] == 192
    train("patient", *words, "patience=3")
    assert saved(run)["images_seen"] == 256
    train("patient", *words, "patience=null")
    assert saved(run)["images_seen"] == 640


def test_patience_without_evaluations_is_refused(train):
    _, said = train("none", "patience=3", code=2)
    assert "patience= counts evaluations, and there are none: give metrics=fast, or patience=null" in said
