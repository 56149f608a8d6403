"""Exact duplicates at every resolution: a JPEG that was read at a fraction of its size has the digest of its bytes, and
those few that may have the pixels of another file are read once more, as a whole."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from transgan.data.inspection.survey import in_processes
from transgan.data.inspection.traits import Traits, whole_digest
from transgan.data.listed import Listed

APART = 16  # levels between the means of the same pixels, at most, where one file was read at a fraction of its size
Watch = Callable[[Iterable[Any], int], Iterable[Any]]


class Digesting:
    """The digest of all pixels of one file of a list, by its index; picklable, for processes."""

    def __init__(self, source: Listed, places: list[Any]) -> None:
        self.source, self.places = source, places

    def __call__(self, index: int) -> bytes | None:
        try:
            return whole_digest(self.source.read(self.places[index]))
        except Exception:  # noqa: BLE001 - of many kinds, where it has changed meanwhile
            return None


def comparable(images: list[Traits], digesting: Digesting, workers: int | None, watch: Watch) -> list[Traits]:
    """The same N images, those with digests of bytes with digests of pixels where these may be another one's.

    digesting: of the same files, in their order.
    """
    doubtful = in_doubt(images)
    found = watch(in_processes(digesting, doubtful, workers), len(doubtful)) if doubtful else ()
    known = {images[i].digest: whole for i, whole in zip(doubtful, found, strict=True) if whole}
    return [each._replace(digest=known.get(each.digest, each.digest)) for each in images]


def in_doubt(images: Sequence[Traits]) -> list[int]:
    """Ascending indices of reduced images, of each digest one, that may have another file's pixels: of its size and
    mode, with the same means as another reduced one, or almost those of one that was read as a whole."""
    alike: dict[Any, dict[bytes, int]] = defaultdict(dict)  # {digest: index} of those that may be the same
    for i, each in enumerate(images):
        if each.means:
            alike[each.size, each.mode, each.reduced].setdefault(each.digest, i)
    found = set()
    for (size, mode, reduced), those in alike.items():
        if not reduced:
            continue
        own = list(those.values())
        same: dict[bytes, list[int]] = defaultdict(list)
        for i in own:
            same[images[i].means].append(i)
        found |= {i for each in same.values() if len(each) > 1 for i in each}
        means = np.array([np.frombuffer(images[i].means, np.uint8) for i in own], np.int16)
        for other in alike.get((size, mode, False), {}).values():
            apart = np.abs(means - np.frombuffer(images[other].means, np.uint8)).max(1)
            found |= {own[j] for j in np.flatnonzero(apart <= APART)}
    return sorted(found)
