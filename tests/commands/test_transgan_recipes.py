"""The recipes of TransGAN, narrower and with a smaller batch: they train, go on exactly, and are measured."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

NARROW = [
    "generator.dim=[64,16,4]", "discriminator.dim=[24,32]", "batch_size=8", "algorithm.generator_batch_size=16",
    "data=folder", "trainer=cpu", "logger=none", "threads=1", "metrics=none", "grid=4", "log_every=0.008",
    "sample_every=1", "checkpoint_every=0.032",
]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    random = np.random.default_rng(0)
    for i in range(32):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "ab"[i % 2] / f"{i}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["transgan_cifar10", "transgan_cifar10_official"])
def test_it_trains_goes_on_exactly_and_is_measured(inside, images, tmp_path, experiment):
    words = [f"experiment={experiment}", f"data.path={images}", *NARROW]
    for name, kimgs in {"whole": [0.064], "parts": [0.04, 0.064]}.items():  # cut off one step after a generator step
        for kimg in kimgs:
            code, out, err = inside("train", *words, f"name={name}", f"kimg={kimg}")
            assert code == 0, err
    whole, parts = (
        torch.load(tmp_path / "runs" / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())
    assert all(value.isfinite().all() for value in whole["state_dict"].values())
    assert whole["nonfinite"] == {"discriminator": 0, "generator": 0}
    # the leak is of the steps after a generator step, and of the released code alone
    assert bool(whole["leaked"]) == (experiment == "transgan_cifar10_official")
    with open(tmp_path / "runs" / "whole" / "stats.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and all(float(row["gp"]) > 0 and float(row["gamma"]) == 20 for row in rows)
    assert [bool(row["loss_g"]) for row in rows] == [False, False, False, True] * 2
    code, out, err = inside(
        "evaluate", "runs/whole", "checkpoint=last", "device=cpu", "bounds=false", "metrics=fast", "num_samples=8",
        "extractor=classifier", "extractor.steps=20", "metrics.measures.score.splits=1",
    )  # fmt: skip
    assert code == 0 and "fd_classifier" in out, err
