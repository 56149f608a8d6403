"""The claims of the README and of the experiment files, measured by the commands that a user types, on shorter runs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from transgan import checkpoint
from transgan.cli import main
from transgan.data import Digits
from transgan.metrics.extractors import Classifier

pytestmark = pytest.mark.slow


@pytest.fixture
def transgan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Runs a command in a folder of its own, in this process. Returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> str:
        code = main(list(arguments))
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return run


def metrics(run: Path) -> list[dict[str, Any]]:
    """The evaluations of a run but the last one of training, which measures the best again with fresh seeds."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "selection" not in line["protocol"]]


def test_digits_are_learned_in_all_classes_and_all_different(tmp_path: Path, transgan: Callable[..., str]) -> None:
    """Half of the digits experiment: its distance falls as far as RESULTS.md says a run of this length does."""
    transgan("train", "kimg=15", "evaluate_every=15")
    run = tmp_path / "runs" / "digits"
    first, *_, last = (line["metrics"]["fd_classifier"] for line in metrics(run))
    assert last <= first / 40, (first, last)

    module, _ = checkpoint.load(checkpoint.find(run))
    labels = torch.arange(1000) % 10
    images = module.generate(list(range(10_000, 11_000)), labels)
    classifier = Classifier(seed=1)  # not the one that measured the run in training
    real = Digits()
    classifier.prepare(real)
    assert (classifier(images)[1].argmax(1) == labels).float().mean() >= 0.95
    assert len(images.flatten(1).unique(dim=0)) == len(images)
    for digit in range(10):  # within a class at least half as varied as real digits
        spread = images[labels == digit].float().std(0).mean()
        assert spread >= 0.5 * real.images[real.labels == digit].float().std(0).mean(), digit

    measured = len(metrics(run))
    transgan("evaluate", "runs/digits")
    assert len(metrics(run)) == measured + 1
    assert metrics(run)[-1]["metrics"]["fd_classifier"] == pytest.approx(last, rel=1e-4)


def test_cifar10_photographs_from_a_zip(tmp_path: Path, transgan: Callable[..., str]) -> None:
    shared = os.environ.get("TRANSGAN_TEST_SHARED")
    if shared is None:
        pytest.skip("TRANSGAN_TEST_SHARED does not name a folder with data/cifar10-train.zip")
    output = transgan(
        "train", "experiment=cifar10_tiny", "data=zip", f"data.path={shared}/data/cifar10-train.zip", "data.limit=5000",
        "kimg=1", "evaluate_every=1", "evaluate_share=1", "metrics.num_samples=1000", "extractor.steps=100",
    )  # fmt: skip
    assert "5,000 of 50,000 images" in output and "img/s" in output
    run = tmp_path / "runs" / "cifar10_tiny"
    values = [line["metrics"]["fd_classifier"] for line in metrics(run)]
    assert len(values) == 2 and values[1] < 0.75 * values[0], values
    transgan("evaluate", "runs/cifar10_tiny", "checkpoint=last")
    assert metrics(run)[-1]["metrics"]["fd_classifier"] == pytest.approx(values[-1], rel=1e-4)
