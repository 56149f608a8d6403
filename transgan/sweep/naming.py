"""The name of a job's run folder: its overrides, such as loss-hinge_seed-0, the same whenever it is asked for."""

import re
from collections.abc import Collection, Sequence

from transgan import files

LONGEST = 120  # characters; a file name may have 255 bytes


def folder_name(
    overrides: Sequence[str], *, between: str = "-", after: str = "_", leave_out: Collection[str] = ()
) -> str:
    """`between` stands between a key and its value, `after` between one override and the next; no = in any of it.

    The seed comes last, so that runs which differ in it stand side by side. What a file name cannot hold is replaced,
    and a hash of the value tells it from another that is replaced by the same.
    """
    pairs = [override.partition("=")[::2] for override in overrides]
    pairs = [(key.lstrip("+"), value) for key, value in pairs if key.lstrip("+") not in leave_out]
    pairs.sort(key=lambda pair: (pair[0] == "seed", pair[0]))
    parts = [clean(value) if key == "name" else f"{clean(key)}{between}{clean(value)}" for key, value in pairs]
    name = after.join(parts).replace("=", "-") or "job"
    return name if len(name) <= LONGEST else f"{name[:LONGEST].rstrip('.-_')}-{digest(name)}"


def clean(text: str) -> str:
    """Characters a to z, digits, and . + - _ of a text; [16,32] becomes 16-32."""
    plain = re.sub(r"[\[\], ]+", "-", text).strip("-")
    safe = re.sub(r"[^\w.+-]+", "-", plain).strip("-.")
    return safe if safe == plain and " " not in text and safe else f"{safe or 'value'}-{digest(text)}"


def digest(text: str) -> str:
    return files.hash_of(text)[:6]
