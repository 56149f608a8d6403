"""A user's mistake, as opposed to a fault of the program: sentences with the way out, and exit code 2."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

# The keys of the command that was called, of which alone it may advise; None where none was.
OFFERED: ContextVar[frozenset[str] | None] = ContextVar("OFFERED", default=None)


@runtime_checkable
class WithWays(Protocol):
    """An error that knows the ways out, each under the key that a command must have for it."""

    what: str
    ways: dict[str, str]


class UserError(Exception):
    """What the user got wrong, one sentence per finding."""

    def __init__(self, *findings: str):
        super().__init__("\n".join(findings))
        self.findings = findings
        self.said = False  # by another process
        self.everywhere = False  # known to all processes


@contextmanager
def setting_up(elsewhere: str = "") -> Iterator[None]:
    """While things are put together from what the user asked for, these errors are theirs: a ValueError, a file's
    error, and an object that cannot be made of its settings.

    `elsewhere` is the command's key that names another place to write to, such as runs=PATH.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(describe(error, elsewhere)) from error
    except Exception as error:
        if sentence := not_made(error):
            raise UserError(sentence) from error
        raise


def not_made(error: BaseException) -> str | None:
    """The sentence where Hydra could not make an object, or Lightning refuses its settings; None for other errors."""
    if type(error).__name__ == "MisconfigurationException":
        return f"trainer: {one_line(error)}"
    if type(error).__name__ != "InstantiationException":
        return None
    cause, text = error.__cause__, str(error)
    if isinstance(cause, ValueError | OSError | UserError):
        return describe(cause)
    if cause is not None and (sentence := not_made(cause)):
        return sentence
    found = re.search(r"target '([^']+)'", text)
    target = found[1] if found else "the class"
    found = re.search(r"full_key: (\S+)", text)
    place = f"{found[1]}: " if found else ""
    name = target.split(".")[-1]
    if text.startswith(("Error locating", "Error loading")):
        found = re.search(r"No module named '[^']+'", str(cause))
        reason = f" ({found[0]})" if found else ""
        return f"{place}there is no class {target}{reason}; name one as package.module.Class"
    if found := re.search(r"(\w+)\.__init__\(\) got (?:an|some) unexpected keyword arguments? '?([^']+)'?", str(cause)):
        return f"{place}{found[1]} takes no {found[2]}; leave it out"
    if found := re.search(r"(\w+)\.__init__\(\) missing \d+ required \S+ arguments?: (.+)", str(cause)):
        return f"{place}{found[1]} needs {found[2]} too"
    reason = f"{type(cause).__name__}: {one_line(cause)}" if cause is not None else one_line(error)
    return f"{place}{name} cannot be made with these settings ({reason}); debug=true shows where it stops"


def offered(key: str) -> bool:
    """Whether the command that was called has this key."""
    keys = OFFERED.get()
    return not key or keys is None or key in keys


def one_line(error: object) -> str:
    return " ".join(str(error).split())


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
    errno.ENOENT: "there is nothing at this path; put it there, or name another place",
    errno.ENOTDIR: "a part of this path is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "it is there already; name another place",
    errno.EBUSY: "another program has it; close that, or name another place",
    errno.ELOOP: "its links go round in a circle; name another place",
    **{getattr(errno, name): CONNECTION for name in GONE if hasattr(errno, name)},
}


def describe(error: BaseException, elsewhere: str = "") -> str:
    """The sentence of an error; for the system's file errors, with the place and the way out.

    Of an error with `what` is wrong and `ways` out, by the key each of them needs ("" needs none), those ways are
    given that the command called has the key for.
    """
    if not isinstance(error, OSError) or error.strerror is None:
        if isinstance(error, WithWays):
            ways = [way for key, way in error.ways.items() if offered(key)]
            return error.what + ", or ".join(ways) if ways else error.what.rstrip(" :")
        text = str(error)
        if "Original Traceback" in text:  # of a process that reads images: the last line is the error
            text = text.strip().splitlines()[-1].partition(": ")[2] or text.strip().splitlines()[-1]
        return text
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    if error.errno == errno.EISDIR:  # the way out says what the system would
        return place + WAYS[error.errno]
    way = WAYS.get(error.errno, "mend that, or {elsewhere}")
    named = f"name a place with {elsewhere}" if elsewhere else "name a place"
    return f"{place}{error.strerror}; {way.format(elsewhere=named)}"


OUT_OF_MEMORY = (  # of CUDA and its libraries, of the allocators of the CPU, and of oneDNN, which has no name for it
    "can't allocate memory", "out of memory", "not enough memory", "Cannot allocate memory", "bad_alloc",
    "could not create a primitive", "could not create a memory", "_ALLOC_FAILED",
)  # fmt: skip


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that memory did not suffice, on the CPU or the GPU."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error)
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
            return True
        if getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError) and (
            any(phrase in text for phrase in OUT_OF_MEMORY)
            or "DataLoader worker" in text
            and "killed by signal: Killed" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
