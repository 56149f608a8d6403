"""A person's mistake, told from a fault of the program: some sentences with the way out, and exit code 2."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """What a person got wrong, one sentence per finding."""

    def __init__(self, *findings: str):
        super().__init__("\n".join(findings))
        self.findings = findings
        self.said = False           # by another process
        self.everywhere = False     # known to all processes


@contextmanager
def setting_up(elsewhere: str = "") -> Iterator[None]:
    """While things are put together from what a person asked for, a ValueError or a file's error is theirs.

    `elsewhere` is the command's key that names another place to write to, such as runs=PATH.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(describe(error, elsewhere)) from error
    except Exception as error:
        # Hydra wraps what a constructor raises
        if type(error).__name__ == "InstantiationException" and isinstance(error.__cause__, (ValueError, OSError)):
            raise UserError(describe(error.__cause__, elsewhere)) from error
        raise


PERMISSION = "give yourself permission, or name another place"
CONNECTION = "the drive or network folder is gone; connect it again, or {elsewhere} on a local disk"
GONE = (        # not all of them on every system
    "ENOTCONN", "ESTALE", "ENODEV", "ENXIO", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH",
    "ECONNRESET", "ECONNABORTED", "EREMOTEIO",
)  # fmt: skip
WAYS = {
    errno.ENOSPC: "free some space there, or {elsewhere} on another disk",
    errno.EDQUOT: "free some of your quota, or {elsewhere} on another disk",
    errno.EFBIG: "the disk, or `ulimit -f`, allows no file so large; raise the limit, or {elsewhere}",
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EROFS: "it is read-only; {elsewhere}",
    errno.EIO: "the disk fails, or was taken out; look after it, and {elsewhere} on another disk",
    errno.EMFILE: "raise the number of open files with `ulimit -n 4096`",
    errno.ENFILE: "the machine has too many files open; close other programs",
    errno.ENOMEM: "close other programs, or do with less at a time",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "it is gone; put it back, or name another place",
    errno.ENOTDIR: "a part of this path is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "it is there already; name another place",
    errno.EBUSY: "another program has it; close that, or name another place",
    errno.ELOOP: "its links go round in a circle; name another place",
    **{getattr(errno, name): CONNECTION for name in GONE if hasattr(errno, name)},
}


def describe(error: Exception, elsewhere: str = "") -> str:
    """The sentence of an error; for the system's file errors, with the place and the way out."""
    if not isinstance(error, OSError) or error.strerror is None:
        text = str(error)
        if "Original Traceback" in text:        # of a process that reads images: the last line is the error
            text = text.strip().splitlines()[-1].partition(": ")[2] or text.strip().splitlines()[-1]
        return text
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    way = WAYS.get(error.errno, "mend that, or {elsewhere}")
    named = f"name a place with {elsewhere}" if elsewhere else "name a place"
    return f"{place}{error.strerror}; {way.format(elsewhere=named)}"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that memory did not suffice, on the CPU or the GPU."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error)
        words = ("can't allocate memory", "out of memory", "not enough memory", "Cannot allocate memory", "bad_alloc")
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":        # torch's
            return True
        if getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError) and (
            any(word in text for word in words) or "DataLoader worker" in text and "killed by signal: Killed" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
