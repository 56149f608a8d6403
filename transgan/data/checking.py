"""Decodes every file once before training starts: into one tensor where that fits, otherwise only to find what is
broken, remembered for the next start."""

import hashlib
import json
import os
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import PIL
import torch
from PIL import Image, UnidentifiedImageError

from transgan.files import cache_folder

from .decode import decode


def decode_all(names, read, resolution, channels, keep):
    """names: N strings; read(i): bytes of file i.

    -> images uint8 (N, C, H, W) or None (keep=False; rows of broken files are undefined),
       sizes: N pairs (width, height) with None where broken, reasons: {i: str} of the broken ones.
    """
    images = torch.empty(len(names), channels, resolution, resolution, dtype=torch.uint8) if keep else None
    reasons = {}

    def one(i):
        try:
            pixels, size = decode(read(i), resolution, channels)
        except Exception as error:  # noqa: BLE001 - on a broken file Pillow raises SyntaxError, struct.error...
            reasons[i] = why(error)
            return None
        if keep:
            images[i] = pixels
        return size

    with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        sizes = list(progress(pool.map(one, range(len(names))), len(names)))
    return images, sizes, reasons


def why(error):
    """The reason in a few words, for a list of broken files."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def quiet():
    """Pillow warns about odd metadata and large photographs in files that it then reads perfectly well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def progress(results, total):
    """A bar on stderr for a person who would otherwise wait before a silent terminal."""
    if total <= 2000 or not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, description="reading images", total=total, console=Console(stderr=True))


def fits(size):
    """Whether `size` bytes are less than a quarter of the memory that is free, here and in this container."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        try:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        except (AttributeError, OSError, ValueError):  # Windows has no sysconf
            free = 4 * 2**30
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        free = min(free, max(limit, 0))
    except (OSError, ValueError):  # no cgroup, or "max"
        pass
    return size < free / 4


class Remembered:
    """The sizes found when exactly this list of files was last checked, in the user's cache folder.

    Broken files are stored as null and looked at again: a network drive may have been to blame.
    """

    def __init__(self, identity):
        key = hashlib.sha256(repr((PIL.__version__, identity)).encode("utf-8", "surrogateescape")).hexdigest()
        self.path = cache_folder("checked") / f"{key}.json"

    def load(self, count):
        """-> list of (width, height) or None, or None if this list was never checked."""
        try:
            sizes = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        return sizes if isinstance(sizes, list) and len(sizes) == count else None

    def save(self, sizes):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, suffix=".tmp", delete=False) as file:
                json.dump(sizes, file)
            os.replace(file.name, self.path)
        except OSError:  # a home that cannot be written to costs time at the next start, nothing else
            pass


def check_all(names, identity, read, resolution, channels):
    """Like decode_all with keep=False, but looks only at files that were not found in order before."""
    memory = Remembered(identity)
    sizes = memory.load(len(names)) or [None] * len(names)
    unknown = [i for i, size in enumerate(sizes) if size is None]
    _, found, broken = decode_all([names[i] for i in unknown], lambda k: read(unknown[k]), resolution, channels, False)
    for i, size in zip(unknown, found, strict=True):
        sizes[i] = size
    if unknown:
        memory.save(sizes)
    return sizes, {unknown[k]: reason for k, reason in broken.items()}
