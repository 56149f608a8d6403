"""trackers.json: which run of a tracker belongs to a run folder."""

import secrets
from pathlib import Path

from transgan import files

FILE = "trackers.json"


def known(folder: Path, tracker: str) -> str | None:
    """The id that the tracker's run has, if there is one."""
    path = folder / FILE
    found: str | None = files.read_json(path).get(tracker) if path.exists() else None
    return found


def keep(folder: Path, tracker: str, identity: str) -> str:
    """Writes the id down, and returns it."""
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, (files.read_json(path) if path.exists() else {}) | {tracker: identity})
    return identity


def own(folder: Path, tracker: str, before: str = "") -> str:
    """The id that the tracker's run has, or a new one, which begins with `before`."""
    return known(folder, tracker) or keep(folder, tracker, before + secrets.token_hex(4))
