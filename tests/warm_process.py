"""Processes that run `python -m transgan`, forked from one that has imported torch and Lightning already.

The imports are four of the five CPU-seconds of a short command. What a test sees is the same: a process of its own with
its own folder, environment, streams, signals and exit code. Where the start of the interpreter is what is tested,
`subprocess` starts one.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

CONTEXT = multiprocessing.get_context("forkserver")
IMPORTED = [
    "pytest", "transgan.commands.train", "transgan.commands.evaluate", "transgan.commands.sample", "transgan.metrics",
    "transgan.training.adversarial", "transgan.models.style_transformer", "transgan.models.vit_discriminator",
]  # fmt: skip


def start_server(environment: Mapping[str, str]) -> None:
    """The process to fork from, once for each worker of xdist; libraries read the environment when they are imported."""
    before = dict(os.environ)
    CONTEXT.set_forkserver_preload(IMPORTED)
    try:
        os.environ.update(environment | {"TORCH_CPP_LOG_LEVEL": "ERROR"})
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def become(
    program: str, words: Sequence[str], cwd: str, environment: Mapping[str, str], out: Connection, err: Connection
) -> None:
    """In the forked process: what an interpreter does with the streams it inherits, then the program."""
    os.setsid()
    for number, source in enumerate((os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())):
        os.dup2(source, number)
    out.close()
    err.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = [program, *words]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


class WarmProcess:
    """What tests use of subprocess.Popen, of a program with these words that leads a session of its own."""

    def __init__(
        self,
        words: Sequence[object],
        cwd: Path,
        environment: Mapping[str, str],
        program: str = "transgan",
        merged: bool = False,
    ) -> None:
        start_server(environment)
        self.args = [program, *map(str, words)]
        pipes = [CONTEXT.Pipe(duplex=False) for _ in range(1 if merged else 2)]
        streams = [into for _, into in pipes]
        self.process = CONTEXT.Process(
            target=become, args=(program, self.args[1:], str(cwd), dict(environment), streams[0], streams[-1])
        )
        self.process.start()
        self.pid = self.process.pid
        for into in streams:
            into.close()
        self.stdout: TextIO = self._reader(pipes[0][0])
        self.stderr: TextIO | None = None if merged else self._reader(pipes[1][0])

    @staticmethod
    def _reader(connection: Connection) -> TextIO:
        with connection:
            return open(os.dup(connection.fileno()), encoding="utf-8")

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    poll = returncode.fget

    def wait(self, timeout: float | None = None) -> int | None:
        self.process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str | None]:
        """Both streams to their ends, then the exit code; after `timeout` seconds the process is killed."""
        late = threading.Event()
        killer = threading.Timer(timeout or 3600, lambda: (late.set(), self.kill()))
        killer.start()
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(self.stderr.read()) if self.stderr else None)
        reader.start()
        out = self.stdout.read()
        reader.join()
        self.process.join()
        killer.cancel()
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        if late.is_set():
            raise subprocess.TimeoutExpired(self.args, timeout or 3600, output=out)
        return out, errors[0] if errors else None
