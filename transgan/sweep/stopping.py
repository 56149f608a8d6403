"""Signals of a sweep whose jobs are other processes: they get it too, save and end, and no further job begins."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transgan.sweep import records
from transgan.sweep.job import SweepStopped


class Signals:
    """Owns SIGINT, SIGTERM and SIGHUP of the sweep's process. `number`: the first one that came, or None."""

    def __init__(self, sweep: Path, apart: bool, local: bool) -> None:
        self.sweep, self.apart, self.local = sweep, apart, local
        self.number: int | None = None

    @contextmanager
    def owned(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        flag = self.sweep / records.FOLDER / records.STOP
        with suppress(OSError):
            flag.unlink()
        before = {}
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None or name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:  # nohup
                continue
            before[number] = signal.signal(number, self.note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            with suppress(OSError):
                flag.unlink()

    def note(self, number: int, frame: object) -> None:
        """The first one is passed on, and the jobs are waited for; a second one does not wait."""
        if self.number is not None or not (self.apart and self.local):
            self.number = self.number or number
            raise SweepStopped(number)
        self.number = number
        with suppress(OSError):
            (self.sweep / records.FOLDER / records.STOP).touch()
        for record in records.every(self.sweep):
            if records.alive(record):
                with suppress(OSError):
                    os.kill(record.pid, signal.SIGTERM)  # of several that come together the first one counts
