"""Steps without a finite gradient are skipped and counted, and too many in a row end the run with a reason."""

import csv

import pytest
import torch

from transgan.training.adversarial import Adversarial


@pytest.fixture
def words(tiny):
    return [*tiny, "algorithm.max_nonfinite=3", "log_every=0.032", "checkpoint_every=0.032"]


def column(path, name):
    with open(path) as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def test_never_finite(inside, words, tmp_path, monkeypatch):
    spoil_gradients(monkeypatch, lambda step: True, both=True)
    code, out, err = inside("train", *words)
    assert code == 2, out + err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert (
        "training stopped: 3 steps of the discriminator in a row had no finite gradient" in err
        and "nothing was saved yet; the same command begins anew" in err
    )
    assert "algorithm.generator_lr.start" in err
    assert not list(tmp_path.rglob("*.ckpt"))


def test_no_longer_finite(inside, words, tmp_path, monkeypatch):
    """The last good checkpoint is named, is still whole, and the same command goes on from it."""
    with monkeypatch.context() as spoiling:
        spoil_gradients(spoiling, lambda step: step >= 6, both=True)
        code, out, err = inside("train", *words)
    assert code == 2, out + err
    assert "the same command continues from runs/digits/checkpoints/last.ckpt at 0.192 kimg" in err
    saved = torch.load(tmp_path / "runs/digits/checkpoints/last.ckpt", weights_only=True)
    assert saved["images_seen"] == 6 * 32
    assert saved["nonfinite"] == {"discriminator": 0, "generator": 0}
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    code, out, err = inside("train", *words)
    assert code == 0 and "from 0.192" in out, out + err


def test_a_learning_rate_far_too_high(inside, words):
    code, out, err = inside("train", *words, "algorithm.generator_lr.start=1.0e+30")
    assert code == 2, out + err
    assert "had no finite gradient" in err and err.count("\n") == 1


def test_discriminator_alone_is_never_finite(inside, words):
    code, out, err = inside("train", *words, "algorithm.gamma=1.0e+38")
    assert code == 2, out + err


def test_one_skip_is_counted(inside, words, tmp_path, monkeypatch):
    spoil_gradients(monkeypatch, lambda step: step in (4, 9))
    code, out, err = inside("train", *words)
    assert code == 0, out + err
    skipped = column(tmp_path / "runs/digits/stats.csv", "skipped_discriminator")
    assert skipped[3] == 0 and skipped[4] == 1 and skipped[9] == 2 and skipped[-1] == 2
    assert column(tmp_path / "runs/digits/stats.csv", "skipped_generator")[-1] == 0
    saved = torch.load(tmp_path / "runs/digits/checkpoints/last.ckpt", weights_only=True)
    assert saved["nonfinite"] == {"discriminator": 2, "generator": 0}
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def spoil_gradients(monkeypatch, when, both=False) -> None:
    """Makes the gradient of the discriminator, or of both networks, infinite in the steps `when` says."""
    backward = Adversarial.manual_backward

    def spoiled(self, value, **keys):
        spoil = when(self.step) and (both or "loss_d" not in self.log_values)
        backward(self, value * float("inf") if spoil else value, **keys)

    monkeypatch.setattr(Adversarial, "manual_backward", spoiled)
