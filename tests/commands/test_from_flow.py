"""What begins with a flow or a masked model, by the commands that a user types: begin, go on, and what is refused."""

import csv
import json
import shutil

import pytest
import torch

from command_line import assert_same_image

TINY = ["trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4", "log_every=0.064"]
STACK = ["algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2"]
SHORT = ["algorithm.teacher_steps=2"]
GAN = [
    "algorithm.generator_lr=1.0e-3", "algorithm.discriminator_lr=1.0e-3", "algorithm.beta2=0.99", "algorithm.gamma=1.0",
    "algorithm.transport=0.1", "matching=none", "holdout=0.2", "discriminator=from_flow",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(transgan_process, tmp_path_factory):
    """The runs of a flow and of a masked model."""
    cwd = tmp_path_factory.mktemp("pretrained")
    for words in (["experiment=digits_flow", *STACK, "name=flow"], ["experiment=digits_masked", *STACK, "name=masked"]):
        done = transgan_process("train", *words, *TINY, "kimg=0.32", cwd=cwd)
        assert done.returncode == 0, done.stderr
    return cwd / "runs"


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of them in the folder that `inside` works in."""
    return shutil.copytree(trained, tmp_path / "runs")


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def train(inside, *words):
    code, out, err = inside("train", *TINY, *words)
    assert code == 0, out + err
    return out


KINDS = {
    "student": ["algorithm=student", "generator=from_flow", "checkpoint=runs/flow", *SHORT, "algorithm.lr=1.0e-3"],
    "drifting": ["algorithm=drifting", "checkpoint=runs/masked", "algorithm.lr=1.0e-3", "batch_size=40"],
    "gan": ["generator=from_flow", "checkpoint=runs/flow", *GAN],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_bit_by_bit(inside, runs, kind):
    """Also where the run that it began with has gone."""
    out = train(inside, *KINDS[kind], "name=whole")
    source = "masked model" if kind == "drifting" else "flow"
    assert f"the {source} of {runs}/{source.split()[0]}/checkpoints/last.ckpt (0.32 kimg, sha256 " in out
    train(inside, *KINDS[kind], "name=parts", "kimg=0.32")
    shutil.rmtree(runs / source.split()[0])
    train(inside, *KINDS[kind], "name=parts")
    whole, parts = (saved(runs / name) for name in ("whole", "parts"))
    assert parts["images_seen"] == whole["images_seen"] == 640
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    for path in ("samples/000000_640.png", "samples/reals.png"):
        assert_same_image(runs / "whole" / path, runs / "parts" / path)
    for words in (
        ["sample", "runs/whole", "seeds=0-3"],
        ["evaluate", "runs/whole", "metrics=fast", "extractor=pixels"],
    ):
        code, out, err = inside(*words)
        assert code == 0, out + err


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "flow"])
def test_two_processes_train_as_one(inside, srun, runs, tmp_path, kind):
    words = KINDS.get(kind, ["experiment=digits_flow", *STACK, "algorithm.lr=1.0e-3", "algorithm.label_dropout=0.2"])
    # eps: else Adam makes much of the last bit of small gradients
    eps = "optimizer.eps=1.0e-3" if kind == "gan" else "algorithm.optimizer.eps=1.0e-3"
    words = ["train", *TINY, *words, eps, "kimg=0.32", *["discriminator.time=null"] * (kind == "gan")]
    assert inside(*words, "name=one")[0] == 0
    done = srun([*words, "name=two"], tmp_path)
    assert [each.code for each in done] == [0, 0], done[0].err + done[1].err
    one, two = (saved(runs / name)["state_dict"] for name in ("one", "two"))
    for name, value in one.items():
        assert (value - two[name]).abs().max() <= 5e-6, name


def test_everything_comes_from_the_flow(inside, runs):
    words = [
        f"warm_start.{name}.{key}" for name in ("generator", "discriminator") for key in ("freeze=all", "frozen=9")
    ]
    out = train(inside, *KINDS["gan"], *words, "kimg=0.064", "name=gan")
    assert out.count("what was copied are frozen for 9 kimg") == 2 and "from scratch" in out
    theirs, ours = (saved(runs / name)["state_dict"] for name in ("flow", "gan"))
    for name, value in theirs.items():
        if name.startswith("network_ema."):
            own = name.removeprefix("network_ema.")
            assert torch.equal(ours[f"generator.{own}"], value)
            if not own.startswith("output."):
                assert torch.equal(ours[f"discriminator.{own}"], value)


def test_a_student_can_be_begun_with_as_well(inside, runs):
    train(inside, *KINDS["student"], "name=student", "kimg=0.064")
    for words in (["sample"], ["evaluate", "metrics=fast", "extractor=pixels"]):
        for key in ("psi", "temperature"):
            code, out, err = inside(words[0], "runs/student", *words[1:], f"{key}=0.8")
            assert code == 2 and f"{key}=0.8: " in err and "no styles to truncate; leave it out" in err, out + err
    out = train(inside, *KINDS["gan"], "checkpoint=runs/student", "kimg=0.064", "name=gan")
    assert out.count("from the one-step generator of ") == 2


def test_a_comparison_counts_everything_that_came_before(inside, runs):
    train(inside, *KINDS["student"], "name=student", "kimg=0.064", "holdout=0.2")
    train(inside, *KINDS["gan"], "checkpoint=runs/student", "kimg=0.128", "name=gan")
    words = ["compare", "runs/gan", "runs/student", "runs/flow", "metrics=fast", "extractor=pixels", "num_samples=64"]
    code, out, err = inside(*words, "speed_images=4")
    assert code == 0, out + err
    with open("comparisons/runs/comparison.csv") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert [float(rows[name]["kimg"]) for name in ("flow", "student", "gan")] == [0.32, 0.384, 0.512]
    assert float(rows["gan"]["pretraining_kimg"]) == pytest.approx(0.384) and rows["flow"]["bits_per_dim_heldout"]


def test_what_came_before_costs_what_it_had_cost_then(inside, runs):
    """However it has gone on, and where it is gone."""
    train(inside, *KINDS["student"], "name=student", "kimg=0.064", "holdout=0.2")
    train(inside, "experiment=digits_flow", *STACK, "name=flow", "kimg=0.64")
    words = ["compare", "runs/student", "runs/flow", "metrics=fast", "extractor=pixels", "num_samples=64"]
    found = []
    for became in ("has changed since", "is gone"):
        code, out, err = inside(*words, "speed_images=4")
        text = " ".join(open("comparisons/runs/comparison.md").read().split())
        assert code == 0 and f"{became}: its cost is that of the 0.32 kimg that it had then" in text, out + err
        with open("comparisons/runs/comparison.csv") as file:
            rows = {row["system"]: row for row in csv.DictReader(file)}
        found.append((rows["student"]["pretraining_kimg"], rows["student"]["pretraining_seconds"]))
        if became != "is gone":
            (runs / "flow").rename(runs / "moved")
            words[2] = "runs/moved"
        shutil.rmtree("comparisons")
    assert found[0] == found[1] and found[0][0] == "0.32" and float(found[0][1]) > 0


def test_what_it_had_at_first_is_no_untrained_generators(inside, runs):
    words = ["metrics=fast", "extractor=pixels", "metrics.num_samples=64", "evaluate_at_start=true", "kimg=0.064"]
    out = train(inside, *KINDS["gan"], "name=gan", *words)
    (said,) = [line for line in out.splitlines() if line.startswith("good ")]
    first = json.loads((runs / "gan/metrics.jsonl").read_text().splitlines()[0])
    assert first["kimg"] == 0 and f"as it began {first['metrics']['fd_pixels']:.3g}" in said


def test_the_stack_of_a_flow_goes_into_a_generator_of_styles(inside, runs):
    out = train(inside, "generator=from_gpt", "checkpoint=runs/flow", "warm_start.generator.norms=true", "kimg=0.064")
    assert "generator from the flow of " in out and "norms of the blocks" in out


def test_a_student_learns_with_the_guidance_of_the_flow(inside, runs):
    """Unless it is given another one; and its own command continues it."""
    flow = ["experiment=digits_flow", *STACK, "algorithm.label_dropout=0.2", "algorithm.guidance=2", "name=guided"]
    train(inside, *flow, "kimg=0.064")
    for more, expected in (([], 2.0), (["algorithm.teacher_guidance=1.5"], 1.5)):
        words = [*KINDS["student"], "checkpoint=runs/guided", f"name=student{expected:g}", *more]
        for kimg in ("0.064", "0.128"):
            train(inside, *words, f"kimg={kimg}")
            kept = saved(runs / f"student{expected:g}")["config"]["algorithm"]
            assert kept["teacher_guidance"] == expected


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_what_determines_no_weight_is_the_users(inside, runs, network):
    train(inside, *KINDS["gan"], f"{network}.transformer.checkpointing=true", "name=gan", "kimg=0.032")
    found = saved(runs / "gan")["config"]
    other = "discriminator" if network == "generator" else "generator"
    assert found[network]["transformer"]["checkpointing"] and not found[other]["transformer"]["checkpointing"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["generator=from_flow"], "generator=from_flow needs checkpoint=RUN, the run of a flow or a one-step generator"),
        (["algorithm=student", "generator=from_flow"], "generator=from_flow needs checkpoint=RUN, the run of a flow; "),
        (["algorithm=student"], "algorithm=student needs checkpoint=RUN, the run of a flow; train one with algorithm=flow"),
        (["generator=from_flow", "checkpoint=runs/masked"], "that is a run of a masked model, and this needs a flow or"),
        (["algorithm=drifting", "checkpoint=runs/flow"], "that is a run of a flow, and this needs a masked model; train"),
        (["generator=from_flow", "checkpoint=runs/flow", "generator.dim=32"],
         "generator.dim=32: the flow of checkpoint=runs/flow has dim 16"),
        (["generator=from_flow", "checkpoint=runs/flow", "resolution=16"],
         "resolution=16: the flow of checkpoint=runs/flow has resolution 8; give resolution=8"),
        (["generator=from_flow", "checkpoint=runs/flow", "conditional=false"],
         "generator=from_flow begins with a flow of 10 classes"),
        (["algorithm=drifting", "checkpoint=runs/masked", "conditional=false"],
         "algorithm=drifting begins with a masked model of 10 classes"),
        (["algorithm=drifting", "checkpoint=runs/masked", "algorithm.images_per_class=null"],
         "needs 4 or more of each of 10 classes, about 3.2 in a batch; give batch_size=40 or more, algorithm.images_per_"),
        ([*KINDS["student"], "mirror=true"], "mirror=true: a student looks at no real images, and the flow of"),
        ([*KINDS["student"], "algorithm.teacher_guidance=2"],
         "algorithm.teacher_guidance=2: the flow of checkpoint=runs/flow does not know images without a class; leave"),
        ([*KINDS["student"], "algorithm.reuse=1", "algorithm.delay=3"], "algorithm.delay=3: with algorithm.reuse=1"),
        ([*KINDS["gan"], "warm_start.generator.freeze=all"],
         "warm_start.generator.freeze=all: nothing is frozen; give warm_start.generator.frozen=KIMG as well"),
        (["experiment=digits_flow", "conditional=false", "algorithm.label_dropout=0.1"],
         "algorithm.label_dropout=0.1: it hides classes, and there are none; leave it out"),
        (["algorithm=drifting", "conditional=false", "algorithm.images_per_class=16"],
         "algorithm.images_per_class=16: it puts images of a class beside each other, and there are no classes; leave"),
        (["algorithm=drifting", "generator=from_flow", "checkpoint=runs/flow"],
         "generator=from_flow and algorithm=drifting begin with runs of two kinds; leave one out"),
        (["algorithm.transport=0.1"], "algorithm.transport compares an image with the noise it is made of"),
        (["generator=one_step", "generator.levels=17"],
         "generator.levels=17: a one-step generator has no levels; leave it out"),
        (["generator=from_flow", "checkpoint=runs/flow", "generator.quantise=false"],
         "generator.quantise=False: a one-step generator has no levels; leave it out"),
        (["generator=one_step", "generator.prediction=eps"], "generator.prediction=eps: it takes v or x"),
        (["algorithm=student", "checkpoint=runs/flow"], "takes latents of 32 numbers, and the flow's noise has 64"),
    ],
)  # fmt: skip
def test_refused(inside, runs, words, said):
    code, out, err = inside("train", *TINY, *words)
    assert code == 2 and said in err and "Traceback" not in err, out + err
    assert {path.name for path in runs.iterdir()} == {"flow", "masked"}


def test_all_that_does_not_fit_is_said_before_a_step_is_measured(inside, runs):
    words = [
        *KINDS["student"],
        "conditional=false",
        "resolution=16",
        "algorithm.reuse=1",
        "algorithm.delay=3",
        "dry_run=true",
    ]
    code, out, err = inside("train", *TINY, *words)
    assert code == 2 and "Traceback" not in err and "cost " not in out, out + err
    assert [line.partition(": ")[2].split()[0] for line in err.splitlines()] == [
        "algorithm.delay=3:", "resolution=16:", "generator=from_flow"
    ]  # fmt: skip


def test_images_that_the_flow_has_seen_are_no_longer_held_out(inside, runs):
    """Said where it begins, and refused in a table."""
    out = train(inside, *KINDS["student"], "name=student", "kimg=0.064", "holdout=0.3")
    assert "note    checkpoint=runs/flow: that flow was trained with holdout=0.2 and has seen 180 of" in out
    assert "that flow" not in train(inside, *KINDS["student"], "name=less", "kimg=0.064")
    words = ["compare", "runs/student", "runs/flow", "metrics=fast", "extractor=pixels", "num_samples=64"]
    code, out, err = inside(*words)
    assert code == 2 and "which was trained on other images (holdout=0.2 and holdout=0.3)" in err, out + err
