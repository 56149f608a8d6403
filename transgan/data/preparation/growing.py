"""A zip archive that grows file by file and survives being killed: what it holds is what its local headers say.

The list of contents, the end of a zip, is written last; without it no program takes the file for a zip. Until then it
has another name, and opening it again reads it from the front, as far as its checksums hold, and goes on behind that.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
UTF8, STORED, NEEDED = 0x800, 0, 45  # flag, method, version of readers: that of Zip64
DATE = (2020 - 1980) << 9 | 1 << 5 | 1  # the same images give the same bytes
MOST = 2**32 - 1
BUFFER = 1 << 16
NOTE = ".note"  # added to the name of the head

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Entry(NamedTuple):
    """offset: of the local header."""

    name: str
    crc: int
    size: int
    offset: int


class Growing:
    """An archive under construction at `path`, which `finish` gives its final name.

    head: bytes that say what it is made of; they are its first file, named `about`, and not in its list of contents. An
    archive of another head is begun anew. entries: what is in it, without the head. noted: what `note` was given, also
    by a command that was stopped; None if nothing. anew: whether an archive of another head was there. Raises OSError,
    which names the archive, and ValueError for another file and for one that somebody else is writing.
    """

    def __init__(self, path: Path, about: str, head: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.about = path, about
        self.file: BinaryIO = open(path, "r+b" if path.exists() else "w+b", buffering=BUFFER)
        if fcntl is not None:
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not shared with processes that read
            except (BlockingIOError, PermissionError) as error:
                raise ValueError(f"another process is writing {path}: wait for it, or give another name.") from error
        self.entries: list[Entry] = []
        self.end = 0
        self.noted: bytes | None = None
        self.anew = False
        if not self._is_ours():
            self.file.close()
            raise ValueError(f"{path} is there and is not an unfinished zip: remove it, or give another name.")
        for i, (entry, data) in enumerate(recovered(self.file)):
            if i == 0 and data != head:
                self.anew = True
                break
            if entry.name == about + NOTE:
                self.noted = data
            elif i:
                self.entries.append(entry)
            self.end = after(entry)
        self._cut(self.end)
        if self.end == 0:
            self._append(about, head)

    def add(self, name: str, data: bytes) -> None:
        """Appends a file. Raises ValueError if it has 4 GiB or more."""
        self.entries.append(self._append(name, data))

    def note(self, data: bytes) -> None:
        """Appends what a command that goes on must know, beside the list of contents."""
        self._append(self.about + NOTE, data)
        self.noted = data

    def drop(self, names: set[str]) -> None:
        """Takes the last files away, as long as they have one of these names."""
        while self.entries and self.entries[-1].name in names:
            self._cut(self.entries.pop().offset)

    def finish(self, target: Path) -> None:
        """Writes the list of contents, waits for the disk, and gives the archive its name."""
        self.list_contents()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.path, target)

    def list_contents(self) -> None:
        """Writes the list of contents, with which the file is a zip; what is added next takes its place."""
        start = self.end
        self.file.seek(start)
        for entry in self.entries:
            self.file.write(listing(entry))
        size = self.file.tell() - start
        count = len(self.entries)
        self.file.write(END_64.pack(b"PK\x06\x06", 44, NEEDED, NEEDED, 0, 0, count, count, size, start))
        self.file.write(LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1))
        few = min(count, 0xFFFF)
        self.file.write(END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, MOST), min(start, MOST), 0))
        self.file.flush()

    def _is_ours(self) -> bool:
        """Whether the file begins as this class has begun it, as far as it was written: a crash may leave zeros."""
        self.file.seek(0)
        begin = self.file.read(LOCAL.size + len(self.about)).rstrip(b"\0")
        expected = b"PK\x03\x04", self.about.encode()
        found = begin[:4], begin[LOCAL.size :]
        return all(map(bytes.startswith, expected, found))

    def _cut(self, end: int) -> None:
        self.end = end
        self.file.seek(end)
        self.file.truncate()

    def _append(self, name: str, data: bytes) -> Entry:
        if len(data) >= MOST:
            raise ValueError(f"{name}: a file of 4 GiB or more does not go into this archive.")
        entry, encoded = Entry(name, zlib.crc32(data), len(data), self.end), name.encode()
        said = (STORED, 0, DATE, entry.crc, entry.size, entry.size, len(encoded), 0)
        head = LOCAL.pack(b"PK\x03\x04", NEEDED, UTF8, *said)
        self.file.write(head + encoded + data)
        self.end += LOCAL.size + len(encoded) + len(data)
        return entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with suppress(OSError):  # what is still in the buffer of a full disk
            self.file.close()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def after(entry: Entry) -> int:
    """Where the next file begins."""
    return entry.offset + LOCAL.size + len(entry.name.encode()) + entry.size


def recovered(file: BinaryIO) -> Iterator[tuple[Entry, bytes]]:
    """The files of an unfinished archive with their content, from its front to the first that is incomplete."""
    offset = 0
    file.seek(0)
    while True:
        head = file.read(LOCAL.size)
        if len(head) < LOCAL.size:
            return
        sign, *_, crc, size, _, length, extra = LOCAL.unpack(head)
        if sign != b"PK\x03\x04" or extra:
            return
        name, data = file.read(length), file.read(size)
        if len(data) < size or zlib.crc32(data) != crc:
            return
        yield Entry(name.decode("utf-8", "replace"), crc, size, offset), data
        offset += LOCAL.size + length + size


def listing(entry: Entry) -> bytes:
    """The entry in the list of contents."""
    name = entry.name.encode()
    far = struct.pack("<2HQ", 1, 8, entry.offset) if entry.offset >= MOST else b""
    return (
        CENTRAL.pack(
            b"PK\x01\x02", 3 << 8 | NEEDED, NEEDED, UTF8, STORED, 0, DATE, entry.crc, entry.size, entry.size, len(name),
            len(far), 0, 0, 0, 0o644 << 16, MOST if far else entry.offset,
        )
        + name
        + far
    )  # fmt: skip
