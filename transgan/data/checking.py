"""Reads every file once before training starts: into one tensor if that fits into memory, and otherwise to find damaged
files and to learn the sizes and value ranges, which are cached for the next start."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import PIL
import torch
from PIL import Image, UnidentifiedImageError

from transgan.cores import cores
from transgan.data.decode import Seen, look
from transgan.data.levels import Facts, Levels, decide, decided
from transgan.data.libtiff import without_messages
from transgan.files import cache_folder, hash_of, read_json, write_json

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION = 4  # of the cached records
Item = TypeVar("Item")
Result = TypeVar("Result")


class Checked(NamedTuple):
    """What reading every file has found.

    images: uint8 (N, C, H, W) or None, undefined where a file is damaged; seen: N, None where a file is damaged;
    reasons: {i: why} of the damaged files; levels: of files that do not state their white, None if all of them do;
    assumed: sentences on what was assumed of their white.
    """

    images: torch.Tensor | None
    seen: list[Seen | None]
    reasons: dict[int, str]
    levels: Levels | None
    assumed: list[str]


def check_all(
    count: int,
    read: Callable[[int], bytes],
    resolution: int,
    channels: int,
    keep: bool = True,
    levels: Levels | None = None,
    memory: "Remembered | None" = None,
    digest: "_Hash | None" = None,
) -> tuple[Checked, bool]:
    """Reads `count` files and returns what was found, and whether `digest` has received the pixels of all of them.

    read(i): the bytes of file i. keep: into one tensor. levels: the white of files that do not state it, None to decide
    it from all files. memory: skips files that were found in order before, with keep=False. digest: is updated with
    the pixels of all images in order. Raises ValueError where the white cannot be decided.
    """
    images = torch.empty(count, channels, resolution, resolution, dtype=torch.uint8) if keep else None
    seen: list[Seen | None] = (memory.load(count) if memory else None) or [None] * count
    reasons: dict[int, str] = {}
    complete = digest is not None and not any(seen)

    def one(i: int, levels: Levels | None) -> tuple[Seen | None, str | None]:
        try:
            found = look(read(i), resolution, channels, levels)
        except Exception as error:  # noqa: BLE001 - of a damaged file Pillow raises SyntaxError, struct.error...
            return None, why(error)
        if images is not None and found.pixels is not None:
            images[i] = found.pixels
        return found, None

    unknown = [i for i, each in enumerate(seen) if each is None]
    for i, (found, reason) in zip(unknown, in_order(lambda i: one(i, levels), unknown), strict=True):
        complete = complete and found is not None and found.pixels is not None
        if complete and digest is not None and found is not None and found.pixels is not None:
            digest.update(found.pixels.numpy().data)
        seen[i] = found and found._replace(pixels=None)
        if reason:
            reasons[i] = reason
    if memory and unknown:
        memory.save(seen)
    deep = {i: each.facts for i, each in enumerate(seen) if each is not None and each.facts is not None}
    unclear = [i for i, facts in deep.items() if not decided(facts, levels)]
    assumed: list[str] = []
    if unclear:
        decision, assumed, asked = decide(deep[i] for i in unclear)
        if asked:
            raise ValueError("; ".join(asked))
        if levels is not None:
            known = {kind: white for kind, white in decision._asdict().items() if white is not None and kind != "alpha"}
            decision = levels._replace(**known)
        levels = decision
        if keep:
            for i, (_, reason) in zip(unclear, in_order(lambda i: one(i, levels), unclear), strict=True):
                if reason:
                    reasons[i] = reason
    levels = levels if deep else None
    return Checked(images, seen, reasons, levels, assumed), complete


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields function(item) for each item in order, computed by several threads, with a progress bar if it is long."""
    items = list(items)
    with quiet(), ThreadPoolExecutor(min(8, cores())) as pool:
        yield from progress(pool.map(function, items), len(items))


def why(error: BaseException) -> str:
    """The reason in a few words, for a list of damaged files."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Pillow's warnings about unusual metadata and large photographs, which it reads correctly, and what
    libtiff prints of files for which Pillow raises an error."""
    with warnings.catch_warnings(), without_messages():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def progress(results: Iterable[Result], total: int) -> Iterable[Result]:
    """The results, with a progress bar on stderr if there are many and a terminal shows it."""
    if total <= 2000 or not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, description="reading images", total=total, console=Console(stderr=True))


def remember(identity: object, value: Any) -> None:
    """Stores a JSON value in the user's cache, under an identity with a stable repr."""
    with suppress(OSError, ValueError):  # without a writable cache the next start takes longer, nothing else
        write_json(place_of(identity), value, indent=None)


def recall(identity: object) -> Any:
    """Returns the value stored under an identity, or None."""
    try:
        return read_json(place_of(identity))
    except (OSError, ValueError):
        return None


def place_of(identity: object) -> Path:
    key = hash_of(repr((PIL.__version__, VERSION, identity)))
    return cache_folder("checked") / f"{key}.json"


class Remembered:
    """What was found when exactly this list of files was last checked.

    Damaged files are stored as null and read again: the cause may have been a network drive.
    """

    def __init__(self, identity: object) -> None:
        self.identity = identity

    def load(self, count: int) -> list[Seen | None] | None:
        """Returns what was found, without pixels and None for damaged files; None if this list was never checked."""
        try:
            lines = recall(self.identity)
            return None if lines is None or len(lines) != count else [each and restored(each) for each in lines]
        except (TypeError, ValueError):  # somebody else's file
            return None

    def save(self, seen: list[Seen | None]) -> None:
        remember(self.identity, [each and [*each.size, each.frames, each.facts] for each in seen])


def restored(line: list[Any]) -> Seen:
    width, height, count, facts = line
    return Seen(None, (int(width), int(height)), int(count), None if facts is None else Facts(*facts))
