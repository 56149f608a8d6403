"""PixelRNN by the commands that a user types: train, go on, sample, evaluate, summary, and what is refused."""

import json

import numpy as np
import pytest
import torch

TINY = [
    "experiment=digits_rnn", "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4",
    "algorithm.network.dim=16", "algorithm.network.depth=1", "log_every=0.064", "evaluate_every=0.32",
    "algorithm.lr=1.0e-3",
]  # fmt: skip
ROWS = "algorithm.network.layer._target_=transgan.models.pixel_rnn.RowLSTM"


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("more", [[], [ROWS, "tokens=patches"]], ids=["lstm", "rows"])
def test_a_run_goes_on_bit_by_bit(inside, tmp_path, more):
    for words in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        code, out, err = inside("train", *TINY, *more, *words)
        assert code == 0, out + err
    whole, parts = (saved(tmp_path / "runs" / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == whole["images_seen"] == 640
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())

    run = tmp_path / "runs" / "whole"
    assert inside("sample", run, "seeds=0-9", "to=npz", "batch_size=3", "out=all.npz")[0] == 0
    images = np.load(tmp_path / "all.npz")["images"]
    assert inside("sample", run, "seeds=4,7", "to=npz", f"out={tmp_path}/two.npz")[0] == 0
    assert (np.load(tmp_path / "two.npz")["images"] == images[[4, 7]]).all()
    assert inside("sample", run, "complete=heldout", "seeds=0-3", "to=grid", "top_k=3", "temperature=0.8")[0] == 0
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
    assert json.loads((tmp_path / "all.json").read_text())["likelihood"]["num_real"] == 359


def test_as_many_parameters_as_the_image_gpt(inside):
    counts = []
    for experiment in ("digits_rnn", "digits_row_lstm", "digits_gpt"):
        code, out, err = inside("summary", f"experiment={experiment}", "json=true")
        assert code == 0, err
        counts.append(json.loads(out)["network.parameters"])
    assert counts == [61_889, 60_833, 61_825]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["train", *TINY, "algorithm.network.dim=18"], "a sin-cos position table needs dim divisible by 4, not 18"),
        (["train", *TINY, "tokens.levels=16"], "tokens.levels=16: the images have 17 pixel values"),
        (["train", *TINY, "generator=dcgan"], "generator=dcgan: this algorithm (Autoregressive) has no generator"),
        (["train", *TINY, "algorithm.network.num_heads=2"], "algorithm.network.num_heads is not an option"),
    ],
)
def test_refused_in_one_sentence(refused, words, sentence):
    err = refused(*words)
    assert sentence in err and err.count("\n") == 1
