"""Looks into every file once before training starts: into one tensor where that fits, otherwise only to find what is
broken and what the pictures are, remembered for the next start."""

import hashlib
import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import PIL
import torch
from PIL import Image, UnidentifiedImageError

from transgan.files import cache_folder, write_text

from .decode import Seen, look
from .levels import Facts, Levels, decide, decided

VERSION = 2  # of what is remembered


class Checked(NamedTuple):
    """images: uint8 (N, C, H, W) or None, with undefined rows of broken files; seen: N, None where broken;
    reasons: {i: str} of the broken ones; levels: of files whose white was not known from themselves, else None."""

    images: torch.Tensor | None
    seen: list[Seen | None]
    reasons: dict[int, str]
    levels: Levels | None
    assumed: list[str]


def check_all(count, read, resolution, channels, keep=True, levels=None, memory=None, digest=None):
    """read(i): bytes of file i of `count`. levels: what is white where files do not say it, None to find out.

    memory: a Remembered, to look only at files that were not found in order before; for keep=False.
    digest: gets the pixels of all images one after another. -> (Checked, whether digest has got them all)
    Raises ValueError where what is white cannot be known.
    """
    images = torch.empty(count, channels, resolution, resolution, dtype=torch.uint8) if keep else None
    seen = (memory.load(count) if memory else None) or [None] * count
    reasons, complete = {}, digest is not None and not any(seen)

    def one(i, levels):
        try:
            found = look(read(i), resolution, channels, levels)
        except Exception as error:  # noqa: BLE001 - on a broken file Pillow raises SyntaxError, struct.error...
            return None, why(error)
        if keep and found.pixels is not None:
            images[i] = found.pixels
        return found, None

    unknown = [i for i, each in enumerate(seen) if each is None]
    for i, (found, reason) in zip(unknown, in_order(lambda i: one(i, levels), unknown), strict=True):
        complete = complete and found is not None and found.pixels is not None
        if complete:
            digest.update(found.pixels.numpy())
        seen[i] = found and found._replace(pixels=None)
        if reason:
            reasons[i] = reason
    if memory and unknown:
        memory.save(seen)
    deep = [i for i, each in enumerate(seen) if each is not None and each.facts is not None]
    unclear, assumed = [i for i in deep if not decided(seen[i].facts, levels)], []
    if unclear:
        found, assumed, asked = decide(seen[i].facts for i in unclear)
        if asked:
            raise ValueError("; ".join(asked))
        if levels is not None:
            known = {kind: white for kind, white in found._asdict().items() if white is not None and kind != "alpha"}
            found = levels._replace(**known)
        levels = found
        if keep:
            for i, (_, reason) in zip(unclear, in_order(lambda i: one(i, levels), unclear), strict=True):
                if reason:
                    reasons[i] = reason
    levels = levels if deep else None
    return Checked(images, seen, reasons, levels, assumed), complete


def in_order(function, items):
    """function(item) of each, by several threads, with a bar for a person where that takes long."""
    items = list(items)
    with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from progress(pool.map(function, items), len(items))


def why(error):
    """The reason in a few words, for a list of broken files."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
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


def remember(identity, value):
    """Keeps a value that JSON can hold in the user's cache, under an identity with a stable repr."""
    with suppress(OSError, ValueError):  # a home that cannot be written to costs time at the next start, nothing else
        write_text(place_of(identity), json.dumps(value))


def recall(identity):
    """-> what was kept under an identity; None if nothing was."""
    try:
        return json.loads(place_of(identity).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def place_of(identity):
    key = hashlib.sha256(repr((PIL.__version__, VERSION, identity)).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder("checked") / f"{key}.json"


class Remembered:
    """What was found when exactly this list of files was last checked.

    Broken files are stored as null and looked at again: a network drive may have been to blame.
    """

    def __init__(self, identity):
        self.identity = identity

    def load(self, count):
        """-> list of Seen without pixels, or None in it, or None if this list was never checked."""
        try:
            lines = recall(self.identity)
            return None if lines is None or len(lines) != count else [each and restored(each) for each in lines]
        except (TypeError, ValueError):  # somebody else's file
            return None

    def save(self, seen):
        remember(self.identity, [each and [*each.size, each.frames, each.facts] for each in seen])


def restored(line):
    width, height, count, facts = line
    return Seen(None, (int(width), int(height)), int(count), None if facts is None else Facts(*facts))
