"""Image GPT by the commands that a user types: train, go on, sample, evaluate, summary, and what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from command_line import assert_same_image
from transgan.data import Digits, hold_out

TINY = [
    "experiment=digits_gpt", "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4",
    "algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2", "log_every=0.064",
    "evaluate_every=0.32",
]  # fmt: skip
STILL = "algorithm.lr=1.0e-3"  # what follows the length of the run else


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def trained(inside, *words):
    code, out, err = inside("train", *TINY, *words)
    assert code == 0, out + err
    return out


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("tokens", ["pixels", "patches"])
def test_a_run_goes_on_bit_by_bit(inside, tmp_path, tokens):
    for more in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        trained(
            inside, STILL, f"tokens={tokens}", "tokens.levels=17", "algorithm.network.transformer.drop_path=0.1", *more
        )
    whole, parts = (saved(tmp_path / "runs" / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == whole["images_seen"] == 640 and parts["global_step"] == whole["global_step"] == 20
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    one, other = (s["optimizer_states"][0]["state"] for s in (whole, parts))
    assert all(torch.equal(value[key], other[i][key]) for i, value in one.items() for key in ("exp_avg", "exp_avg_sq"))
    numbers = [
        [(line["kimg"], line["metrics"]) for line in lines(tmp_path / "runs" / name)] for name in ("whole", "parts")
    ]
    assert numbers[0] == numbers[1] and [kimg for kimg, _ in numbers[0]] == [0, 0.32, 0.64]
    for grid in ("000000_640.png", "reals.png"):
        assert_same_image(tmp_path / "runs/whole/samples" / grid, tmp_path / "runs/parts/samples" / grid)


def test_trained_sampled_evaluated_and_counted(inside, tmp_path):
    out = trained(inside)
    assert "heldout 359 images, to measure against" in out and "model   network 0.01 M parameters" in out
    assert "per dimension of 359 held-out images, best" in out
    run = tmp_path / "runs" / "digits_gpt"
    with open(run / "stats.csv") as file:
        bits = [float(row["bits_per_dim"]) for row in csv.DictReader(file)]
    assert bits[0] == pytest.approx(np.log2(17), abs=0.1) and bits[-1] < bits[0] - 0.1
    held_out = [line["metrics"]["bits_per_dim_heldout"] for line in lines(run)]
    assert held_out[0] == pytest.approx(np.log2(17), abs=1e-3) and held_out[-1] < held_out[0]

    code, out, err = inside("sample", run, "seeds=0-9", "to=npz", "batch_size=3", f"out={tmp_path}/all.npz")
    assert code == 0, err
    arrays = np.load(tmp_path / "all.npz")
    assert arrays["images"].shape == (10, 8, 8, 1)
    code, out, err = inside("sample", run, "seeds=4,7", "to=npz", f"out={tmp_path}/two.npz")
    assert (np.load(tmp_path / "two.npz")["images"] == arrays["images"][[4, 7]]).all()
    code, out, err = inside(
        "sample", run, "seeds=0-9", "to=npz", "temperature=0.1", "top_k=1", "class=3", f"out={tmp_path}/same.npz"
    )
    assert len(np.unique(np.load(tmp_path / "same.npz")["images"], axis=0)) == 1  # top_k=1: nothing is left to chance

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
    found = json.loads((tmp_path / "all.json").read_text())
    assert found["likelihood"]["num_real"] == 359
    assert found["likelihood"]["bits_per_dim_heldout"] == pytest.approx(held_out[-1], rel=1e-6)
    assert f"bits    {held_out[-1]:.4g} per dimension of 359 held-out images" in out

    code, out, err = inside("summary", run, "json=true")
    assert code == 0, err
    counts = json.loads(out)
    size = sum(v.numel() for n, v in saved(run)["state_dict"].items() if n.startswith("network."))
    assert counts["network.parameters"] == size and counts["network.macs"] > 64 * size / 2


def test_another_algorithm_with_the_digits_and_with_pictures(inside, pictures, tmp_path):
    """What an experiment sets for a GAN is not for it."""
    small = [word for word in TINY if not word.startswith("experiment")]
    code, out, err = inside("train", "algorithm=image_gpt", *small, "kimg=0.064", "name=one")
    assert code == 0, err
    code, out, err = inside(
        "train", pictures(tmp_path / "pictures"), "algorithm=image_gpt", "tokens=patches", "resolution=8", *small,
        "kimg=0.064", "name=two", "log_every=0.032",
    )  # fmt: skip
    assert code == 0, err
    config = (tmp_path / "runs/two/config.yaml").read_text()
    assert "discriminator" not in config and "tokens:" in config and "generator_lr" not in config
    assert inside("sample", "runs/two", "to=grid", "seeds=0-3")[0] == 0


def test_a_part_that_replaces_an_experiments_has_its_own_keys(inside):
    """cifar10_tiny gives widths to its Transformer generator; dcgan has other arguments."""
    code, out, err = inside("summary", "experiment=cifar10_tiny", "generator=dcgan", "num_classes=10", "json=true")
    assert code == 0 and json.loads(out)["generator.parameters"] > 0, err


def test_start_from_other_weights(inside, tmp_path):
    trained(inside, "name=first")
    code, out, err = inside("train", *TINY, "kimg=0.032", "name=second", "init_from=runs/first", "algorithm.lr=0.0")
    assert code == 0 and "start   from the weights of runs/first" in out, err
    first, second = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("first", "second"))
    assert all(torch.equal(second[name], value) for name, value in first.items() if name.startswith("network."))


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["train", "tokens=patches"], "tokens=patches: this algorithm (Adversarial) has no tokens"),
        (["train", *TINY, "loss=hinge"], "loss=hinge: this algorithm (Autoregressive) has no loss"),
        (["train", *TINY, "generator.dim=[3]"], "generator.dim is not an option; did you mean algorithm.network.dim?"),
        (
            ["train", *TINY, "tokens.levels=16"],
            "tokens.levels=16: the images have 17 pixel values, some not among these",
        ),
        (["train", *TINY, "tokens.levels=1"], "tokens.levels=1: it takes a whole number, 2 to 256"),
        (["train", *TINY, "tokens=patches", "tokens.patch_size=3"], "patch_size 3 does not divide img_size 8"),
        (
            ["train", *TINY, "tokens=patches", "tokens.components=0"],
            "tokens.components=0: it takes a whole number, 1 to",
        ),
        (["train", *TINY, "algorithm.network.num_heads=3", "algorithm.network.dim=16"], "num_heads"),
        (["train", *TINY, "algorithm.network.dim=18"], "a sin-cos position table needs dim divisible by 4, not 18"),
        (["train", *TINY, "+algorithm.network.transformer.window_size=2"], "attention is either causal or windowed"),
        (["train", *TINY, "precision=16-mixed"], "precision=16-mixed: it takes 32-true or bf16-mixed"),
    ],
)
def test_refused_in_one_sentence(refused, words, sentence):
    err = refused(*words)
    assert sentence in err and err.count("\n") == 1


def test_refused_of_a_run(inside, refused, tmp_path):
    trained(inside, "kimg=0.032", "log_every=0.032")
    run = "runs/digits_gpt"
    assert "temperature 0: it must be more than 0" in refused("sample", run, "temperature=0")
    for command in ("sample", "evaluate"):
        err = refused(command, run, "psi=0.9")
        assert "psi=0.9: " in err and "has a likelihood and no styles to truncate; give temperature=0.9" in err
    assert "top_k=0: it takes a whole number, 1 to" in refused("sample", run, "top_k=0")
    err = refused("train", *TINY, "algorithm.network.dim=24")
    assert "algorithm.network.dim: 16 -> 24" in err and "holds a run of another architecture" in err
    err = refused("train", *TINY, "tokens.quantise=true")
    assert "tokens.quantise: False -> True" in err and "algorithm.network.tokens" not in err


def test_a_gan_has_no_top_k(inside, refused, tiny):
    assert inside("train", *tiny, "kimg=0.032", "log_every=0.032")[0] == 0
    assert "top_k=3: this run does not draw token by token" in refused("sample", "runs/digits", "top_k=3")


def test_pictures_that_are_not_finite_end_the_training(inside):
    code, out, err = inside("train", *TINY, "algorithm.lr=1.0e+30", "algorithm.max_nonfinite=3")
    assert code == 2 and ". Lower algorithm.lr, or lower algorithm.clip, which is 1" in err and err.count("\n") == 1, (
        err
    )


def test_grey_values_between_the_levels_are_rounded_when_asked(inside, tmp_path):
    (tmp_path / "grey").mkdir()
    for i in range(8):
        Image.new("L", (8, 8), 30 * i + 1).save(tmp_path / "grey" / f"{i}.png")
    words = ["train", *TINY, "data=folder", f"data.path={tmp_path}/grey", "holdout=0.0", "kimg=0.064"]
    code, out, err = inside(*words)
    assert code == 2 and "tokens.quantise=true" in err
    assert inside(*words, "tokens.quantise=true")[0] == 0


def test_a_palette_travels_with_the_weights(inside, refused, tmp_path):
    (tmp_path / "few").mkdir()
    colours = np.array([[0, 0, 0], [250, 10, 10], [10, 250, 10]], dtype=np.uint8)
    for i in range(8):
        Image.fromarray(colours[np.random.default_rng(i).integers(0, 3, (8, 8))]).save(tmp_path / "few" / f"{i}.png")
    words = [
        "train", *TINY, "data=folder", f"data.path={tmp_path}/few", "channels=3", "holdout=0.0", "tokens=palette", STILL,
    ]  # fmt: skip
    for more in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        code, out, err = inside(*words, "tokens.colours=4", *more)
        assert code == 0, err
    whole, parts = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    assert inside("sample", "runs/whole", "seeds=0-9", "to=npz", "out=all.npz")[0] == 0
    images = np.load(tmp_path / "all.npz")["images"].reshape(-1, 3)
    assert {tuple(c) for c in images.tolist()} <= {tuple(c) for c in colours.tolist()}
    assert "tokens.colours=2: the images have 3 colours" in refused(*words, "tokens.colours=2", "name=other")


def test_a_given_half_is_completed(inside, refused, tmp_path, tiny, pictures):
    trained(inside)
    words = ["sample", "runs/digits_gpt", "complete=heldout", "seeds=3-8,360"]
    assert inside(*words, "to=npz", "batch_size=2", "out=halves.npz")[0] == 0
    found = np.load(tmp_path / "halves.npz")
    _, held_out = hold_out(Digits(), 0.2)
    places = [*range(3, 9), 1]  # 359 are held out
    own = held_out.images[places].permute(0, 2, 3, 1).numpy()
    assert (found["images"][:, :4] == own[:, :4]).all() and (found["images"][:, 4:] != own[:, 4:]).any()
    assert found["labels"].tolist() == held_out.labels[places].tolist()
    assert inside(*words, "to=grid", "rows=7", "class=3")[0] == 0

    assert "rows=8: give a multiple of 1, from 1 to 7" in refused(*words, "rows=8")
    folder = pictures(tmp_path / "pictures")
    assert "have other classes than the run; give class=" in refused(*words, f"complete={folder}")
    assert "some not among these levels" in refused(*words, f"complete={folder}", "class=1")
    assert "there is nothing at nowhere" in refused(*words, "complete=nowhere")
    trained(inside, "holdout=0.0", "kimg=0.032", "name=all", "log_every=0.032")
    assert "this run holds no images out of training" in refused("sample", "runs/all", "complete=heldout")
    assert inside("train", *tiny, "kimg=0.032", "log_every=0.032")[0] == 0
    assert "cannot continue half of one" in refused("sample", "runs/digits", "complete=heldout")
