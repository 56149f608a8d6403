"""One owner of a run folder at a time."""

import contextlib
import errno
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO

from transgan import files
from transgan.errors import UserError
from transgan.runs.folder import prepare

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
# What a disk answers that knows no locks: some network drives, and some ways to mount them.
UNABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTSUP}

CANNOT = "this disk cannot lock files ({}): nothing keeps a second process from training the same run; start it once"


class Lock:
    """The right to write to a run folder, held by this process until it ends, however it ends.

    A POSIX record lock: the system takes it back from a process that is gone, so none is ever stale; child processes do
    not inherit it; NFS passes it to its server, so that it holds between machines. `unable` says why there is none
    where a disk cannot lock.
    """

    def __init__(self, folder: Path):
        self.path = Path(folder) / NAME
        self.file: BinaryIO | None = None
        self.unable: str | None = None
        self.unwritable: OSError | None = None
        self.made: list[Path] = []  # folders that were not there before

    def acquire(self) -> None:
        """Makes the folder if need be. Raises UserError if another process has it, or if it cannot be made.

        Where nothing can be written, `unwritable` is the error: for a run that is finished that is no matter.
        """
        if self.file is not None:
            return
        folder = self.path.parent
        places = (folder / "checkpoints", folder, *folder.absolute().parents)
        self.made = [place for place in places if not place.exists()]
        prepare(folder)
        try:
            while self.file is None:
                self.open_and_take()
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            self.unwritable = error
            return
        self.file.truncate()
        self.file.write(json.dumps(me()).encode())
        self.file.flush()
        for place in (folder, folder / "checkpoints", folder / "samples"):
            for left in place.glob(f"[!g]*{files.SUFFIX}"):  # of a run that was killed; not of generated.png
                with contextlib.suppress(OSError):
                    left.unlink()

    def open_and_take(self) -> None:
        """Leaves `file` None where another process has just taken the file away."""
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            take(file)
        except OSError as error:
            if error.errno in UNABLE:
                self.unable = error.strerror
            else:
                with file:
                    if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                        raise UserError(refusal(self.path.parent, holder(file))) from error
                    raise
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(self.path)):
                self.file = file
                return
        file.close()

    def close(self) -> None:
        """Others may have the folder now. Where nothing was written to it, it is gone again."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # the disk may be gone
                self.path.unlink()
            with contextlib.suppress(OSError):
                self.file.close()
            self.file = None
        for place in self.made:
            with contextlib.suppress(OSError):
                place.rmdir()


def holder(file: BinaryIO) -> dict[str, Any]:
    """What the process that has the lock has written of itself, as far as it can be read."""
    try:
        found = json.loads(file.read())
        return found if isinstance(found, dict) and set(found) == set(me()) else {}
    except (OSError, ValueError):
        return {}


def owner(folder: Path) -> dict[str, Any] | None:
    """What the process that trains in this folder now says of itself ({} where it says nothing); None without one.

    A file that a killed process has left behind is nobody's.
    """
    try:
        with open(Path(folder) / NAME, "r+b") as file:
            try:
                take(file)
            except OSError as error:
                return holder(file) if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK) else None
    except OSError:  # there is none, or it is not ours to open
        return None
    return None


def take(file: BinaryIO) -> None:
    """Raises OSError at once if the lock cannot be had."""
    if fcntl is None:
        import msvcrt

        file.seek(1 << 30)  # a byte that nobody reads: Windows locks are for readers, too
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def me() -> dict:
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def refusal(folder: Path, holder: dict) -> str:
    who = "another process"
    if holder:
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    return (
        f"{folder} is being trained already, by {who}: wait for it, or stop it and give the same command again; "
        "to train another run beside it, give name=NAME"
    )
