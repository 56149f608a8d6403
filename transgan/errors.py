"""A person's mistake, told from a fault of the program: some sentences with the way out, and exit code 2."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# The keys of the command that was called, of which alone it may advise; None where none was.
OFFERED: ContextVar[frozenset[str] | None] = ContextVar("OFFERED", default=None)


class UserError(Exception):
    """What a person got wrong, one sentence per finding."""

    def __init__(self, *findings: str):
        super().__init__("\n".join(findings))
        self.findings = findings


@contextmanager
def setting_up() -> Iterator[None]:
    """While things are put together from what a person asked for, these errors are theirs: a ValueError, a file's
    error, and an object that cannot be made of its settings."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(describe(error)) from error
    except Exception as error:
        if sentence := not_made(error):
            raise UserError(sentence) from error
        raise


def not_made(error: Exception) -> str | None:
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


def one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())


def describe(error: Exception) -> str:
    """The sentence of an error; for the system's file errors, with the place and the way out.

    Of an error with `what` is wrong and `ways` out, by the key each of them needs ("" needs none), those ways are told
    that the command called has the key for.
    """
    if not isinstance(error, OSError) or error.strerror is None:
        if not hasattr(error, "ways"):
            return str(error)
        ways = [way for key, way in error.ways.items() if offered(key)]
        return error.what + ", or ".join(ways) if ways else error.what.rstrip(" :")
    ways = {
        errno.ENOSPC: "free some space there, or keep runs elsewhere with runs=PATH",
        errno.EDQUOT: "free some of your quota, or keep runs elsewhere with runs=PATH",
        errno.EACCES: "give yourself permission, or name another place",
        errno.EPERM: "give yourself permission, or name another place",
        errno.EROFS: "it is read-only; name another place, such as runs=PATH",
    }
    place = f"{error.filename}: " if error.filename else ""
    way = ways.get(error.errno)
    return f"{place}{error.strerror}" + (f"; {way}" if way else "")
