"""A person's mistake, told from a fault of the program: some sentences with the way out, and exit code 2."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """What a person got wrong, one sentence per finding."""

    def __init__(self, *findings: str):
        super().__init__("\n".join(findings))
        self.findings = findings


@contextmanager
def setting_up() -> Iterator[None]:
    """While things are put together from what a person asked for, a ValueError or a file's error is theirs."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(describe(error)) from error
    except Exception as error:
        # Hydra wraps what a constructor raises
        if type(error).__name__ == "InstantiationException" and isinstance(error.__cause__, (ValueError, OSError)):
            raise UserError(describe(error.__cause__)) from error
        raise


def describe(error: Exception) -> str:
    """The sentence of an error; for the system's file errors, with the place and the way out."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
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
