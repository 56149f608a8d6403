"""The files that a folder or a zip would give to training, and those left out, without reading their pixels."""

import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from transgan.data.file import File
from transgan.data.files import Files
from transgan.data.folder import Folder
from transgan.data.labels import Classes, outsiders
from transgan.data.levels import Levels
from transgan.data.zip import Zip
from transgan.files import expanded


class Listed(Files):
    """Lists what the class beside it reads. `files` are those to train on, `left` those of other parts by their name.

    every: all files that are not hidden; refused: why the labels of dataset.json cannot be used, or None.
    """

    every: list[File]
    refused: str | None = None

    def _leave_out_others(self, files: list[File]) -> None:
        self.every = files
        try:
            super()._leave_out_others(files)
        except ValueError as error:
            self.refused, self.labelling = str(error), "folders"
            super()._leave_out_others(files)
            self.labelling = None

    def _load(self, keep: bool) -> None:
        """Reads nothing."""

    def _note_parts(self) -> None:
        """Nothing: what is done with them, whoever lists them says."""

    def other_files(self) -> list[File]:
        """Files that are not images by their names, without a dataset.json that is used."""
        taken = {file.name for file in self.files} | {file.name for part in self.left.values() for file in part}
        files = [file for file in self.every if file.name not in taken]
        return [file for file in files if self.table is None or PurePosixPath(file.name).name != "dataset.json"]

    def classes_of(self, files: list[File]) -> Classes:
        """The classes of some of the files, as training names them."""
        return self._classes_of(files)

    def outsiders(self, files: list[File]) -> tuple[list[str], Classes]:
        """The few of the files outside of the class folders, and the classes that the others would have."""
        if self.labelling == "none" or self.labelling is None and self.table is not None:
            return [], Classes([], [])
        return outsiders([file.name for file in files], self.labelling)


class ListedFolder(Listed, Folder):
    """Of a folder; those below it that may not be read are listed in `locked`."""

    def _cannot_enter(self, folder: str, reason: str) -> None:
        """Goes on with the others."""


class ListedZip(Listed, Zip):
    """Of a zip archive."""


def listed(
    path: str | Path,
    resolution: int,
    channels: int,
    labels: str | None = None,
    white: float | Levels | None = None,
    limit: int | None = None,
) -> Listed:
    """The files of a folder or a zip. Raises as `Folder` and `Zip` do where `path` is neither, or holds no image.

    resolution: of the networks, 1 to 4096 pixels; channels: 1 or 3; labels: None, "folders" or "none"; white: what is
    white in files that do not state it; limit: images to take, None for all.
    """
    place = expanded(path)
    archive = place.is_file() or not place.exists() and place.suffix.lower() == ".zip"
    if place.is_file() and not zipfile.is_zipfile(place):
        cut = ", or it is cut short" if place.suffix.lower() == ".zip" else ""
        raise ValueError(f"{path} is neither a folder nor a zip of images{cut}; give one of them.")
    kind: type[Listed] = ListedZip if archive else ListedFolder
    options: dict[str, Any] = {"labels": labels, "white": white, "on_error": "skip", "in_memory": False, "limit": limit}
    return kind(path, resolution, channels, **options)


def suffixes(names: Iterable[str]) -> dict[str, list[str]]:
    """{suffix in lower case: names}."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
    return found
