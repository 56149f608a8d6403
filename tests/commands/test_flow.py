"""A flow by the commands that a user types: train, go on, sample and evaluate in other steps, and what is refused."""

import json

import pytest
import torch

TINY = [
    "experiment=digits_flow", "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4",
    "algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2", "log_every=0.064",
    "evaluate_every=0.32", "algorithm.steps=3", "algorithm.likelihood_steps=2", "algorithm.likelihood_count=32",
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


def test_a_run_goes_on_bit_by_bit(inside, tmp_path):
    for more in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        trained(inside, STILL, "algorithm.label_dropout=0.2", "algorithm.network.prediction=x", *more)
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


def test_a_run_goes_on_with_other_steps_of_sampling(inside, tmp_path):
    """No weight depends on them; on a share of hidden classes it does."""
    words = [STILL, "algorithm.label_dropout=0.2"]
    for more in (["name=whole"], ["name=parts", "kimg=0.32"]):
        trained(inside, *words, *more)
    others = ["steps=2", "solver=heun", "guidance=2", "likelihood_steps=1", "likelihood_count=16"]
    trained(inside, *words, "name=parts", *(f"algorithm.{each}" for each in others))
    whole, parts = (saved(tmp_path / "runs" / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == 640 and parts["config"]["algorithm"]["solver"] == "heun"
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())
    code, _, err = inside("train", *TINY, STILL, "name=parts", "algorithm.label_dropout=0.3")
    assert code == 2 and "algorithm.label_dropout: 0.2 -> 0.3" in err


@pytest.fixture
def run(inside, tmp_path):
    out = trained(inside, "algorithm.label_dropout=0.2", "metrics=fast", "extractor=pixels", "metrics.num_samples=100")
    assert "per dimension of 32 held-out images, best" in out and "uniform dequantisation" in out
    return tmp_path / "runs/digits_flow"


def test_sampled_and_evaluated_in_other_steps(inside, run):
    made = [line["protocol"] for line in lines(run) if "truncation" in line["protocol"]]
    assert {(each["steps"], each["solver"]) for each in made} == {(3, "euler")}
    for words, said in (
        (["steps=2", "solver=heun"], "2 Heun steps"),
        (["guidance=2"], "3 Euler steps, guidance 2"),
        (["steps=1"], "1 Euler step,"),
        ([], "3 Euler steps,"),
    ):
        code, out, err = inside("evaluate", "runs/digits_flow", "bounds=false", *words)
        assert code == 0 and said in out, out + err
        code, out, err = inside("sample", "runs/digits_flow", "seeds=0-3", *words)
        assert code == 0 and said.rstrip(",") in out, out + err
    names = {path.name for path in (run / "generated").glob("*.png")}
    assert len(names) == 16 and any("-steps2-heun" in name for name in names)
    index = json.loads((run / "generated/index.json").read_text())["images"]
    assert {(each["steps"], each.get("guidance")) for each in index.values()} == {
        (2, None),
        (3, 2.0),
        (1, None),
        (3, None),
    }


def test_guidance_of_a_flow_without_hidden_classes(inside, tmp_path):
    trained(inside, "kimg=0.064")
    code, _, err = inside("sample", "runs/digits_flow", "guidance=2")
    assert code == 2 and "guidance=2 needs a flow that knows images without a class too" in err
    code, _, err = inside("evaluate", "runs/digits_flow", "guidance=2", "metrics=fast", "extractor=pixels")
    assert code == 2 and "algorithm.label_dropout=0.1" in err


@pytest.mark.parametrize(
    "words, said",
    [
        (["algorithm.network.levels=16"], "algorithm.network.levels=16: the images have 17 pixel values"),
        (["algorithm.network.patch_size=3"], "patch_size 3 does not divide img_size 8"),
        (["algorithm.solver=rk45"], "algorithm.solver=rk45: it takes euler or heun"),
        (["algorithm.steps=0"], "algorithm.steps=0"),
        (["algorithm.network.prediction=eps"], "algorithm.network.prediction=eps: it takes v or x"),
        (["generator=dcgan"], "generator=dcgan"),
    ],
)
def test_refused(inside, words, said):
    code, _, err = inside("train", *TINY, *words)
    assert code == 2 and said in err and "Traceback" not in err, err


@pytest.mark.parametrize("experiment, how", [
    ("digits", "at once from a latent"), ("digits_gpt", "token by token"), ("digits_vae", "by the decoder of a VAE"),
])  # fmt: skip
def test_steps_of_a_run_that_has_none(inside, refused, experiment, how):
    """What is said of how each makes images is true, wherever another way is asked for."""
    code, out, err = inside(
        "train", f"experiment={experiment}", "kimg=0.064", "batch_size=32", "metrics=none", "logger=none",
        "trainer=cpu", "grid=4", "name=other",
    )  # fmt: skip
    assert code == 0, out + err
    found = refused("sample", "runs/other", "steps=4")
    assert "steps=4: " in found and f"makes images {how}, and this is for a flow; leave it out" in found
    if experiment != "digits_gpt":
        assert f"makes images {how} and cannot continue" in refused("sample", "runs/other", "complete=heldout")
    if experiment != "digits":
        assert f"makes images {how}, and a graph" in refused("export", "runs/other", "to=onnx")
