"""The trainings of a suite, each a `transgan train` of its own: which are done, and how the others are run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transgan import checkpoint, files
from transgan.launched import alone
from transgan.runs.parent import ENDS_WITH


@dataclass(frozen=True)
class Job:
    """One `transgan train`: name of the run, its arguments, and how far it goes."""

    name: str
    arguments: tuple[str, ...]
    kimg: float


def finished(folder: Path, job: Job) -> bool:
    """Whether a run was trained by this very command, to its end."""
    if not (folder / "env.json").exists() or not (folder / "checkpoints" / "last.ckpt").exists():
        return False
    command = files.read_json(folder / "env.json")["command"]
    if command[2:] != list(job.arguments):
        return False  # train says whether it goes on, or what differs
    return checkpoint.read(folder / "checkpoints" / "last.ckpt")["images_seen"] >= 1000 * job.kimg


def run_all(jobs: list[Job], count: int, logs: Path, say: Callable[[str], None]) -> Iterator[tuple[Job, str]]:
    """Runs `transgan train` for each, `count` at a time. Yields each that failed, with a sentence."""
    logs.mkdir(parents=True, exist_ok=True)
    waiting, done = list(jobs), 0
    running: dict[subprocess.Popen[bytes], tuple[Job, Path, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < count:
                job = waiting.pop(0)
                log = logs / f"{job.name}.txt"
                with open(log, "wb") as file:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "transgan", "train", *job.arguments],
                        stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                        env=alone()
                        | {"PYTHONPATH": path_of_this_package(), "PYTHONIOENCODING": "utf-8:replace"}
                        | {ENDS_WITH: str(os.getpid())},
                        start_new_session=True,             # a Ctrl-C is for this process, which tells them once
                    )  # fmt: skip
                running[process] = job, log, time.monotonic()
            time.sleep(0.1)
            for process in [each for each in running if each.poll() is not None]:
                job, log, start = running.pop(process)
                done += 1
                say(f"        {done}/{len(jobs)} {job.name}: {job.kimg:g} kimg, {time.monotonic() - start:.0f} s")
                if process.returncode:
                    said = [line for line in said_in(log) if line.startswith("transgan: ")]
                    reason = said[-1].removeprefix("transgan: ") if said else f"exit code {process.returncode}"
                    yield job, f"{job.name} was not trained: {reason} ({log})"
    finally:
        for process in running:  # they save themselves
            process.terminate()
        for process in running:
            process.wait()


@contextmanager
def ending_well(say: Callable[[str], None]) -> Iterator[None]:
    """SIGTERM ends the suite as Ctrl-C does, so that the runs in training are asked to save."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    # a shell that starts this in the background has it ignored
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        say("stopped; the same command continues")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def said_in(log: Path) -> list[str]:
    """The lines of a log, as far as they are text: whatever a run calls may write to it."""
    return log.read_bytes().decode("utf-8", "replace").splitlines()


def path_of_this_package() -> str:
    """PYTHONPATH with which a child imports the same transgan."""
    here = str(Path(__file__).parents[2])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
