"""Files: complete or absent under their name, UTF-8 in every locale; JSON, JSON lines, CSV, hashes, and the cache."""

import csv
import hashlib
import io
import json
import math
import os
import secrets
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

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


def is_unicode(name: str) -> bool:
    """Whether a name has no byte that is not UTF-8, which Python keeps as a surrogate."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_shell(path: str | os.PathLike) -> str:
    """A path as a shell reads it; as $'...' with escapes where it cannot be printed as it is."""
    text = str(path)
    if text.isprintable():  # surrogates are not
        return shlex.quote(text)
    plain = {"'": "\\'", "\\": "\\\\"}
    signs = (plain.get(sign, sign) if sign.isprintable() else escaped(sign) for sign in text)
    return f"$'{''.join(signs)}'"


def escaped(sign: str) -> str:
    """The bytes of a character in a file's name, in octal, which no following character can prolong."""
    return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))


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


def remove_halves(folder: Path, names: Iterable[str]) -> None:
    """Removes what a process that was killed amid `replacing` files of these names has left in a folder."""
    wanted, now = set(names), time.time()
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name.removesuffix(SUFFIX).rpartition(".")[0] in wanted and path.stat().st_mtime < now:
            path.unlink(missing_ok=True)


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


def plain(node: Any) -> Any:
    """Nested containers as strict JSON holds them: every number that is not finite is None, tuples are lists."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [plain(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def read_json(path: str | os.PathLike) -> Any:
    """Raises ValueError if the file is not JSON in UTF-8."""
    return json.loads(read_text(path))


def write_json(path: str | os.PathLike, content: Any, indent: int | None = 1) -> Path:
    """Strict JSON, complete or as it was before. Returns the path."""
    write_text(path, json.dumps(plain(content), indent=indent, allow_nan=False) + "\n")
    return Path(path)


def append_json_line(path: str | os.PathLike, content: Any) -> None:
    """One line of strict JSON in one write."""
    append_text(path, json.dumps(plain(content), allow_nan=False) + "\n")


def read_json_lines(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The objects of a file, one a line, without lines that are incomplete; none where there is no file."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:  # cut off, or zeros of a disk that lost power
            continue
        if isinstance(content, dict):
            found.append(content)
    return found


def keep_json_lines(path: str | os.PathLike, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Removes the lines that are incomplete or not to be kept; the others stay as they are."""
    if not Path(path).exists():
        return
    kept = []
    for line in Path(path).read_bytes().splitlines():
        try:
            if keep(json.loads(line)):
                kept.append(line.decode() + "\n")
        except (ValueError, KeyError, TypeError):  # cut off, or zeros of a disk that lost power
            continue
    write_text(path, "".join(kept))


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def read_csv(path: str | os.PathLike) -> list[list[str]]:
    """The rows of a file, the header first; none where there is no file."""
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            return list(csv.reader(line.replace("\0", "") for line in file))  # zeros: a disk that lost power
    except FileNotFoundError:
        return []


def write_csv(path: str | os.PathLike, rows: Iterable[Sequence[Any]]) -> None:
    write_text(path, csv_text(rows))


def append_csv(path: str | os.PathLike, rows: Iterable[Sequence[Any]]) -> None:
    """Rows at the end of a file, in one write."""
    append_text(path, csv_text(rows))


def hash_of(content: str | bytes | memoryview) -> str:
    """SHA-256 of bytes, or of a text in UTF-8, in hexadecimal."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


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
