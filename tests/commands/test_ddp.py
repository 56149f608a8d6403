"""Two processes train as one does with the same images."""

import csv
import json

import pytest
import torch

pytestmark = pytest.mark.slow
EPS = ["optimizer.eps=1.0e-3"]        # else Adam makes much of the last bit of small gradients
ADA = ["augmentation=shift", "holdout=0.2", "adaptive=heldout_gap", "adaptive.kimg=0.1", "adaptive.every=2",
       "adaptive.target=-1000"]       # the held-out images are shared out, too
EQUAL = ("kimg", "augment", "loss_d", "loss_g", "d_real", "d_fake", "r1", "r2", "grad_norm_d", "grad_norm_g", "generator_lr")


@pytest.fixture(scope="module")
def runs(transgan_process, tiny, tmp_path_factory):
    """The same run by one process and by two: {processes: (folder, stdout)}."""
    words = [
        *tiny, "metrics=fast", "evaluate_share=1", "extractor.steps=20", "metrics.num_samples=100", "kimg=0.16",
        "evaluate_every=0.08", "log_every=0.032", "checkpoint_every=0.16", *EPS, *ADA,
    ]  # fmt: skip
    found = {}
    for processes, more in ((1, []), (2, ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"])):
        cwd = tmp_path_factory.mktemp(f"by{processes}")
        done = transgan_process("train", *words, *more, cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in (cwd / "runs").iterdir()] == ["digits"]
        found[processes] = cwd / "runs" / "digits", done
    return found


def stats(run):
    with open(run / "stats.csv") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_weights(runs):
    one, two = (torch.load(runs[n][0] / "checkpoints" / "last.ckpt", weights_only=True) for n in (1, 2))
    assert one["images_seen"] == two["images_seen"] == 160 and one["global_step"] == two["global_step"] == 5
    assert one["state_dict"].keys() == two["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert (value - two["state_dict"][name]).abs().max() <= 1e-6, name


def test_losses(runs):
    one, two = stats(runs[1][0]), stats(runs[2][0])
    assert len(one) == len(two) == 5
    assert [row["augment"] for row in one] == pytest.approx([0, 0, 0.64, 0.64, 1])
    assert sum("overfitting" in row for row in one) == 2
    for a, b in zip(one, two, strict=True):
        # the first line has seen no update: equal there means the same images in the same order
        for name in EQUAL:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), name


def test_metrics(runs):
    one, two = ([json.loads(line) for line in (runs[n][0] / "metrics.jsonl").read_text().splitlines()] for n in (1, 2))
    assert [line["kimg"] for line in one][:3] == [line["kimg"] for line in two][:3] == [0, 0.096, 0.16]
    assert len(one) == len(two) == 4            # and the best once more, with fresh seeds
    for a, b in zip(one, two, strict=True):
        assert a["protocol"] == b["protocol"]
        for name, value in a["metrics"].items():
            assert b["metrics"][name] == pytest.approx(value, rel=1e-4)


def test_one_of_them_speaks(runs):
    one, two = ([line for line in runs[n][1].stdout.splitlines() if not line.startswith("kimg")] for n in (1, 2))
    assert [line.split()[0] for line in one] == [line.split()[0] for line in two]
    assert "Traceback" not in runs[2][1].stderr


def test_two_go_on_where_one_stopped(runs, inside, tiny):
    """How many processes is no setting of the run: here one goes on where two stopped."""
    run = runs[2][0]
    words = [
        *tiny, "metrics=fast", "evaluate_share=1", "extractor.steps=20", "metrics.num_samples=100", "kimg=0.192",
        "evaluate_every=0.08", "log_every=0.032", "checkpoint_every=0.16", *EPS, *ADA,
    ]  # fmt: skip
    code, out, err = inside("train", *words, f"runs={run.parent}")
    assert code == 0 and "from 0.16" in out, err
