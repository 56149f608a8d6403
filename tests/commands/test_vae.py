"""Variational autoencoders by the commands that a user types: train, go on, sample, evaluate, summary, what is refused."""

import csv
import json

import numpy as np
import pytest
import torch

TINY = [
    "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4", "log_every=0.064",
    "evaluate_every=0.32", "algorithm.lr=1.0e-3", "algorithm.beta.kimg=0.2",
]  # fmt: skip
SMALL = {
    "digits_vae": ["autoencoder.encoder.dim=[4,8]", "autoencoder.decoder.dim=[8,8]"],
    "digits_vit_vae": [f"autoencoder.{part}.{key}" for part in ("encoder", "decoder") for key in ("dim=16", "depth=1")],
}


def words(experiment="digits_vae"):
    return ["train", f"experiment={experiment}", *TINY, *SMALL[experiment]]


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("experiment", SMALL)
def test_a_run_goes_on_bit_by_bit(inside, tmp_path, experiment):
    for more in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        code, out, err = inside(*words(experiment), *more)
        assert code == 0, out + err
    whole, parts = (saved(tmp_path / "runs" / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == whole["images_seen"] == 640
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())
    numbers = [
        [(line["kimg"], line["metrics"]) for line in lines(tmp_path / "runs" / name)] for name in ("whole", "parts")
    ]
    assert numbers[0] == numbers[1] and [kimg for kimg, _ in numbers[0]] == [0, 0.32, 0.64]
    assert lines(tmp_path / "runs" / "whole")[0]["protocol"]["likelihood"] == "bound, 1 draw"


@pytest.mark.parametrize("experiment", SMALL)
def test_trained_sampled_evaluated_and_counted(inside, refused, tmp_path, experiment):
    code, out, err = inside(*words(experiment), "name=one", "precision=bf16-mixed" if "vit" in experiment else "seed=1")
    assert code == 0, out + err
    assert "per dimension of 359 held-out images" in out and "kimg (bound, 1 draw)" in out
    run = tmp_path / "runs" / "one"
    with open(run / "stats.csv") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        parts = float(row["reconstruction"]) + float(row["divergence"])
        assert float(row["bits_per_dim"]) == pytest.approx(parts, rel=1e-4)
    assert float(rows[0]["beta"]) < 0.3 and float(rows[-1]["beta"]) == 1
    assert float(rows[-1]["bits_per_dim"]) < float(rows[0]["bits_per_dim"])
    held_out = [line["metrics"]["bits_per_dim_heldout"] for line in lines(run)]
    assert held_out[-1] < held_out[0]

    assert inside("sample", run, "seeds=0-9", "to=npz", "batch_size=3", "out=all.npz")[0] == 0
    images = np.load(tmp_path / "all.npz")["images"]
    assert inside("sample", run, "seeds=4,7", "to=npz", f"out={tmp_path}/two.npz")[0] == 0
    assert (np.load(tmp_path / "two.npz")["images"] == images[[4, 7]]).all()
    assert "top_k=3: this run does not draw token by token" in refused("sample", run, "top_k=3")
    assert "cannot continue half of one" in refused("sample", run, "complete=heldout")
    code, out, err = inside(
        "evaluate",
        run,
        "metrics=fast",
        "extractor=pixels",
        "bounds=false",
        "num_samples=64",
        f"out={tmp_path}/all.json",
    )
    assert code == 0, out + err
    found = json.loads((tmp_path / "all.json").read_text())["likelihood"]
    assert found["likelihood"] == "bound, 1 draw" and found["bits_per_dim_heldout"] == pytest.approx(
        held_out[-1], rel=1e-5
    )
    code, out, err = inside("summary", run, "json=true")
    assert code == 0, err
    size = sum(v.numel() for n, v in saved(run)["state_dict"].items() if n.startswith("network."))
    assert json.loads(out)["network.parameters"] == size


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["autoencoder.num_latents=0"], "autoencoder.num_latents=0: it takes a whole number, 1 to"),
        (["autoencoder.observation.levels=16"], "autoencoder.observation.levels=16: the images have 17 pixel values"),
        (
            ["autoencoder.observation.components=0"],
            "autoencoder.observation.components=0: it takes a whole number, 1 to",
        ),
        (["autoencoder.encoder.dim=[4,4,4,4,4]"], "autoencoder.encoder.dim asks to halve 8 px 4 times"),
        (["algorithm.free_bits=-1.0"], "algorithm.free_bits=-1.0: it takes a number from 0"),
        (["algorithm.bound_samples=0"], "algorithm.bound_samples=0: it takes a whole number, 1 to"),
        (["tokens=pixels"], "tokens=pixels: this algorithm (Variational) has no tokens"),
        (["autoencoder=vae"], "autoencoder=vae: there is no such autoencoder"),
    ],
)
def test_refused_in_one_sentence(refused, more, sentence):
    err = refused(*words(), *more)
    assert sentence in err and err.count("\n") == 1


def test_another_architecture_is_refused_once(inside, refused):
    assert inside(*words(), "kimg=0.032", "log_every=0.032")[0] == 0
    err = refused(*words(), "autoencoder.num_latents=8")
    assert "autoencoder.num_latents: 16 -> 8" in err and "algorithm.network" not in err
    assert "holds a run of another architecture" in err


def test_the_other_one_with_another_experiment(inside):
    """The parts of an autoencoder replace the experiment's own whole."""
    code, out, err = inside("train", "algorithm=vae", "autoencoder=vit", *TINY, "kimg=0.064", "name=one")
    assert code == 0, err
    code, out, err = inside("train", "experiment=digits_vae", "autoencoder=vit", *TINY, "kimg=0.064", "name=two")
    assert code == 0, err
