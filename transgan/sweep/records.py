"""What is known of each job of a sweep: one file a job in SWEEP/.sweep, written by the process that runs it."""

import contextlib
import math
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from urllib.parse import quote

from transgan import files

FOLDER = ".sweep"
STOP = "stop"  # a file that says that no further job is to begin


@dataclass
class JobRecord:
    """A job and how far it has come.

    overrides: what sets it apart from the others. words: all of its arguments. status: running, done, failed, stopped.
    metric, value: the primary number, lower is better: that of best.ckpt measured again by other seeds where there is
    one, else the last. checkpoint: size and time of last.ckpt when the job was done.
    """

    name: str
    overrides: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    status: str = "running"
    reason: str = ""
    code: int = 0
    kimg: float = 0.0
    metric: str | None = None
    value: float | None = None
    last: float | None = None
    seconds: float = 0.0
    checkpoint: list[int] | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)

    @property
    def result(self) -> float:
        return self.value if self.value is not None else math.nan

    @property
    def label(self) -> str:
        return " ".join(self.overrides) or self.name


def file_of(sweep: Path, name: str) -> Path:
    return sweep / FOLDER / f"{quote(name, safe=' +')}.json"


def write(sweep: Path, record: JobRecord) -> None:
    files.write_json(file_of(sweep, record.name), asdict(record), indent=2)


def read(sweep: Path, name: str) -> JobRecord | None:
    return load(file_of(sweep, name))


def load(path: Path) -> JobRecord | None:
    """The record in a file; None where there is none that can be read."""
    try:
        found = files.read_json(path)
        return JobRecord(**{each.name: found[each.name] for each in fields(JobRecord)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def every(sweep: Path) -> Iterator[JobRecord]:
    """All jobs that have ever begun in this sweep's folder, by name."""
    for path in sorted((sweep / FOLDER).glob("*.json")):
        record = load(path)
        if record is not None:
            yield record


def signature(run: Path) -> list[int] | None:
    """What tells one last.ckpt from another without reading it."""
    try:
        found = (run / "checkpoints" / "last.ckpt").stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def is_done(sweep: Path, record: JobRecord, words: list[str]) -> bool:
    """Whether the job has been done with these very arguments, and its run is as it was then."""
    return record.status == "done" and record.words == words and record.checkpoint == signature(sweep / record.name)


def alive(record: JobRecord) -> bool:
    """Whether the process that runs a job is one of this machine that is there."""
    if record.status != "running" or record.host != socket.gethostname() or os.name != "posix":
        return False
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(record.pid, 0)
        except PermissionError:
            return True
        return True
    return False
