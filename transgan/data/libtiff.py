"""Silence for libtiff, which writes to the standard error by itself ("tempfile.tif: ...") whatever Pillow raises."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from PIL import Image

inside: list[None] = []  # one for each `without_messages` that is open, in any thread


@contextmanager
def without_messages() -> Iterator[None]:
    """Inside, libtiff prints nothing. Where its handler of errors cannot be reached, as on Windows, nothing changes."""
    set_handler, before = handler()
    inside.append(None)
    set_handler(None)
    try:
        yield
    finally:
        inside.pop()
        if not inside:
            set_handler(before)


@cache
def handler() -> tuple[Callable[[int | None], int | None], int | None]:
    """-> (what sets the handler of errors of Pillow's own libtiff and returns the one before, the one of now)"""
    try:
        found = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler  # of the libraries that this one is linked with
    except (AttributeError, OSError, TypeError):
        return lambda _: None, None
    found.argtypes, found.restype = [ctypes.c_void_p], ctypes.c_void_p
    before = found(None)
    found(before)
    return found, before
