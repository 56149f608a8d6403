"""ADA on the command line: what it needs, and that a run goes on exactly."""

import csv

import torch

ADA = [
    "augmentation=shift",
    "adaptive=heldout_gap",
    "adaptive.kimg=0.2",
    "adaptive.every=2",
    "adaptive.target=-5",
    "holdout=0.2",
    "log_every=0.064",
    "checkpoint_every=0.064",
]


def rows(run):
    with open(run / "stats.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_it_goes_on_exactly(inside, tiny, tmp_path):
    lengths = {"whole": [0.32], "parts": [0.16, 0.32]}  # cut off between two moves
    for name, kimgs in lengths.items():
        for kimg in kimgs:
            code, _, err = inside(
                "train",
                *tiny,
                *ADA,
                f"name={name}",
                f"kimg={kimg}",
                "matching=none",
                "algorithm.gamma=0.1",
                "algorithm.generator_lr=2e-4",
                "algorithm.discriminator_lr=2e-4",
                "algorithm.beta2=0.9",
            )
            assert code == 0, err
    runs = [tmp_path / "runs" / name for name in lengths]
    saved = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in runs]
    assert saved[0]["adaptive"] == saved[1]["adaptive"] and saved[0]["adaptive"]["strength"] > 0.5
    assert all(torch.equal(saved[0]["state_dict"][name], value) for name, value in saved[1]["state_dict"].items())
    whole, parts = ({row["kimg"]: float(row["augment"]) for row in rows(run)} for run in runs)
    assert all(parts[kimg] == value for kimg, value in whole.items())  # the parts have a line more, at their end
    assert list(whole.values()) == sorted(whole.values()) and whole["0.064"] == 0.0 < whole["0.32"]
    code, out, err = inside(
        "evaluate",
        runs[0],
        "device=cpu",
        "metrics=fast",
        "extractor=pixels",
        "num_samples=20",
        "metrics.measures.score.splits=1",
        "bounds=false",
    )
    assert code == 0, err


def test_what_it_needs_is_said(refused, tiny):
    cases = {
        ("adaptive=heldout_gap", "augmentation=shift"): "holdout=0.1",
        ("adaptive=real_signs", "augmentation=shift"): "adaptive=pair_signs or heldout_gap",
        ("adaptive=pair_signs", "augmentation=none"): "adaptive=none",
        ("adaptive=pair_signs", "augmentation=shift", "adaptive.kimg=0"): "adaptive.kimg=0: it takes a number above 0",
    }
    for words, way_out in cases.items():
        err = refused("train", *tiny, *words)
        assert way_out in err and err.count("\n") == 1, err
