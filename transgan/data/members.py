"""Files by their names, in a folder, in a zip, or in a tar archive of any compression."""

import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from transgan.data.checking import why

PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")  # endings of archives: no folder is meant


class Member(NamedTuple):
    """One file. place: where it was found, to name it in a sentence."""

    place: str
    data: bytes


def members(path: Path, wanted: Sequence[Sequence[str]], folders: Sequence[str] = ()) -> list[Member | None]:
    """For each of N wanted files, all of whose names are given, the first that exists; None where there is none.

    In a folder they are looked for directly in it and in the `folders` below it, in an archive in every folder. Raises
    ValueError if `path` is a file but no archive, or a damaged one.
    """
    if path.is_dir():
        places = [path, *(path / folder for folder in folders)]
        return [first([place / name for place in places for name in names]) for names in wanted]
    found = unpacked(path, {name for names in wanted for name in names})
    return [next((found[name] for name in names if name in found), None) for names in wanted]


def first(places: Sequence[Path]) -> Member | None:
    return next((Member(str(place), place.read_bytes()) for place in places if place.is_file()), None)


def unpacked(path: Path, names: set[str]) -> dict[str, Member]:
    """The files of an archive that have these names, in whichever folder; of a name there twice, the first."""
    found: dict[str, Member] = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    short = PurePosixPath(name).name
                    if short in names and short not in found and not name.endswith("/"):
                        found[short] = Member(f"{name} in {path}", archive.read(name))
        elif tarfile.is_tarfile(path):
            with tarfile.open(path, "r|*") as stream:  # in one pass: going back would decompress all of it again
                for member in stream:
                    short = PurePosixPath(member.name).name
                    if short in names and short not in found and (file := stream.extractfile(member)) is not None:
                        found[short] = Member(f"{member.name} in {path}", file.read())
        else:
            raise ValueError(f"{path} is neither a folder, a zip nor a tar archive, or it is cut short")
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged archive ({why(error)}): fetch it again") from error
    return found
