"""A matrix of signals and moments: whatever stops a run, what is said is so, and the same command continues it bit for
bit."""

import os
import signal
import threading
from itertools import cycle

import pytest
import torch

from transgan.metrics import Evaluator
from transgan.training.adversarial import Adversarial

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
LENGTH = [
    "data.limit=100", "kimg=0.256", "log_every=0.064", "sample_every=0.128", "checkpoint_every=0.16", "metrics=fast",
    "extractor=pixels", "metrics.num_samples=20", "evaluate_every=0.064", "evaluate_share=1", "augmentation=shift",
]  # fmt: skip
MOMENTS = {     # what is done at that moment: (owner, name), and at which time it is called
    "before the first step: reading images": ("transgan.runs.training.training_data", 1),
    "before the first step: features of real images": (Evaluator, "prepare", 1),
    "before the first step: the first pictures": (Adversarial, "generate", 1),
    "amid a step": (Adversarial, "step_optimizer", 6),             # of the discriminator's, and then of the generator's
    "while saving": (torch, "save", 1),
    "while evaluating": (Evaluator, "measure", 2),
}  # fmt: skip


@pytest.fixture
def words(tiny):
    return ["train", *[word for word in tiny if not word.startswith(("kimg", "metrics"))], *LENGTH]


@pytest.fixture(scope="module")
def whole(transgan_process, tiny, tmp_path_factory):
    """The run nobody disturbed."""
    cwd = tmp_path_factory.mktemp("whole")
    done = transgan_process("train", *tiny, *LENGTH, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "digits"


@pytest.fixture
def strike(monkeypatch):
    """Makes the n-th call of something deliver a signal, or another thing, first: strike(moment, act)."""

    def arm(moment: str, act):
        *place, at = MOMENTS[moment]
        owner, name = place if len(place) == 2 else place[0].rsplit(".", 1)
        if isinstance(owner, str):
            owner = __import__(owner, fromlist=[name])
        real, calls = getattr(owner, name), iter(range(1, 10_000))

        def struck(*arguments, **named):
            if next(calls) == at:
                act()
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, struck)

    return arm


def images_seen(run) -> int | None:
    path = run / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["images_seen"] if path.exists() else None


def covered() -> list[tuple[signal.Signals, str, int]]:
    """Every moment with Ctrl-C, which has a meaning of its own, and with two of the others, which have one together; with
    processes that read images, where they do by then. Every signal comes at several moments."""
    turns = cycle(SIGNALS[1:])
    return [
        (number, moment, workers)
        for moment in MOMENTS
        for number, workers in zip((signal.SIGINT, next(turns), next(turns)), (0, 0, 2), strict=True)
        if not (workers and moment.startswith("before"))  # no process reads images yet
    ]


@pytest.mark.parametrize("number, moment, workers", covered(), ids=lambda it: getattr(it, "name", str(it)))
def test_a_signal_at_any_moment(
    number, moment, workers, inside, words, whole, strike, assert_same_run, tmp_path, monkeypatch
):
    assert threading.current_thread() is threading.main_thread()
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = [signal.getsignal(each) for each in SIGNALS]
    strike(moment, lambda: os.kill(os.getpid(), number))
    code, out, err = inside(*words, f"num_workers={workers}")
    assert code == 128 + number and "Traceback" not in err and "done" not in out
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    run = tmp_path / "runs" / "digits"
    if moment.startswith("before"):
        if "pictures" in moment:  # training has begun, and ends after its first step
            assert f"stopped at 0.032 kimg by {name} and saved" in out and images_seen(run) == 32
        else:
            assert f"stopped before the first step by {name}; nothing was saved yet" in err and images_seen(run) is None
    else:
        seen = images_seen(run)
        assert f"stopped at {seen / 1000:g} kimg by {name} and saved; the same command continues" in out
        assert 0 < seen < 256
    assert [signal.getsignal(each) for each in SIGNALS] == before, "the signals are given back"
    begun = images_seen(run) is not None
    code, out, err = inside(*words, f"num_workers={2 - workers}")
    assert code == 0 and (", from " in out) == begun, err
    assert_same_run(run, whole)


@pytest.mark.parametrize("number", SIGNALS[1:], ids=lambda number: number.name)
def test_again_and_again_changes_nothing(number, inside, words, whole, strike, assert_same_run, tmp_path):
    """Schedulers send a signal to every process, and once more: only a second Ctrl-C means that a user is in a hurry."""
    strike("amid a step", lambda: [os.kill(os.getpid(), number) for _ in range(3)])
    code, out, err = inside(*words)
    assert code == 128 + number and "and saved; the same command continues" in out, err
    assert inside(*words)[0] == 0
    assert_same_run(tmp_path / "runs" / "digits", whole)


def test_what_nohup_ignores_stays_ignored(inside, words, strike, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        strike("amid a step", lambda: os.kill(os.getpid(), signal.SIGHUP))
        code, out, err = inside(*words)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert code == 0 and "done" in out, err


def test_a_signal_at_the_last_step_of_a_run_that_is_done(inside, words, whole, strike, assert_same_run, tmp_path):
    MOMENTS["amid the last step"] = (Adversarial, "step_optimizer", 16)
    strike("amid the last step", lambda: os.kill(os.getpid(), signal.SIGTERM))
    code, out, err = inside(*words)
    assert code == 0 and "done" in out and "stopped" not in out, err
    assert_same_run(tmp_path / "runs" / "digits", whole)


def test_a_signal_while_the_best_is_measured_again(inside, words, strike, tmp_path):
    MOMENTS["after"] = ("transgan.runs.ending.measure_again", 1)
    strike("after", lambda: os.kill(os.getpid(), signal.SIGTERM))
    code, out, err = inside(*words, "evaluate_at_start=false")
    run = tmp_path / "runs" / "digits"
    assert code == 143 and images_seen(run) == 256, out + err
    assert "stopped after training by SIGTERM" in err and "at 0.256 kimg" in err
    code, out, err = inside(*words, "evaluate_at_start=false")
    assert code == 0 and "is finished: 0.256 of 0.256 kimg" in out


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=lambda number: number.name)
@pytest.mark.parametrize("answers, code, says", [
    ("exit 0", 0, "requeued Slurm's job 77_3"),
    ("echo 'Invalid job id' >&2; exit 1", 1, "job 77_3 could not be requeued: Invalid job id"),
    (None, 1, "there is no scontrol here"),
])  # fmt: skip
def test_slurm_is_asked_to_start_the_job_again(
    number, answers, code, says, inside, words, whole, strike, assert_same_run, tmp_path, monkeypatch
):
    programs = tmp_path / "bin"
    programs.mkdir()
    if answers is not None:
        (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{answers}\n')
        (programs / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name, value in (("JOB_ID", "80"), ("ARRAY_JOB_ID", "77"), ("ARRAY_TASK_ID", "3"), ("NTASKS", "1")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    strike("amid a step", lambda: os.kill(os.getpid(), number))
    got, out, err = inside(*words)
    assert got == code and says in out + err and "and saved; the same command continues" in out
    assert answers is None or (tmp_path / "asked").read_text() == "requeue 77_3\n"
    assert inside(*words)[0] == 0
    assert_same_run(tmp_path / "runs" / "digits", whole)
    assert not list(tmp_path.rglob("hpc_ckpt*"))


def test_a_step_without_a_finite_gradient_just_before(inside, words, whole, strike, monkeypatch, tmp_path):
    """It is saved all the same, and counts on."""

    def act():
        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(torch.nn.utils, "get_total_norm", lambda *_, **__: torch.tensor(float("nan")))

    strike("amid a step", act)
    code, out, err = inside(*words)
    run = tmp_path / "runs" / "digits"
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert code == 143 and f"stopped at {saved['images_seen'] / 1000:g} kimg" in out
    assert sum(saved["nonfinite"].values()) == sum(saved["in_a_row"].values()) > 0
    monkeypatch.undo()


def test_a_time_limit_saves_and_is_no_end(inside, words, whole, assert_same_run, tmp_path):
    for seen in (32, 64):
        code, out, err = inside(*words, "trainer.max_time=00:00:00:00")
        assert code == 0 and "done" not in out, err
        assert f"stopped at {seen / 1000:g} kimg, after trainer.max_time, and saved; the same command continues" in out
    assert inside(*words)[0] == 0
    assert_same_run(tmp_path / "runs" / "digits", whole)


@pytest.mark.parametrize("limit", ["soon", "1:2", "{hours:3}", "-1"])
def test_a_time_limit_is_understood_or_refused(limit, refused, words):
    assert "trainer.max_time" in refused(*words, f"trainer.max_time={limit}")
