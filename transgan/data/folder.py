"""Every image below a folder."""

import os
import stat
import zipfile
from pathlib import Path

from transgan.data import remarks
from transgan.data.checking import why
from transgan.data.contents import HEAD
from transgan.data.file import File
from transgan.data.files import Files
from transgan.data.listing import image_suffixes, is_hidden, is_hidden_image, is_system, separated


class Folder(Files):
    """Every image below a folder."""

    kind = "folder"

    def find(self) -> list[File]:
        if not self.path.is_dir():
            hint = "it is a zip archive, use data=zip" if zipfile.is_zipfile(self.path) else "it is a file"
            raise NotADirectoryError(f"{self.path} is not a folder: {hint}, or give the folder with your images.")

        def stop(error: OSError) -> None:  # os.walk skips a folder that it may not read
            folder = Path(error.filename).relative_to(self.path).as_posix()
            self.locked[folder] = why(error)
            self._cannot_enter(folder, why(error))

        result: list[File] = []
        seen: set[str] = set()
        suffixes = image_suffixes()
        for folder, below, names in os.walk(self.path, followlinks=True, onerror=stop):
            real = os.path.realpath(folder)
            self.system |= {name for name in below if is_system(name)}
            self.hidden |= {name for name in below if name.startswith(".")}
            if real in seen:  # a link back to a folder already visited
                below[:] = []
                self.again.append(Path(folder).relative_to(self.path).as_posix())
                continue
            below[:] = sorted(name for name in below if not is_hidden(name))
            below.sort(key=lambda name: os.path.islink(os.path.join(folder, name)))  # noqa: B023 - what is there first
            seen.add(real)
            self.folders += [(Path(folder) / name).relative_to(self.path).as_posix() for name in below]
            for name in names:
                place = os.path.join(folder, name)
                if is_hidden_image(name, suffixes):
                    self.hidden_images.append(Path(place).relative_to(self.path).as_posix())
                if not is_hidden(name):
                    result.append(File(Path(place).relative_to(self.path).as_posix(), place, stamp(place)))
        names = separated(name for name, _, _ in result)
        return [file._replace(name=name) for name, file in zip(names, result, strict=True)]

    def _cannot_enter(self, folder: str, reason: str) -> None:
        """Of a folder that may not be read: raises PermissionError."""
        raise remarks.locked(self.path, {folder: reason})

    def read(self, place: str) -> bytes:
        if not stat.S_ISREG(os.stat(place).st_mode):  # reading a pipe waits for a writer, and a device may never end
            raise ValueError("a pipe, socket or device and not a file")
        return Path(place).read_bytes()

    def head(self, place: str) -> bytes:
        if not stat.S_ISREG(os.stat(place).st_mode):
            return b""
        with open(place, "rb") as file:
            return file.read(HEAD)


def stamp(place: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(place)
    except OSError:  # a link to nowhere; reading it will say so
        return None
    return status.st_size, status.st_mtime_ns
