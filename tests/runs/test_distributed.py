"""Several processes train as one does with the same images, whoever has started them; what fails on one of them is reported
by all, and nobody waits for ever."""

import csv
import json
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from srun import free_port
from transgan.callbacks import Evaluation, Session

pytestmark = pytest.mark.slow
EPS = ["optimizer.eps=1.0e-3"]  # else Adam makes much of the last bit of small gradients
ADA = [
    "augmentation=shift",
    "holdout=0.2",
    "adaptive=heldout_gap",
    "adaptive.kimg=0.1",
    "adaptive.every=2",
    "adaptive.target=-1000",
]  # the held-out images are shared out, too
EQUAL = (
    "kimg",
    "augment",
    "loss_d",
    "loss_g",
    "d_real",
    "d_fake",
    "r1",
    "r2",
    "grad_norm_d",
    "grad_norm_g",
    "generator_lr",
)
LENGTH = ["metrics=fast", "evaluate_share=1", "extractor.steps=20", "metrics.num_samples=100", "kimg=0.16",
          "evaluate_every=0.08", "log_every=0.032", "checkpoint_every=0.16"]  # fmt: skip
WAYS = ("devices", "ddp", "torchrun", "srun")


@pytest.fixture(scope="module")
def words(tiny):
    return ["train", *[word for word in tiny if not word.startswith(("kimg", "metrics"))], *LENGTH, *EPS, *ADA]


@pytest.fixture(scope="module")
def started(transgan_process, srun):
    """Starts a command as one process, or as two in one of the ways. -> stdout, stderr"""

    def start(way, words, cwd):
        if way == "srun":
            done = srun(words, cwd)
            assert [each.code for each in done] == [0, 0], done[0].err + done[1].err
            assert not done[1].out
            return done[0].out, done[0].err + done[1].err
        if way == "torchrun":
            program = [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nproc-per-node=2",
                f"--master-port={free_port()}",
            ]
            done = subprocess.run(
                [*program, "-m", "transgan", *words], cwd=cwd, capture_output=True, text=True, timeout=300,
                env=transgan_process.environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        else:
            more = {"devices": ["trainer.devices=2"], "ddp": ["trainer=ddp", "trainer.accelerator=cpu"]}.get(way, [])
            done = transgan_process(*words, *more, cwd=cwd, new=way != "one")
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return start


@pytest.fixture(scope="module")
def runs(started, words, tmp_path_factory):
    """The same run by one process and by two: {way: (folder, stdout, stderr)}."""
    found = {}
    for way in ("one", *WAYS):
        cwd = tmp_path_factory.mktemp(f"by_{way}")
        out, err = started(way, words, cwd)
        assert [path.name for path in (cwd / "runs").iterdir()] == ["digits"]
        found[way] = cwd / "runs" / "digits", out, err
    return found


def stats(run):
    with open(run / "stats.csv") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.mark.parametrize("way", WAYS)
def test_weights(runs, way):
    one, two = (torch.load(runs[n][0] / "checkpoints" / "last.ckpt", weights_only=True) for n in ("one", way))
    assert one["images_seen"] == two["images_seen"] == 160 and one["global_step"] == two["global_step"] == 5
    assert one["state_dict"].keys() == two["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert (value - two["state_dict"][name]).abs().max() <= 1e-6, name


@pytest.mark.parametrize("way", WAYS)
def test_losses(runs, way):
    one, two = stats(runs["one"][0]), stats(runs[way][0])
    assert len(one) == len(two) == 5
    assert [row["augment"] for row in one] == pytest.approx([0, 0, 0.64, 0.64, 1])
    assert sum("overfitting" in row for row in one) == 2
    for a, b in zip(one, two, strict=True):
        # the first line has seen no update: equal there means the same images in the same order
        for name in EQUAL:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("way", WAYS)
def test_metrics(runs, way):
    one, two = (
        [json.loads(line) for line in (runs[n][0] / "metrics.jsonl").read_text().splitlines()] for n in ("one", way)
    )
    assert [line["kimg"] for line in one][:3] == [line["kimg"] for line in two][:3] == [0, 0.096, 0.16]
    assert len(one) == len(two) == 4  # and the best once more, with fresh seeds
    for a, b in zip(one, two, strict=True):
        assert a["protocol"] == b["protocol"]
        for name, value in a["metrics"].items():
            assert b["metrics"][name] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_health(runs, way):
    one, two = (
        torch.load(runs[n][0] / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Health"]
        for n in ("one", way)
    )
    assert len(one["history"]) == len(two["history"]) == 2 and one["finding"][0] == two["finding"][0]
    for a, b in zip(one["history"], two["history"], strict=True):
        assert a.keys() == b.keys() and {"grid_spread", "discriminator_gap", "discriminator_accuracy"} <= a.keys()
        assert b == pytest.approx(a, rel=1e-2)


@pytest.mark.parametrize("way", WAYS)
def test_one_of_them_speaks(runs, way):
    one, two = ([line for line in runs[n][1].splitlines() if not line.startswith("kimg")] for n in ("one", way))
    assert [line.split()[0] for line in one] == [line.split()[0] for line in two]
    assert "Traceback" not in runs[way][2]


def test_one_goes_on_where_two_stopped(runs, inside, words):
    """How many processes is no setting of the run."""
    run = runs["devices"][0]
    code, out, err = inside(*words, "kimg=0.192", f"runs={run.parent}")
    assert code == 0 and "from 0.16" in out, err


@pytest.mark.parametrize("rank, what, codes, says", [
    (1, "no images here", [2, 2], "transgan: process 1 of 2: There is nothing at '/data': give the folder\n"),
    (0, "no images here", [2, 2], "transgan: There is nothing at '/data': give the folder\n"),
    (1, "a picture is gone", [1, 2], "transgan: process 1 of 2 failed: training stopped at 0.064 kimg: 7.png in p can no "
     "longer be read; the same command continues from runs/digits/checkpoints/last.ckpt at 0.064 kimg\n"),
    (0, "a picture is gone", [2, 1], "transgan: training stopped at 0.064 kimg: 7.png in p can no longer be read; "),
    (1, "is killed", [1, -9], "transgan: process 1 of 2 failed: it is gone; the same command continues from "),
])  # fmt: skip
def test_what_fails_on_one_is_reported_by_all(rank, what, codes, says, srun, words, tmp_path):
    done = srun([*words, "checkpoint_every=0.032"], tmp_path, (rank, what))
    assert [each.code for each in done] == codes, done[0].err + done[1].err
    assert says in done[0].err and done[0].err.count("\n") == 1 and done[1].err == ""


@pytest.mark.parametrize("way", ["devices", "torchrun", "srun"])
def test_a_step_is_measured_whoever_has_started_them(way, started, words, tmp_path):
    out, err = started(way, [*words, "dry_run=true"], tmp_path)
    assert out.splitlines()[-1].endswith("dry_run=true stops here"), out
    assert not (tmp_path / "runs").exists()


def test_a_step_is_measured_in_a_batch_script(transgan_process, words, tmp_path):
    """Of four tasks that nobody has started: the script itself starts the command."""
    environment = {
        "SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_NNODES": "1", "SLURM_NODELIST": "localhost",
        "SLURM_JOB_NAME": "train.sh", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
    }  # fmt: skip
    done = transgan_process(*words, "dry_run=true", cwd=tmp_path, **environment)
    assert done.returncode == 0 and "dry_run=true stops here" in done.stdout, done.stderr


@pytest.mark.parametrize("rank, what, says", [
    (0, "no memory here", "these networks need 9 GB"),
    (1, "no memory here", "process 1 of 2: these networks need 9 GB"),
    (1, "too little memory here", "process 1 of 2: a step takes 9 GB"),
])  # fmt: skip
def test_nobody_waits_for_a_step_of_one_that_failed_before(rank, what, says, srun, words, tmp_path):
    done = srun([*words, "dry_run=true"], tmp_path, (rank, what))
    assert [each.code for each in done] == [2, 2], done[0].err + done[1].err
    assert done[0].err == f"transgan: {says}\n" and done[1].err == ""


@pytest.mark.parametrize("rank, codes", [(0, [1, 2]), (1, [2, 1])])
def test_nobody_waits_for_one_with_a_fault_of_ours(rank, codes, srun, words, tmp_path):
    """Of a fault inside blocks that all leave together, and that are inside of one another."""
    done = srun([*words, "dry_run=true"], tmp_path, (rank, "a fault of ours"))
    assert [each.code for each in done] == codes, done[0].err + done[1].err
    assert "Traceback" in done[rank].err and "RuntimeError: a branch not taken" in done[rank].err
    assert done[1 - rank].err == ""


def test_a_main_process_that_is_killed(srun, words, tmp_path):
    done = srun(words, tmp_path, (0, "is killed"))
    assert done[0].code == -9 and done[1].code == 1
    assert done[1].err.startswith("transgan: process 0 of 2 failed: it is gone; nothing was saved yet")


def test_an_evaluation_that_fails_on_one(srun, words, tmp_path):
    """It is null and says why; with several blocks of seeds nobody waits for the next one."""
    for rank, what, says in (
        (1, "cannot draw", "process 1 of 2: no images today"),
        (0, "cannot measure", "no numbers today"),
    ):
        done = srun([*words, "metrics.blocks=2", f"name={rank}"], tmp_path, (rank, what))
        assert [each.code for each in done] == [0, 0], done[0].err + done[1].err
        assert f"evaluation failed at 0 kimg: {says}\n" == done[0].err
        lines = [
            json.loads(line) for line in (tmp_path / "runs" / str(rank) / "metrics.jsonl").read_text().splitlines()
        ]
        values = [line["metrics"]["fd_classifier"] for line in lines]
        assert values[0] is None and all(value > 0 for value in values[1:])


def test_a_port_that_is_taken(srun, words, tmp_path):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        first, second = srun.start(words, tmp_path, MASTER_PORT=port)
        _, err = first.communicate(timeout=120)
        second.kill()  # it waits for five minutes, as for a slow machine
        second.communicate()
    assert first.returncode == 2 and f"MASTER_PORT={port} is taken by another program" in err and err.count("\n") == 1


def test_devices_that_contradict_who_has_started_them(srun, words, tmp_path):
    done = srun([*words, "trainer.devices=4"], tmp_path)
    assert [each.code for each in done] == [2, 2]
    assert "trainer.devices=4: srun has started 2 processes on this machine" in done[0].err


def test_signals_to_one_of_two(srun, words, tmp_path, assert_same_run):
    """One after the other, at every kind of moment, to either process: then the run is that of nobody's signals."""
    words = [*words, "kimg=0.32", "checkpoint_every=0.064"]
    (tmp_path / "whole").mkdir()
    assert [each.code for each in srun(words, tmp_path / "whole")] == [0, 0]
    for rank, moment, name in (
        (0, "before the first step", "SIGTERM"), (1, "amid a step", "SIGTERM"), (0, "while saving", "SIGHUP"),
        (1, "while evaluating", "SIGUSR2"), (0, "amid a step", "SIGINT"),
    ):  # fmt: skip
        done = srun(words, tmp_path, (rank, f"{moment}:{name}"), SLURM_JOB_NAME="x")
        said = "Ctrl-C" if name == "SIGINT" else name
        assert "Traceback" not in done[0].err + done[1].err
        if moment == "before the first step":
            assert f"stopped before the first step by {said}; nothing was saved yet" in done[0].err
            assert done[0].code == 128 + getattr(signal, name) and done[1].code == 1
        else:
            assert f"by {said} and saved; the same command continues" in done[0].out, (moment, done[0].out, done[0].err)
            assert done[1].out == "" and done[1].err == ""
    assert [each.code for each in srun(words, tmp_path)] == [0, 0]
    assert_same_run(tmp_path / "runs" / "digits", tmp_path / "whole" / "runs" / "digits")


def test_compiled_networks_larger_than_the_first_bucket(transgan_process, tmp_path):
    """DDP sends gradients in buckets, the first of 1 MiB; a graph cut at their borders has no second derivative."""
    words = [
        "train", "trainer=cpu", "logger=none", "metrics=none", "batch_size=8", "kimg=0.016", "log_every=0.008", "grid=4",
        "generator.dim=[128]", "discriminator.dim=[128]", "compile=aot_eager", *EPS,
    ]  # fmt: skip
    for name, more in (("one", []), ("two", ["trainer.devices=2"])):
        done = transgan_process(*words, *more, f"name={name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    one, two = (
        torch.load(tmp_path / "runs" / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    assert sum(value.nbytes for name, value in one.items() if name.startswith("discriminator")) > 2**20
    for name, value in one.items():
        assert (value - two[name]).abs().max() <= 1e-5, name


@pytest.mark.parametrize("device", ["cuda:1", "cuda:7", "cpu"])
def test_a_process_evaluates_where_its_strategy_computes(device, tmp_path):
    """The device of a second process is not the first one's, and no torch.device("cuda")."""
    asked = []
    evaluator = SimpleNamespace(
        with_heldout=False, prepare=lambda dataset, heldout, device, main, conditional: asked.append((device, main))
    )
    session = Session(tmp_path, evaluator=evaluator)
    trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), is_global_zero=False, callbacks=[session]
    )
    Evaluation(0.1).setup(trainer, SimpleNamespace(num_classes=0), "fit")
    assert asked == [(torch.device(device), False)]
