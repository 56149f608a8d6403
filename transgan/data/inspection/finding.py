"""One thing that `transgan data check` found, and which training does something about or suffers from."""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from transgan.data.dataset import printable

MOST, OF_GROUP = 4, 3  # names, or groups, and names of a group in a table
STOPS, SPOILS, CHANGES, SAYS = "stops", "spoils", "changes", "notes"
LEVELS = {  # what a finding means for training, in the order in which they are shown
    STOPS: "training refuses these, or goes on without them",
    SPOILS: "training takes these as they are, and suffers",
    CHANGES: "training converts these",
    SAYS: "to know",
}


def in_groups(count: int) -> str:
    """What follows a number of images that are in groups; nothing where there are none."""
    return f" in {count:,} group{'s' * (count != 1)}" if count else ""


@dataclass(frozen=True)
class Finding:
    """kind: a word for programs, such as near_duplicates; title: the same for users; level: a key of LEVELS; training:
    what training does; way: the way out; files: every name; groups: names that belong together, of duplicates; why:
    {name: details}; count: of files, or of other things where there are none."""

    kind: str
    title: str
    level: str
    training: str
    way: str
    files: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", self.count or len(self.files))

    @property
    def amount(self) -> str:
        """How many there are, in words."""
        return f"{self.count:,}{in_groups(len(self.groups))}"

    def named(self, most: int = MOST) -> list[str]:
        """The first files or groups as a user reads them, and how many more there are."""
        if self.groups:
            said = [self.line(group, OF_GROUP) for group in self.groups[:most]]
        else:
            said = [self.line([name]) for name in self.files[:most]]
        rest = len(self.groups or self.files) - most
        return [*said, *([f"and {rest:,} more"] if rest > 0 else [])]

    @property
    def is_cut(self) -> bool:
        """Whether `named` names not all."""
        return len(self.groups or self.files) > MOST or any(len(group) > OF_GROUP for group in self.groups)

    def line(self, group: list[str], most: int | None = None) -> str:
        """Names that belong together, the first `most` of them, with what is said of them."""
        names = " = ".join(distinct(group)[:most]) + (" = ..." if most and len(group) > most else "")
        return names + (f" ({self.why[group[0]]})" if group[0] in self.why else "")

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "kind": self.kind, "title": self.title, "level": self.level, "count": self.count, "files": self.files,
            "groups": self.groups, "why": self.why, "training": self.training, "way": self.way,
        }  # fmt: skip


def distinct(names: list[str]) -> list[str]:
    """Names as a user reads them: with escapes where they would be printed alike."""
    printed = {unicodedata.normalize("NFKC", printable(name)).strip() for name in names}
    return [printable(name) if len(printed) == len(set(names)) else ascii(name) for name in names]
