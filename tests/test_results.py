"""The claims of the README and of the experiment files, measured by the commands a person types. Slow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from transgan import checkpoint
from transgan.data import Digits
from transgan.metrics.extractors import Classifier

pytestmark = pytest.mark.slow


def transgan(*words: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "transgan", *words], cwd=cwd, capture_output=True, text=True, timeout=1200
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def metrics(run: Path) -> list[dict]:
    """The evaluations of a run, without the last one of training: the best again, with fresh seeds."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "selection" not in line["protocol"]]


def test_digits_are_learned_in_all_classes_and_all_different(tmp_path):
    transgan("train", cwd=tmp_path)
    run = tmp_path / "runs" / "digits"
    lines = metrics(run)
    values = [line["metrics"]["fd_classifier"] for line in lines]
    assert lines[0]["kimg"] == 0 and min(values) <= values[0] / 60, values

    module, _ = checkpoint.load(checkpoint.find(run))
    labels = torch.arange(1000) % 10
    images = module.generate(list(range(10_000, 11_000)), labels)
    judge = Classifier(seed=1)  # not the one that measured the run while it was trained
    judge.prepare(Digits())
    assert (judge(images)[1].argmax(1) == labels).float().mean() >= 0.98
    assert len(images.flatten(1).unique(dim=0)) == len(images)
    # as different within a class as real digits are: half of the real spread at least
    real = Digits()
    for digit in range(10):
        spread = images[labels == digit].float().std(0).mean()
        assert spread >= 0.5 * real.images[real.labels == digit].float().std(0).mean(), digit

    measured = len(lines)
    transgan("evaluate", "runs/digits", cwd=tmp_path)
    assert len(metrics(run)) == measured + 1
    assert metrics(run)[-1]["metrics"]["fd_classifier"] == pytest.approx(min(values), rel=1e-4)


def test_cifar10_photographs_from_a_zip(tmp_path):
    shared = os.environ.get("TRANSGAN_TEST_SHARED")
    if shared is None:
        pytest.skip("TRANSGAN_TEST_SHARED does not name a folder with data/cifar10-train.zip")
    output = transgan(
        "train", "experiment=cifar10_tiny", "data=zip", f"data.path={shared}/data/cifar10-train.zip",
        "kimg=3", "evaluate_every=1.5", "evaluate_share=1", "metrics.num_samples=2000", "extractor.steps=200", cwd=tmp_path,
    )  # fmt: skip
    assert "50,000 images" in output and "img/s" in output
    run = tmp_path / "runs" / "cifar10_tiny"
    values = [line["metrics"]["fd_classifier"] for line in metrics(run)]
    assert len(values) == 3 and values == sorted(values, reverse=True), values
    transgan("evaluate", "runs/cifar10_tiny", "checkpoint=last", cwd=tmp_path)
    assert metrics(run)[-1]["metrics"]["fd_classifier"] == pytest.approx(values[-1], rel=1e-4)
