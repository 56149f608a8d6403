"""Images that are there more than once: the same pixels, or almost, after another encoding, size or exposure."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from transgan.data.inspection.traits import HUES, THUMB

NEAR = 0.15  # largest distance of near duplicates: 1 is that of unrelated patterns, or of other colours
SHARE = 0.25  # of the distance to the nearest image, in the median of a set: where all images look alike, less is near
FLAT = 6.0  # standard deviation of luminance below which nothing is to be seen in a thumb
DIMENSIONS = 8
SAMPLE, BASE = 400, 100_000


def exact(digests: Sequence[bytes]) -> list[list[int]]:
    """Groups of two or more of N images with the same digest; ascending indices."""
    found: dict[bytes, list[int]] = {}
    for i, digest in enumerate(digests):
        found.setdefault(digest, []).append(i)
    return [group for group in found.values() if len(group) > 1]


def within(groups: Iterable[list[int]], parts: Sequence[Hashable]) -> list[list[int]]:
    """What is left of groups of images where only those of one part belong together, each of two or more."""
    found = []
    for group in groups:
        for part in dict.fromkeys(parts[i] for i in group):
            found.append([i for i in group if parts[i] == part])
    return [group for group in found if len(group) > 1]


def vectors(thumbs: np.ndarray) -> np.ndarray:
    """uint8 (N, THUMB**2 + 2 * HUES**2) to float32 of the same shape, free of brightness and contrast.

    Their Euclidean distance is sqrt(2 - 2 c) for a correlation c of the luminance, and 1 for colours 64 levels apart.
    """
    luminance = thumbs[:, : THUMB**2].astype(np.float32)
    luminance -= luminance.mean(1, keepdims=True)
    luminance /= np.maximum(np.sqrt((luminance**2).mean(1, keepdims=True)), FLAT) * THUMB
    hues = (thumbs[:, THUMB**2 :].astype(np.float32) - 128) / (64 * HUES)
    return np.concatenate([luminance, hues], 1)


def near(thumbs: np.ndarray) -> tuple[list[tuple[int, int]], float]:
    """Pairs i < j of near duplicates among N images, exact ones included, and the distance that was still near.

    thumbs: as `vectors` takes. Compares each image with those beside it in a space of few dimensions, where no distance
    is larger than the true one: no pair is missed, and time grows as N log N.
    """
    count = len(thumbs)
    if count < 2:
        return [], NEAR
    from scipy.spatial import cKDTree

    places = vectors(thumbs)
    limit = min(NEAR, SHARE * typical(places))
    some = places[np.linspace(0, count - 1, min(count, 20_000)).astype(int)]
    _, axes = np.linalg.eigh(np.cov(some, rowvar=False))
    low = places @ axes[:, -DIMENSIONS:].astype(np.float32)
    pairs = cKDTree(low).query_pairs(limit, output_type="ndarray")
    good = []
    for i in range(0, len(pairs), 50_000):
        part = pairs[i : i + 50_000]
        apart = np.linalg.norm(places[part[:, 0]] - places[part[:, 1]], axis=1)
        good.append(part[apart <= limit])
    seen = visible(thumbs)
    return [(int(a), int(b)) for part in good for a, b in part if seen[a] and seen[b]], limit


def visible(thumbs: np.ndarray) -> np.ndarray:
    """Whether there is anything to be seen in each of N thumbs, bool (N,): black frames are no duplicates."""
    return thumbs[:, : THUMB**2].std(1) >= FLAT


def typical(places: np.ndarray) -> float:
    """The median distance from an image to the nearest one farther than NEAR, of a sample."""
    count = len(places)
    base = places[np.linspace(0, count - 1, min(count, BASE)).astype(int)]
    some = places[np.linspace(0, count - 1, min(count, SAMPLE)).astype(int)]
    squares = (some**2).sum(1)[:, None] + (base**2).sum(1)[None] - 2 * some @ base.T
    squares[squares < NEAR**2] = np.inf  # itself, and what may be duplicates
    nearest = np.sqrt(squares.min(1))
    return float(np.median(nearest[np.isfinite(nearest)])) if np.isfinite(nearest).any() else float("inf")


def groups(pairs: Iterable[tuple[int, int]], count: int) -> list[list[int]]:
    """Connected groups of N images by pairs; ascending indices, the first images first."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        a, b = sorted((root(a), root(b)))
        parent[b] = a
    found: dict[int, list[int]] = {}
    touched = sorted({i for pair in pairs for i in pair})
    for i in touched:
        found.setdefault(root(i), []).append(i)
    return list(found.values())
