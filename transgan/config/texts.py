"""Keys that take a text as it is: no comma, bracket, equal sign or ${...} means anything in it."""

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar

from transgan.config.types import NOTHING, Kind, parsed
from transgan.instantiation import literal


def unquoted(text: str) -> str:
    """The text between quotation marks, where the whole word stands between two, as Hydra reads it."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        return text
    value = parsed(text)
    return str(value) if isinstance(value, str) else text


@dataclass(frozen=True, kw_only=True)
class Text(Kind):
    """A text, taken character by character; it may be held to a pattern, which `what` describes."""

    what: str = "a text"
    pattern: str = r"(?s).+"
    null: ClassVar[tuple[str, ...]] = NOTHING

    def read(self, text: str) -> str | None:
        if self.optional and text in self.null:
            return None
        return literal(self.take(unquoted(text)))

    def take(self, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise self.refusal()
        return value

    @property
    def says(self) -> str:
        return self.what


@dataclass(frozen=True, kw_only=True)
class Label(Text):
    """The name of something a user made, which may be called none."""

    null: ClassVar[tuple[str, ...]] = ("null",)


@dataclass(frozen=True, kw_only=True)
class Location(Text):
    """A path. A `~name` without such a user is the name of a file."""

    what: str = "a path, and not an empty one"
    null: ClassVar[tuple[str, ...]] = ("null", "None")

    def read(self, text: str) -> str | None:
        if text != unquoted(text) and not os.path.lexists(text):
            text = unquoted(text)
        elif text != unquoted(text):
            return literal(text)  # a file whose name has the quotation marks in it
        if text.startswith("~") and os.path.expanduser(text) == text:
            if re.match(r"~($|[/\\])", text):
                raise ValueError("this user has no home folder here; write the path without the ~")
            text = os.path.abspath(text)
        return super().read(text)

    def take(self, value: object) -> str:
        if value in self.null:
            raise self.refusal()
        return super().take(value)


@dataclass(frozen=True, kw_only=True)
class Name(Text):
    """A run's name: one folder's below runs=, or several as in digits/first."""

    what: str = "a name"

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.refusal()
        if wrong := self.wrong(value):
            raise ValueError(f"a run's name {wrong}; give another name=")
        return value

    @staticmethod
    def wrong(name: str) -> str | None:
        """Why a folder of this name would not be a folder below runs=, or not be the same everywhere."""
        parts = name.split("/")
        if not name.strip():
            return "cannot be empty: the run is the folder runs/NAME"
        if name.startswith("/"):
            return "cannot begin with a slash: the run lies below runs="
        if any(part.strip(". ") == "" for part in parts):
            return "has no place for empty parts or parts of dots: the run would lie elsewhere than below runs="
        if any(part != part.strip() or part.endswith(".") for part in parts):
            return "cannot begin or end with a space, or end with a dot: other systems drop it"
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in name):
            return "cannot hold control characters"
        if "=" in name:
            return "cannot hold an equal sign"
        if any(len(os.fsencode(part)) > 200 for part in parts):
            return "can have 200 bytes at most"
        return None
