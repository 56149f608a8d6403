"""What a run is charged for the run that it began with: what that had cost by then, whatever became of it."""

import math
from pathlib import Path
from typing import Any

from transgan import files
from transgan.comparison.record import Record


def charge(records: list[Record]) -> list[str]:
    """Counts the pre-training of all records as they have written it down. Returns notes.

    A run of an earlier version has written nothing: there what it began with counts as it is today.
    """
    found: dict[str, None] = {}
    for record in records:
        written = record.saved.get("begun_with") or {}
        earlier = record.before
        while earlier is not None:
            if note := changed(earlier, written, record):
                found[note] = None
            if written:
                earlier.counted = written
            written, earlier = written.get("begun_with") or {}, earlier.before
    return list(found)


def changed(earlier: Record, written: dict[str, Any], record: Record) -> str | None:
    """A note where what a run began with is another file now."""
    if not written:
        known = (record.config.get("warm_start") or {}).get("sha256") if earlier is record.before else None
        if known is None or not earlier.there or files.sha256(earlier.path) == known:
            return None
        return f"{record.folder} began with {earlier.path}, which has changed since: its cost is that of today"
    path, kimg = Path(written["path"]), written["images_seen"] / 1000
    if (here := earlier.folder / "checkpoints" / path.name).exists():  # of folders that were moved
        path = here
    if math.isnan(written["seconds"][record.clock]):
        return f"{record.folder} began with {path}, of which it is not known how long it took"
    if path.exists() and files.sha256(path) == written["sha256"]:
        return None
    became = "has changed since" if path.exists() else "is gone"
    return f"{record.folder} began with {path}, which {became}: its cost is that of the {kimg:g} kimg that it had then"
