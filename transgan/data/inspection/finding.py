"""One thing that `transgan data check` found, and which training does something about or suffers from."""

from dataclasses import dataclass, field
from typing import Any

from transgan.data.dataset import printable

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

    def named(self, most: int = 4) -> list[str]:
        """The first files or groups as a user reads them, and how many more there are."""
        if self.groups:
            said = [
                " = ".join(map(printable, group[:3])) + (" = ..." if len(group) > 3 else "") for group in self.groups
            ]
        else:
            said = [printable(name) + (f" ({self.why[name]})" if name in self.why else "") for name in self.files]
        return [*said[:most], *([f"and {len(said) - most:,} more"] if len(said) > most else [])]

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "kind": self.kind, "title": self.title, "level": self.level, "count": self.count, "files": self.files,
            "groups": self.groups, "why": self.why, "training": self.training, "way": self.way,
        }  # fmt: skip
