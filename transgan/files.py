"""Files: whole or absent under their name, UTF-8 whatever the locale, and where what can be made again is kept."""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".tmp"  # of a file that is being written


def expanded(path: str | os.PathLike) -> Path:
    """The path with a `~` at its beginning replaced. Raises ValueError where nobody knows a home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no HOME, and no entry for this user
        raise ValueError(f"{path}: this user has no home folder here; write the path without the ~") from error


def is_utf8(path: str | os.PathLike) -> bool:
    """Whether libraries that pass names to the system in UTF-8, as C++ does, find this file: not in every locale."""
    try:
        return os.fsencode(path) == str(path).encode()
    except UnicodeEncodeError:
        return False


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the name `path` when all of it is on the disk; if anything fails it is gone.

    Its own name is another one every time, so that two writers never write to the same file. Makes the folder. Raises
    OSError, which names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name[:200]}.{secrets.token_hex(4)}{SUFFIX}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(beside)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes the whole file in UTF-8, or leaves it as it was; bytes of a file name that are no text become \\udc.."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def read_text(path: str | os.PathLike) -> str:
    """Raises ValueError if the file is not UTF-8."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not written in UTF-8; save it anew in that encoding") from error


def append_text(path: str | os.PathLike, text: str) -> None:
    """Adds to the end of a file by one write."""
    with open(path, "ab", buffering=0) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def sha256(path: str | os.PathLike) -> str:
    """Of the file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder(*names: str) -> Path:
    """A folder of what costs only time to make again: in $TRANSGAN_CACHE, else ~/.cache/transgan, else, for a user
    without a home, the folder for temporary files. It need not exist or be writable."""
    if given := os.environ.get("TRANSGAN_CACHE"):
        return expanded(given).joinpath(*names)
    try:
        return (Path.home() / ".cache" / "transgan").joinpath(*names)
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir(), f"transgan-{user}").joinpath(*names)
