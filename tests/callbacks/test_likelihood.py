"""Bits per dimension of held-out images: when they are measured, of which images, and what a resumed run keeps."""

import json
from types import SimpleNamespace

import pytest
import torch

from transgan.callbacks import Likelihood, Session


class Images:
    fingerprint = "f"

    def __len__(self):
        return 600

    def __getitems__(self, places):
        return torch.tensor(places), torch.zeros(len(places), dtype=torch.long)


def module(images_seen, off=0.0):
    return SimpleNamespace(
        images_seen=images_seen, images_in_step=10, bits_per_dim=lambda images, labels: images + off, likelihood="exact"
    )


TRAINER = SimpleNamespace(
    is_global_zero=True, loggers=[], strategy=SimpleNamespace(broadcast=lambda value: value), callback_metrics={}
)


def ready(folder, **options):
    callback, session = Likelihood(0.02, **options), Session(folder, 0.05, heldout=Images())
    assert callback.applies(session, module(0)) and not callback.applies(Session(folder), module(0))
    callback.setup(SimpleNamespace(callbacks=[session, callback]), module(0), "fit")
    return callback


@pytest.fixture
def likelihood(tmp_path):
    return ready(tmp_path)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_measured_at_the_start_at_every_interval_and_at_the_end(likelihood, tmp_path):
    likelihood.on_train_start(TRAINER, module(0, off=0.5))
    for images in range(10, 60, 10):
        likelihood.on_train_batch_end(TRAINER, module(images, off=images / 10 % 3), None, None, 0)
    found = lines(tmp_path)
    assert [line["kimg"] for line in found] == [0, 0.02, 0.04, 0.05]
    assert [line["metrics"]["bits_per_dim_heldout"] for line in found] == [300, 301.5, 300.5, 301.5]  # all 600
    assert found[0]["protocol"] == {
        "split": "heldout",
        "num_real": 600,
        "weights": "ema",
        "data": "f",
        "likelihood": "exact",
    }
    assert TRAINER.callback_metrics["bits_per_dim_heldout"] == 301.5
    assert likelihood.best == {"kimg": 0, "value": 300} and likelihood.latest == {"kimg": 0.05, "value": 301.5}


def test_a_resumed_run_removes_what_comes_again(likelihood, tmp_path):
    for images in (0, 20, 40):
        likelihood.measure(TRAINER, module(images))
    other = ready(tmp_path)
    other.load_state_dict(likelihood.state_dict())
    other.on_train_start(TRAINER, module(20))
    assert [line["kimg"] for line in lines(tmp_path)] == [0, 0.02]
    assert other.best == likelihood.best


def test_a_large_set_is_thinned(tmp_path):
    few = ready(tmp_path, count=3)
    few.measure(TRAINER, module(0))
    assert few.indices == [0, 299, 599] and lines(tmp_path)[0]["protocol"]["num_real"] == 3
