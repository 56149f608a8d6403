"""What a command prints: a stream that survives when nobody reads it any more."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


class Output:
    """Standard output until it cannot be written to: its reader is gone, its terminal closed, its disk full.

    From then on `gone` is the error, and what is written is dropped; whoever owns the run decides what follows.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.gone: Exception | None = None

    def write(self, text: str) -> int:
        return len(text) if self.gone else self.attempt(self.stream.write, text) or len(text)

    def flush(self) -> None:
        if not self.gone:
            self.attempt(self.stream.flush)

    def attempt(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return act(*arguments)
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            if isinstance(error, UnicodeError):
                raise
            self.gone = error
            silence(self.stream)
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def bearing(stream: Any) -> Output:
    """The stream as an Output, wrapped once."""
    return stream if isinstance(stream, Output) else Output(stream)


def silence(stream: Any) -> None:
    """Sends what is left in a stream's buffer to nowhere, so that Python does not complain of it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """A sentence on standard error, if anybody reads that."""
    try:
        print(f"transgan: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(sys.stderr)
