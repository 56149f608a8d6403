"""Published archives: found in the folder of a data set or downloaded, verified by MD5, and unpacked atomically."""

import contextlib
import io
import logging
import os
import socket
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Archive(NamedTuple):
    """A file that somebody publishes."""

    title: str  # what it belongs to, such as CIFAR-10
    filename: str
    md5: str
    url: str  # its page; also the address of the download, unless `drive` is the id of a file on Google Drive
    size: str
    drive: str | None = None


def unpack(root: Path, archive: Archive, folder: str, download: bool) -> None:
    """Creates root/folder from an archive in `root`, downloading it if allowed.

    Atomic: the folder is complete or absent, also when several processes unpack at once.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as place:
        path = find(root, archive) or fetch(root, archive, place, download)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                file.extractall(place)
        else:
            with tarfile.open(path) as file:
                file.extractall(place, filter="data")
        rename(Path(place) / folder, root / folder)


def obtain(root: Path, archive: Archive, download: bool) -> Path:
    """Returns the path of a file in `root`, downloading it if it is missing. Atomic, as `unpack`."""
    root.mkdir(parents=True, exist_ok=True)
    path = find(root, archive)
    if path is None:
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as place:
            path = root / archive.filename
            rename(fetch(root, archive, place, download), path)
    return path


def find(root: Path, archive: Archive) -> Path | None:
    """Returns the archive in `root`, or None. Raises ValueError if it is damaged: a user's file is never replaced."""
    from torchvision.datasets.utils import check_integrity

    path = root / archive.filename
    if not path.exists():
        return None
    if not check_integrity(path, archive.md5):
        raise ValueError(
            f"{path} is damaged (its md5 is not {archive.md5}): delete it, or fetch it again from {archive.url}"
        )
    return path


def fetch(root: Path, archive: Archive, place: str, download: bool) -> Path:
    """Downloads into the folder `place`. Raises OSError, naming the file to fetch by hand, if that is not allowed or
    fails."""
    from torchvision.datasets.utils import download_file_from_google_drive, download_url

    if not download:
        raise FileNotFoundError(missing(root, archive, "download=false"))
    logger.info("downloading %s (%s) from %s to %s", archive.title, archive.size, archive.url, root)
    try:
        with silent(), patience(30):
            if archive.drive:
                download_file_from_google_drive(archive.drive, place, archive.filename, archive.md5)
            else:
                download_url(archive.url, place, archive.filename, archive.md5)
    except Exception as error:  # noqa: BLE001 - RuntimeError if the md5 is wrong; gdown has its own
        raise OSError(missing(root, archive, f"the download failed: {' '.join(str(error).split())}")) from error
    return Path(place) / archive.filename


def rename(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError:  # another process was faster
        if not target.exists():
            raise


def missing(root: Path, archive: Archive, reason: str) -> str:
    return (
        f"{archive.title} is not in {root} ({reason}): put {archive.filename} (md5 {archive.md5}, from {archive.url}) "
        "into that folder; data=zip or data=folder with data.path=<path> work with any copy of the images."
    )


@contextlib.contextmanager
def silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """A timeout for torchvision's downloads, which otherwise wait for ever behind a firewall that drops packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
