"""generator=from_gpt and discriminator=from_gpt by the commands that a user types: begin, go on, and what is refused."""

import json
import shutil

import pytest
import torch
from omegaconf import OmegaConf

TINY = ["trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4", "log_every=0.064"]
GPT = ["algorithm.network.dim=16", "algorithm.network.depth=2", "algorithm.network.num_heads=2", "tokens=patches"]
BOTH = ["generator=from_gpt", "discriminator=from_gpt", "checkpoint=runs/gpt"]
STILL = [           # what follows the length of the run else
    "algorithm.generator_lr=1.0e-3", "algorithm.discriminator_lr=1.0e-3", "algorithm.beta2=0.99", "algorithm.gamma=1.0",
    "matching=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(transgan_process, tmp_path_factory):
    """The run of an image GPT."""
    cwd = tmp_path_factory.mktemp("pretrained")
    done = transgan_process("train", "experiment=digits_gpt", *TINY, *GPT, "kimg=0.32", "name=gpt", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "gpt"


@pytest.fixture
def gpt(trained, tmp_path):
    """A copy of it in runs/gpt of the folder `inside` works in."""
    return shutil.copytree(trained, tmp_path / "runs" / "gpt")


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def train(inside, *words):
    code, out, err = inside("train", *TINY, *STILL, *words)
    assert code == 0, out + err
    return out


def stack(weights, network):
    prefix = f"{network}.stages.0."
    return {
        n.removeprefix(prefix): v
        for n, v in weights.items()
        if n.startswith(prefix) and (".attn." in n or ".mlp." in n)
    }


def test_the_command_in_a_process_of_its_own(transgan_process, trained, tmp_path):
    """Frozen for longer than the run, and averaged to the end: the weights of the GPT come out as they were."""
    words = ["warm_start.generator.frozen=9", "warm_start.discriminator.frozen=9", f"checkpoint={trained}"]
    done = transgan_process("train", *BOTH[:2], *TINY, *words, "kimg=0.064", "name=gan", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    path = trained / "checkpoints" / "last.ckpt"
    assert done.stdout.count(f"from the image GPT of {path} (0.32 kimg, sha256 ") == 2
    assert done.stdout.count("copied 20 tensors, 6,440 parameters: attention of the blocks, feed-forward of the") == 2
    assert done.stdout.count("what was copied is frozen for 9 kimg") == 2
    run = saved(tmp_path / "runs" / "gan")
    assert run["config"]["warm_start"]["source"] == str(path) and len(run["config"]["warm_start"]["sha256"]) == 64
    theirs = stack(saved(trained)["state_dict"], "network_ema")
    for network in ("generator", "generator_ema", "discriminator"):
        ours = stack(run["state_dict"], network)
        assert ours.keys() == theirs.keys() and len(theirs) == 20
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert all(len(states["param_groups"]) == 2 for states in run["optimizer_states"])


@pytest.mark.parametrize("clip", ["null", "0.1"])
@pytest.mark.slow
def test_a_run_goes_on_bit_by_bit_without_the_gpt(inside, gpt, tmp_path, clip):
    """Cut while frozen, and at the very image at which it ends."""
    words = [
        *BOTH, f"algorithm.clip={clip}", "warm_start.generator.frozen=0.32", "warm_start.generator.lr_factor=0.3",
        "warm_start.discriminator.frozen=0.2", "warm_start.discriminator.norms=true", "warm_start.discriminator.blocks=1",
    ]  # fmt: skip
    train(inside, *words, "name=whole")
    assert "start   generator" in train(inside, *words, "name=parts", "kimg=0.16")
    shutil.rmtree(gpt)
    for kimg in ("0.32", "0.64"):
        out = train(inside, *words, "name=parts", f"kimg={kimg}")
        assert "start   generator" not in out and ", from 0." in out
    whole, parts = (saved(tmp_path / "runs" / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == whole["images_seen"] == 640 and parts["global_step"] == whole["global_step"] == 20
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    for one, other in zip(whole["optimizer_states"], parts["optimizer_states"], strict=True):
        assert one["param_groups"] == other["param_groups"] and one["state"].keys() == other["state"].keys()
        for i, state in one["state"].items():
            assert all(torch.equal(value, other["state"][i][key]) for key, value in state.items())
    assert parts["config"]["warm_start"] == whole["config"]["warm_start"]
    rates = [[group["lr"] for group in states["param_groups"]] for states in whole["optimizer_states"]]
    assert rates == [[1e-3, pytest.approx(3e-4)], [1e-3, 1e-3]]
    # later commands need it as little
    assert inside("sample", "runs/parts", "seeds=0-3", "to=grid")[0] == 0
    assert inside("summary", "runs/parts")[0] == 0


def test_repeated_from_its_own_configuration(inside, gpt, tmp_path):
    train(inside, *BOTH, "name=one", "kimg=0.064")
    code, out, err = inside("train", "config=runs/one/config.yaml", "name=two")
    assert code == 0 and "start   generator" in out, err
    one, two = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("one", "two"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    code, out, err = inside("train", "config=runs/one/config.yaml", "name=three", "generator.num_heads=[4]")
    assert code == 2 and "generator.num_heads=[4]: the image GPT of checkpoint=runs/gpt has num_heads 2" in err


def test_one_network_alone_and_its_size(inside, gpt, tmp_path):
    out = train(inside, "discriminator=from_gpt", "checkpoint=runs/gpt", "name=one", "kimg=0.064")
    assert "start   discriminator" in out and "start   generator" not in out
    config = OmegaConf.load(tmp_path / "runs/one/config.yaml")
    assert config.generator.dim == [48] and config.discriminator.dim == [16] and config.warm_start.generator is None
    code, out, err = inside("summary", "discriminator=from_gpt", "checkpoint=runs/gpt", "json=true")
    size = sum(
        v.numel() for n, v in saved(tmp_path / "runs/one")["state_dict"].items() if n.startswith("discriminator.")
    )
    assert code == 0 and json.loads(out)["discriminator.parameters"] == size


def test_runs_of_before_the_warm_start_go_on(inside, tmp_path):
    """Their configurations have none of its keys, which are null: nothing has changed."""
    small = ["generator.dim=[16]", "generator.depth=[1]", "discriminator.dim=[16]", "discriminator.depth=[1]"]
    train(inside, *small, "name=old", "kimg=0.064")
    path = tmp_path / "runs/old/checkpoints/last.ckpt"
    old = torch.load(path, weights_only=True)
    for key in ("warm_start", "checkpoint"):
        del old["config"][key]
    for key in ("generator_pretrained", "discriminator_pretrained"):
        del old["config"]["algorithm"][key]
    torch.save(old, path)
    assert ", from 0.064" in train(inside, *small, "name=old", "kimg=0.128")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["generator=from_gpt"], "generator=from_gpt needs checkpoint=RUN, the run of an image GPT, a masked model or a flow"),
        (["checkpoint=runs/gpt"], "checkpoint=runs/gpt: nothing takes its weights; add generator=from_gpt"),
        ([*BOTH, "init_from=runs/gpt"], "init_from=runs/gpt would replace all weights"),
        ([*BOTH[:2], "checkpoint=runs/none"], "there is no run folder or checkpoint at runs/none"),
        ([*BOTH, "discriminator.dim=[64]"], "discriminator.dim=[64]: the image GPT of checkpoint=runs/gpt has dim 16"),
        ([*BOTH, "generator.patch_size=4"], "generator.patch_size=4: the image GPT of checkpoint=runs/gpt has patch_size 2"),
        ([*BOTH, "generator.num_heads=[4]"], "generator.num_heads=[4]: the image GPT of checkpoint=runs/gpt has num_heads 2"),
        ([*BOTH, "resolution=16"], "resolution=16: the image GPT of checkpoint=runs/gpt has resolution 8"),
        ([*BOTH, "channels=3"], "channels=3: the image GPT of checkpoint=runs/gpt has channels 1"),
        ([*BOTH, "warm_start.generator.blocks=3"], "warm_start: blocks=3: the stack has 2"),
        ([*BOTH, "warm_start.generator.layers=heads"], ".layers=heads: it takes all, attention or feedforward"),
        ([*BOTH, "warm_start.generator.lr_factor=0.0"], "lr_factor=0.0: it takes a number above 0"),
        (["algorithm=image_gpt", "generator=from_gpt"], "generator=from_gpt: this algorithm (Autoregressive) has no generator"),
        (["warm_start.generator.frozen=1"], "warm_start.generator.frozen is not an option"),
    ],
)  # fmt: skip
def test_refused_in_one_sentence(refused, gpt, words, sentence):
    err = refused("train", *TINY, *words, "name=gan")
    assert sentence in err and err.count("\n") == 1


def test_no_image_gpt(inside, refused, gpt, tmp_path):
    train(inside, "name=gan", "kimg=0.064", "generator.dim=[16]", "discriminator.dim=[16]")
    err = refused("train", *TINY, *BOTH[:2], "checkpoint=runs/gan", "name=other")
    assert "checkpoint=runs/gan: that is a run of a GAN, and this needs an image GPT, a masked model or" in err
    last = gpt / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    assert "is damaged or not a checkpoint (it has 1,000 bytes)" in refused("train", *TINY, *BOTH, "name=other")


def test_a_run_that_goes_on_otherwise(inside, refused, gpt):
    train(inside, *BOTH, "name=gan", "kimg=0.064")
    words = [*TINY, *STILL, "name=gan", "kimg=0.128"]
    assert "another architecture (warm_start.generator.blocks: None -> 1)" in refused(
        "train", *words, *BOTH, "warm_start.generator.blocks=1", "force=true"
    )
    assert "another architecture" in refused("train", *words, *BOTH[1:], "force=true")
    assert "checkpoint: runs/gpt -> runs/gpt/checkpoints/last.ckpt" in refused(
        "train", *words, *BOTH[:2], "checkpoint=runs/gpt/checkpoints/last.ckpt"
    )
    err = refused("train", *words, *BOTH, "warm_start.generator.frozen=2", "warm_start.discriminator.lr_factor=0.5")
    assert "warm_start.generator.frozen: 0.0 -> 2" in err and "warm_start.discriminator.lr_factor: 1.0 -> 0.5" in err
    assert "algorithm." not in err
    assert "generator.dim: [16] -> [48]" in refused("train", *words, *BOTH, "generator.dim=[48]")
    train(inside, *words[-2:], *BOTH, "warm_start.discriminator.lr_factor=0.5", "force=true")


@pytest.mark.slow
def test_masked_images_are_learned_go_on_and_begin_a_discriminator(inside, refused, tmp_path):
    words = [
        "train",
        "experiment=digits_gpt",
        "algorithm=masked",
        *TINY,
        *GPT,
        "algorithm.lr=2.0e-3",
        "evaluate_every=0.32",
    ]
    for more in (["name=whole"], ["name=parts", "kimg=0.32"], ["name=parts"]):
        code, out, err = inside(*words, *more)
        assert code == 0, out + err
    whole, parts = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    lines = [json.loads(line)["metrics"] for line in (tmp_path / "runs/whole/metrics.jsonl").read_text().splitlines()]
    bits = [line["bits_per_dim_heldout"] for line in lines]
    assert bits[-1] < bits[0] - 0.1
    assert inside("sample", "runs/whole", "seeds=0-3", "to=grid", "complete=heldout")[0] == 0
    assert inside("summary", "runs/whole")[0] == 0
    assert "mask_ratio=2: it takes a number above 0 to 1" in refused(*words, "name=other", "algorithm.mask_ratio=2")

    out = train(
        inside, "discriminator=from_gpt", "checkpoint=runs/whole", "name=gan", "warm_start.discriminator.frozen=9"
    )
    assert "start   discriminator from the masked model of " in out and "copied 20 tensors, 6,440 parameters" in out
    ours, theirs = stack(saved(tmp_path / "runs/gan")["state_dict"], "discriminator"), stack(whole, "network_ema")
    assert len(ours) == 20 and all(torch.equal(value, theirs[name]) for name, value in ours.items())
    err = refused(
        "train", *TINY, "discriminator=from_gpt", "checkpoint=runs/whole", "discriminator.dim=[24]", "name=other"
    )
    assert "discriminator.dim=[24]: the masked model of checkpoint=runs/whole has dim 16" in err


@pytest.mark.slow
def test_two_processes_do_what_one_does(inside, srun, trained, tmp_path):
    """Frozen at first: the gradients of what was copied are all-reduced over the processes when they begin to count."""
    words = [
        *BOTH[:2], f"checkpoint={trained}", *TINY, *STILL, "kimg=0.192", "optimizer.eps=1.0e-3",
        "warm_start.generator.frozen=0.096", "warm_start.discriminator.frozen=0.064",
    ]  # fmt: skip
    assert inside("train", *words, "name=one")[0] == 0
    done = srun(["train", *words, "name=two"], tmp_path)
    assert [each.code for each in done] == [0, 0], done[0].err + done[1].err
    one, two = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("one", "two"))
    for name, value in one.items():
        assert (value - two[name]).abs().max() <= 1e-6, name
    theirs = stack(saved(trained)["state_dict"], "network_ema")
    assert all(not torch.equal(value, theirs[name]) for name, value in stack(two, "generator").items())
