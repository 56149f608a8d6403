"""One job of a sweep: the function that Hydra's launchers call, in this process, in another one, or on a cluster."""

import gc
import importlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from transgan.config import own
from transgan.config.compose import compose, keys_of
from transgan.errors import OFFERED, UserError
from transgan.numerals import number
from transgan.sweep import records
from transgan.sweep.records import JobRecord
from transgan.sweep.words import as_typed

LOOK = 1.0  # seconds between looks whether the sweep is still there


class SweepStopped(BaseException):
    """A signal that ends the sweep: no Exception, so that no launcher takes it for the failure of one job."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number


@dataclass(frozen=True)
class Job:
    """Trains the run of one job, or continues it, or finds it done. Returns its primary number, nan without one.

    common: the arguments of every job. total: how many jobs there are, None if nobody knows. threads: of a process
    that has others beside it, unless the run says. owner: the sweep's process, on `host`; `local`: whether its end is
    the end of its jobs.
    """

    common: tuple[str, ...]
    total: int | None
    threads: int | None
    local: bool
    owner: int = 0
    host: str = ""

    def __call__(self, config: DictConfig) -> float:
        settings = HydraConfig.get()
        overrides = [as_typed(str(each)) for each in settings.overrides.task]
        sweep = Path(str(settings.sweep.dir)).expanduser()
        name = Path(str(settings.sweep.subdir)).as_posix().replace("=", "-")
        folder = sweep.absolute() if settings.job.chdir else sweep
        words = [*self.common, *overrides, f"runs={folder}", f"name={name}"]
        words = [word for i, word in enumerate(words) if not is_place(word) or i >= len(words) - 2]
        place = f"{settings.job.num + 1}/{self.total}" if self.total else f"{settings.job.num + 1}"
        record = records.read(folder, name) or JobRecord(name)
        if records.is_done(folder, record, words):
            said = f"{record.metric} {number(record.value, 4)}" if record.value is not None else f"{record.kimg:g} kimg"
            print(f"job     {place}: {record.label}: done already, {said}", flush=True)
            return record.result
        remote = os.getpid() != self.owner or socket.gethostname() != self.host
        if remote and (folder / records.FOLDER / records.STOP).exists():
            return math.nan
        record = JobRecord(name, overrides, words)
        with apart(f"[{name}] " if remote else "", self):
            print(f"\njob     {place}: {record.label}" if not remote else f"job     {place}", flush=True)
            records.write(folder, record)
            self.train(record, folder)
            records.write(folder, record)
        if record.code > 128:
            if not remote:
                raise SweepStopped(record.code - 128)
            handler = signal.getsignal(record.code - 128)
            if callable(handler) and "SUBMITIT_EXECUTOR" in os.environ:  # it may start the job again
                handler(record.code - 128, None)
        return record.result

    def train(self, record: JobRecord, sweep: Path) -> None:
        """Fills in how the run ended; what the user must know is on standard error, too."""
        from transgan.sweep.outcome import fill_in, is_finished

        run = sweep / record.name
        try:
            with own.allowed(record.words):
                config = compose("train", record.words)
                offered = OFFERED.set(frozenset(keys_of(config)))
                try:
                    if self.threads is not None and config.threads is None:
                        import torch

                        torch.set_num_threads(self.threads)
                    record.code = importlib.import_module("transgan.commands.train").main(config, record.words)
                finally:
                    OFFERED.reset(offered)
        except UserError as error:
            record.code, record.reason = 2, "; ".join(map(str, error.findings))
        except KeyboardInterrupt:
            record.code, record.reason = 128 + signal.SIGINT, "stopped"
        except Exception as error:
            traceback.print_exc()
            record.code, record.reason = 1, f"{type(error).__name__}: {' '.join(str(error).split())}"
        fill_in(record, run)
        if record.code > 128:
            record.status, record.reason = "stopped", f"stopped by {signal.Signals(record.code - 128).name}"
        elif record.code:
            record.status = "failed"
            print(f"transgan: {record.label}: {record.reason}", file=sys.stderr, flush=True)
        else:
            record.status, record.reason = ("done", "") if is_finished(run) else ("stopped", "not at its end")


def is_place(word: str) -> bool:
    return word.startswith(("runs=", "name="))


@contextmanager
def apart(prefix: str, job: Job) -> Iterator[None]:
    """A job as in a process of its own: what it sets for the whole process is as before when it ends."""
    import torch

    environment, threads = dict(os.environ), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    precision, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    root, showing = logging.getLogger(), warnings.showwarning
    handlers, level = root.handlers[:], root.level
    streams, ended = (sys.stdout, sys.stderr), threading.Event()
    if prefix:
        sys.stdout, sys.stderr = Labelled(sys.stdout, prefix), Labelled(sys.stderr, prefix)
        hear_signals()
        if job.local and socket.gethostname() == job.host and os.name == "posix":
            threading.Thread(target=end_with, args=(job.owner, ended), daemon=True).start()
    try:
        with warnings.catch_warnings():
            try:
                yield
            finally:
                if warnings.showwarning is not showing:  # training has logging show them
                    logging.captureWarnings(False)
    finally:
        ended.set()
        sys.stdout, sys.stderr = streams
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers, root.level = handlers, level
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.benchmark = benchmark
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def hear_signals() -> None:
    """Lets training own the signals of a process that was made for jobs: between jobs they mean nothing there."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name) and "SLURM_JOB_ID" in os.environ:
            signal.signal(getattr(signal, name), signal.SIG_DFL)  # training saves, and asks Slurm for another turn


def end_with(owner: int, ended: threading.Event) -> None:
    """Asks this process to save and end once the sweep's process is gone, as after kill -9."""
    while not ended.wait(LOOK):
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5 * LOOK)
        except PermissionError:
            continue


class Labelled:
    """A stream that begins every line with the name of its job, since several jobs write to one."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self.stream, self.label, self.rest = stream, label, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text.replace("\r", "\n")).split("\n")
        if lines:
            self.stream.write("".join(f"{self.label}{line}\n" for line in lines if line))
            self.stream.flush()
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
