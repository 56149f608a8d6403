"""What a key takes: a whole number within bounds, one of some literals, a path. Which key takes what, keys.py says.

A kind reads a text of the command line (`read`) and looks at a value that is one already (`check`). Both give the
value as it is kept, or raise ValueError with what the key takes.
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

NOTHING = ("null", "None", "none", "NULL", "Null")
REFERENCE = re.compile(r"\$\{[^{}]+(\{[^{}]*\}[^{}]*)*\}")  # ${kimg}, ${product:${channels},2}


@lru_cache(4096)
def parsed(text: str) -> Any:
    """A word's value by Hydra's grammar; the word itself where the grammar does not fit."""
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
        return text if override.is_sweep_override() else override.value()
    except (HydraException, ValueError, RecursionError):  # a number of 5,000 digits, ten thousand brackets
        return text


@lru_cache(4096)
def is_sweep(text: str) -> bool:
    """Whether a word means several values, one for each of several runs: a,b or range(1,4)."""
    try:
        return OverridesParser.create().parse_override(f"key={text}").is_sweep_override()
    except (HydraException, ValueError, RecursionError):
        return False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all kinds share. optional: null is a value. literals: values beside the others, such as auto. hint: what is
    added to the sentence of a refusal."""

    optional: bool = False
    literals: tuple[str, ...] = ()
    hint: str = ""

    def read(self, text: str) -> Any:
        if self.optional and text in NOTHING:
            return None
        return text if text in self.literals else self.take(deepcopy(parsed(text)))

    def check(self, value: Any) -> Any:
        if value is None and self.optional or isinstance(value, str) and value in self.literals:
            return value
        return self.take(value)

    def take(self, value: Any) -> Any:
        """The value as it is kept. Raises ValueError."""
        raise NotImplementedError  # for subclasses

    @property
    def says(self) -> str:
        """Such as `a whole number, 1 or more`."""
        raise NotImplementedError  # for subclasses

    def refusal(self) -> ValueError:
        literals = "".join(f"{text}, " for text in self.literals)
        return ValueError(f"it takes {literals}{self.says}{', or null' * self.optional}{self.hint}")


@dataclass(frozen=True, kw_only=True)
class Whole(Kind):
    """A whole number from `least` to `most`."""

    least: int = 1
    most: int = 10**9

    def take(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise self.refusal()
        return value

    @property
    def says(self) -> str:
        return f"a whole number, {self.least} to {self.most:,}"


@dataclass(frozen=True, kw_only=True)
class Number(Kind):
    """A number from `least` to `most`; with `above`, more than that, with `below`, less."""

    least: float = 0.0
    most: float = 1e9
    above: float | None = None
    below: float | None = None

    def take(self, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
        if not number or not self.least <= value <= self.most:
            raise self.refusal()
        if self.above is not None and value <= self.above or self.below is not None and value >= self.below:
            raise self.refusal()
        return float(value)

    @property
    def says(self) -> str:
        least = f"a number from {self.least:g}" if self.above is None else f"a number above {self.above:g}"
        most = f"{self.most:,.12g}" if self.most < 1e15 else f"{self.most:g}"
        return f"{least} to {most}" if self.below is None else f"{least} to below {self.below:g}"


@dataclass(frozen=True, kw_only=True)
class Switch(Kind):
    """true or false."""

    def take(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refusal()
        return value

    says = "true or false"


@dataclass(frozen=True, kw_only=True)
class Choice(Kind):
    """One of some texts or numbers."""

    of: tuple

    def read(self, text: str) -> Any:
        return text if text in self.of else super().read(text)  # one of them may be none

    def take(self, value: Any) -> Any:
        for each in self.of:
            if str(value) == str(each) and not isinstance(value, bool):
                return each
        raise self.refusal()

    @property
    def says(self) -> str:
        *most, last = map(str, self.of)
        return f"{', '.join(most)} or {last}" if most else last


@dataclass(frozen=True, kw_only=True)
class Items(Kind):
    """A list of `least` or more, each of kind `of`; of exactly `count` where that is given."""

    of: Kind
    least: int = 1
    count: int | None = None
    example: str = "[64]"

    def take(self, value: Any) -> list:
        fits = isinstance(value, list | tuple) and len(value) >= self.least
        if not fits or self.count not in (None, len(value)):
            raise self.refusal()
        try:
            return [self.of.check(each) for each in value]
        except ValueError as error:
            raise self.refusal() from error

    @property
    def says(self) -> str:
        return f"a list, such as {self.example}" + (f"; each is {each}" if (each := self.each) else "")

    @property
    def each(self) -> str:
        return self.of.says + " or null" * self.of.optional


@dataclass(frozen=True, kw_only=True)
class Either(Kind):
    """What one kind or another takes."""

    of: tuple[Kind, ...]

    def take(self, value: Any) -> Any:
        for kind in self.of:
            try:
                return kind.check(value)
            except ValueError:
                pass
        raise self.refusal()

    @property
    def says(self) -> str:
        return ", or ".join(kind.says for kind in self.of)


@dataclass(frozen=True, kw_only=True)
class Part(Kind):
    """A mapping: keys with something below them, or, where it is `made`, the class of an object and its arguments."""

    made: bool = False

    def take(self, value: Any) -> dict:
        if not isinstance(value, dict) or self.made and not isinstance(value.get("_target_"), str):
            raise self.refusal()
        return value

    says = "a class and its arguments, such as {_target_: package.Class}"

    def refusal(self) -> ValueError:
        group = ValueError("it is a group of keys; give one of them, as in key.part=value")
        return super().refusal() if self.made else group


@dataclass(frozen=True, kw_only=True)
class Scheduled(Kind):
    """A number, or the keys of a schedule over the images shown (schedules.py)."""

    of: Number

    def take(self, value: Any) -> Any:
        return value if isinstance(value, dict) else self.of.take(value)

    def check(self, value: Any) -> Any:
        if isinstance(value, dict) and not isinstance(value.get("_target_"), str):  # keys that no schedule is given
            raise self.refusal()
        return super().check(value)

    @property
    def says(self) -> str:
        return f"{self.of.says}, or keys of its schedule"


@dataclass(frozen=True, kw_only=True)
class Free(Kind):
    """Whatever a class that is not ours takes: the class itself is asked when it is made."""

    optional: bool = True

    def take(self, value: Any) -> Any:
        if not isinstance(value, bool | int | float | str | list | dict | None):
            raise self.refusal()
        return value

    says = "a plain value"
