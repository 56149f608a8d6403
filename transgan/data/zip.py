"""Every image in a zip archive."""

import os
import zipfile
import zlib

from transgan.data.checking import why
from transgan.data.contents import HEAD
from transgan.data.file import File
from transgan.data.files import Files
from transgan.data.folder import stamp
from transgan.data.listing import image_suffixes, is_hidden, is_hidden_image, is_system, parts_of, separated

BEFORE = 30  # bytes before the name of a file
UTF8 = 0x800  # the flag of a name in UTF-8


class Zip(Files):
    """Every image in a zip archive, read in place. Each process opens the archive itself: processes that share a file
    position would read each other's bytes."""

    kind = "zip archive"
    _archive: zipfile.ZipFile | None
    _process: int | None

    def find(self) -> list[File]:
        self._archive, self._process = None, None
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder, not a zip archive: use data=folder.")
        if not zipfile.is_zipfile(self.path):
            raise ValueError(
                f"{self.path} is not a zip archive, or it is cut short: give one, or a folder: data=folder."
            )
        result: dict[str, File] = {}  # of a name stored several times the last, as where the archive is unpacked
        locked: list[str] = []
        try:
            members = self._open().infolist()
        except (
            zipfile.BadZipFile,
            ValueError,
            NotImplementedError,
        ) as error:  # names that are not UTF-8, unsupported versions
            raise ValueError(f"{self.path} is a damaged zip archive ({why(error)}): make or fetch it again.") from error
        names = separated(  # a program of Windows or DOS allows no backslash in a name
            name_of(member).replace("\\", "/") if member.create_system in (0, 10, 14) else name_of(member)
            for member in members
        )
        folders: dict[str, tuple[str, bool]] = {}
        suffixes = image_suffixes()
        for filename, member in zip(names, members, strict=True):
            folder, _, last = filename.rpartition("/")
            before, hidden = folders.get(folder) or folders.setdefault(folder, self._folder(folder))
            if not hidden and is_hidden_image(last, suffixes):
                self.hidden_images.append(before + last)
            if hidden or last in ("", ".", "..") or is_hidden(last):
                continue
            if before + last in result:
                self.repeated.append(before + last)
            result[before + last] = File(before + last, member.filename, (member.file_size, member.CRC))
            if member.flag_bits & 1:
                locked.append(name_of(member))
        self.folders = sorted(set(self.folders))
        if locked:
            raise ValueError(
                f"{self.path} holds {len(locked):,} files locked with a password (the first is {locked[0]}): "
                "unpack it and use data=folder, or pack it again without a password."
            )
        return list(result.values())

    def _folder(self, folder: str) -> tuple[str, bool]:
        """Notes a folder of the archive. -> (what the names in it begin with, whether it is hidden)"""
        parts = [part for part in parts_of(folder) if part != ".."]
        self.system |= {part for part in parts if is_system(part) and part != "__MACOSX"}
        self.hidden |= {part for part in parts if part.startswith(".")}
        if any(part.startswith(".") or is_system(part) for part in parts):
            return "", True
        self.folders += ["/".join(parts[: i + 1]) for i in range(len(parts))]
        return "".join(f"{part}/" for part in parts), False

    def version(self) -> object | None:
        return stamp(self.path)  # a damaged copy lists the same names and checksums as the archive it came from

    def read(self, place: str) -> bytes:
        archive = self._open()
        member = archive.NameToInfo[place]
        if member.compress_type != zipfile.ZIP_STORED or not hasattr(os, "pread") or archive.fp is None:
            return archive.read(place)
        start, size = member.header_offset, member.file_size
        near = os.pread(
            archive.fp.fileno(), BEFORE + 2 * len(member.filename) + 64 + size, start
        )  # most often all of it
        skip = BEFORE + int.from_bytes(near[26:28], "little") + int.from_bytes(near[28:30], "little")
        data = near[skip : skip + size]
        if len(data) < size:
            data = os.pread(archive.fp.fileno(), size, start + skip)
        return data if zlib.crc32(data) == member.CRC else archive.read(place)  # which says what is wrong

    def head(self, place: str) -> bytes:
        with self._open().open(place) as file:
            return file.read(HEAD)

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None or self._process != os.getpid():
            self._archive, self._process = zipfile.ZipFile(self.path), os.getpid()
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_archive": None}


def name_of(member: zipfile.ZipInfo) -> str:
    """A member's name as it was packed: macOS and `zip` write UTF-8 without saying so, which Python takes for the code
    page of DOS."""
    if member.flag_bits & UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:  # it is of that code page, or was put right by an extra field
        return member.filename
