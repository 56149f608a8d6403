"""Plays a fault or a signal on one of several processes, then runs the command: playing.py RANK WHAT WORDS ...

Started by tests/runs/test_distributed.py as the tasks of an emulated srun.
"""

import os
import signal
import sys

os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # as the command does before torch is imported

import torch  # noqa: E402

import transgan.runs.planned as planned  # noqa: E402
import transgan.runs.training as training  # noqa: E402
from transgan.cli import main  # noqa: E402
from transgan.metrics import Evaluator  # noqa: E402
from transgan.training.adversarial import Adversarial  # noqa: E402


def first(owner, name: str, at: int, act) -> None:
    """Before the n-th call of something, `act`."""
    real, calls = getattr(owner, name), iter(range(1, 10_000))

    def played(*arguments, **named):
        if next(calls) == at:
            act()
        return real(*arguments, **named)

    setattr(owner, name, played)


def raising(error: Exception):
    def act():
        raise error

    return act


def sending(name: str):
    return lambda: os.kill(os.getpid(), getattr(signal, name))


def play(what: str) -> None:
    kind, _, number = what.partition(":")
    if kind == "no images here":
        first(training, "training_data", 1, raising(FileNotFoundError("There is nothing at '/data': give the folder")))
    if kind == "no memory here":
        first(training, "require_memory", 1, raising(ValueError("these networks need 9 GB")))
    if kind == "too little memory here":
        first(planned, "free_bytes", 1, raising(ValueError("a step takes 9 GB")))
    if kind == "a fault of ours":
        first(planned, "free_bytes", 1, raising(RuntimeError("a branch not taken")))
    if kind == "a picture is gone":
        first(Adversarial, "training_step", 3, raising(OSError("7.png in p can no longer be read")))
    if kind == "is killed":
        first(Adversarial, "training_step", 3, sending("SIGKILL"))
    if kind == "cannot draw":
        first(Adversarial, "generate", 1, raising(ValueError("no images today")))
    if kind == "cannot measure":
        first(Evaluator, "measure", 1, raising(ValueError("no numbers today")))
    if kind == "before the first step":
        first(training, "training_data", 1, sending(number))
    if kind == "amid a step":
        first(Adversarial, "step_optimizer", 3, sending(number))
    if kind == "while saving":
        first(torch, "save", 1, sending(number))
    if kind == "while evaluating":
        first(Adversarial, "generate", 1, sending(number))


if __name__ == "__main__":
    rank, what, *words = sys.argv[1:]
    if rank == os.environ["SLURM_PROCID"]:
        play(what)
    sys.exit(main(words))
