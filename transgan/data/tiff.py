"""The first directory of a TIFF file, rewritten with only the tags that its pixels need, so that no other tag prevents
reading, and in a layout that Pillow supports where it does not support the original."""

import copy
import struct
from typing import NamedTuple

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PREDICTOR, FORMAT = 256, 257, 258, 259, 262, 277, 317, 339
TILED, EXTRA, PLANAR = 322, 338, 284
NEEDED = {
    256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347,
    512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532,
}  # fmt: skip
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8, 18: 8}
CODES = {1: "B", 3: "H", 4: "L", 16: "Q"}  # struct codes of the types of pixel tags


class Entry(NamedTuple):
    """A tag: the number of its type, the number of its values, and their bytes."""

    kind: int
    length: int
    raw: bytes


class Directory:
    """The first directory. Raises ValueError if `data` is not a TIFF or is truncated."""

    def __init__(self, data: bytes) -> None:
        self.order = {b"II": "<", b"MM": ">"}.get(data[:2])
        self.data = data
        try:
            version = struct.unpack_from(f"{self.order}H", data, 2)[0] if self.order else 0
            if version not in (42, 43):
                raise ValueError("not a TIFF file")
            self.big = version == 43
            offset = self._unpack("Q" if self.big else "L", 8 if self.big else 4)
            count = self._unpack("Q" if self.big else "H", offset)
            offset += 8 if self.big else 2
            size, inside = (20, 8) if self.big else (12, 4)
            self.entries = {}
            for place in range(offset, offset + size * count, size):
                tag, kind = struct.unpack_from(f"{self.order}HH", data, place)
                many = self._unpack("Q" if self.big else "L", place + 4)
                if tag not in NEEDED or kind not in SIZES:
                    continue
                length, at = SIZES[kind] * many, place + size - inside
                if length > inside:
                    at = self._unpack("Q" if self.big else "L", at)
                if at + length > len(data):
                    raise ValueError("a truncated TIFF file")
                self.entries[tag] = Entry(kind, many, data[at : at + length])
        except struct.error as error:
            raise ValueError("a truncated TIFF file") from error

    def plane(self, number: int, of: int) -> "Directory":
        """The directory of a single plane, of several that are stored one after another."""
        other = copy.copy(self)
        other.entries = dict(self.entries)
        for tag in (273, 279, 324, 325):  # offsets and lengths of strips and tiles
            if places := self.values(tag):
                each = len(places) // of
                other.set(tag, *places[number * each : (number + 1) * each])
        for tag, otherwise in ((BITS, 1), (FORMAT, 1)):
            other.set(tag, self.values(tag, (otherwise,))[0])
        other.set(SAMPLES, 1)
        other.set(PHOTOMETRIC, 1)
        for tag in (EXTRA, PLANAR):
            other.entries.pop(tag, None)
        return other

    def _unpack(self, letter: str, at: int) -> int:
        return struct.unpack_from(f"{self.order}{letter}", self.data, at)[0]

    def values(self, tag: int, otherwise: tuple = ()) -> tuple:
        """The integers of a tag."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in CODES:
            return otherwise
        return struct.unpack(f"{self.order}{entry.length}{CODES[entry.kind]}", entry.raw)

    def set(self, tag: int, *values: int) -> None:
        raw = struct.pack(f"{self.order}{len(values)}L", *values)
        self.entries[tag] = Entry(4, len(values), raw)

    def written(self) -> bytes:
        """The file with this directory as its only one; the pixels stay where they are."""
        letter, inside = ("Q", 8) if self.big else ("L", 4)
        start = len(self.data) + len(self.data) % 2
        head = struct.pack(f"{self.order}{'Q' if self.big else 'H'}", len(self.entries))
        after = start + len(head) + (20 if self.big else 12) * len(self.entries) + inside
        table, far = b"", b""
        for tag, (kind, count, raw) in sorted(self.entries.items()):
            table += struct.pack(f"{self.order}HH{letter}", tag, kind, count)
            if len(raw) <= inside:
                table += raw.ljust(inside, b"\0")
            else:
                table += struct.pack(f"{self.order}{letter}", after + len(far))
                far += raw + b"\0" * (len(raw) % 2)
        pointer = struct.pack(f"{self.order}{letter}", start)
        place = 8 if self.big else 4
        body = self.data[:place] + pointer + self.data[place + inside :]
        return body.ljust(start, b"\0") + head + table + b"\0" * inside + far


def is_cut(data: bytes) -> bool:
    """Whether the first directory of a file, or pixels that it names, lie beyond the end."""
    try:
        directory = Directory(data)
    except ValueError:
        return True
    for starts, lengths in ((273, 279), (324, 325)):  # of strips and tiles
        places = zip(directory.values(starts), directory.values(lengths), strict=False)
        if any(start + length > len(data) for start, length in places):
            return True
    return False


def pages(data: bytes) -> int:
    """The number of directories, as far as they can be followed."""
    seen: set[int] = set()
    try:
        order = {b"II": "<", b"MM": ">"}[data[:2]]
        big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
        letter, head, size, at = ("Q", 8, 20, 8) if big else ("L", 2, 12, 4)
        place = struct.unpack_from(f"{order}{letter}", data, at)[0]
        while place and place not in seen:
            count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, place)[0]
            seen.add(place)
            place = struct.unpack_from(f"{order}{letter}", data, place + head + size * count)[0]
    except (KeyError, struct.error):
        pass
    return max(1, len(seen))
