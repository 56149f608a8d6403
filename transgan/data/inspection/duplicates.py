"""Images that are there more than once: the same pixels, or almost, after another encoding, size, exposure or crop, or
without their colours."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from transgan.data.inspection.alignment import SIDE, aligned, normal, shading
from transgan.data.inspection.traits import HUES, THUMB, half

NEAR = 0.15  # largest distance of near duplicates: 1 is that of unrelated patterns, or of other colours
SHARE = 0.25  # of the distance to the nearest image, in the median of a set: where all images look alike, less is near
WIDE, WIDE_SHARE = 0.5, 0.6  # the same, of what is compared again after small moves and scales
BESIDE, FEW = 6, 3  # nearest images of each that are compared again; that may be copies where all images look alike
FLAT = 6.0  # standard deviation of luminance in a thumb below which light that falls off may be most of what is seen
FAINT = 1.0  # and below which nothing is to be seen, without such light
GREY = 4  # colour differences of an image without colours, of 128
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


def vectors(thumbs: np.ndarray, plain: np.ndarray | None = None) -> np.ndarray:
    """N thumbs, as `thumb_of` makes them, to float32 (N, SIDE**2 + 2 * HUES**2), free of brightness and contrast.

    Their Euclidean distance is sqrt(2 - 2 c) for a correlation c of the luminance, and 1 for colours 64 levels apart.
    plain: as `normal` takes.
    """
    found = np.empty((len(thumbs), SIDE**2 + 2 * HUES**2), np.float32)
    for i in range(0, len(thumbs), 10_000):
        part = thumbs[i : i + 10_000]
        found[i : i + 10_000, : SIDE**2] = normal(half(light(part)).reshape(len(part), -1), plain)
        found[i : i + 10_000, SIDE**2 :] = (part[:, THUMB**2 : -1].astype(np.float32) - 128) / (64 * HUES)
    return found


def light(thumbs: np.ndarray) -> np.ndarray:
    """The luminance of N thumbs, float32 (N, THUMB, THUMB)."""
    return thumbs[:, : THUMB**2].astype(np.float32).reshape(-1, THUMB, THUMB)


def near(thumbs: np.ndarray) -> tuple[list[tuple[int, int]], float]:
    """Pairs i < j of near duplicates among N images, exact ones included, and the distance that was still near.

    thumbs: as `vectors` takes. Images of nothing but light that falls off, as blank pages, are left out; where little
    is to be seen, such light is.
    """
    plain = shading()
    deviation, seen = thumbs[:, -1] / 16, visible(thumbs)
    clear = np.flatnonzero((deviation >= FLAT) & seen)
    faint = np.flatnonzero((deviation < 2 * FLAT) & seen)
    pairs, limit = among(thumbs[clear])
    found = {(int(clear[a]), int(clear[b])) for a, b in pairs}
    found |= {(int(faint[a]), int(faint[b])) for a, b in among(thumbs[faint], plain)[0]}
    return sorted(found), limit


def visible(thumbs: np.ndarray) -> np.ndarray:
    """bool (N,), which of N images have more to be seen than light that falls off."""
    return beyond_light(thumbs, shading()) >= FAINT


def beyond_light(thumbs: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """The standard deviation (N,) of the luminance of N thumbs, without light that falls off. plain: see `shading`."""
    found = []
    for i in range(0, len(thumbs), 10_000):
        part = thumbs[i : i + 10_000]
        seen = half(light(part)).reshape(len(part), -1)
        share = np.linalg.norm(seen - seen @ plain @ plain.T, axis=1) / np.maximum(seen.std(1) * SIDE, 1e-6)
        found.append(part[:, -1] / 16 * share)
    return np.concatenate(found) if found else np.zeros(0)


def among(thumbs: np.ndarray, plain: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Pairs (P, 2) of N images, and their limit, as `near` does for images in which something is to be seen.

    Compares each image with those beside it in a space of few dimensions, where no distance is larger than the true
    one: no pair is missed, and time grows as N log N. A few that are farther are compared again, by `again`.
    """
    count = len(thumbs)
    if count < 2:
        return np.zeros((0, 2), int), NEAR
    from scipy.spatial import cKDTree

    places = vectors(thumbs, plain)
    usual = typical(places)
    limit, wide = min(NEAR, SHARE * usual), min(WIDE, WIDE_SHARE * usual)
    seen = places[:, : SIDE**2]
    some = seen[np.linspace(0, count - 1, min(count, 20_000)).astype(int)]
    _, axes = np.linalg.eigh(np.cov(some, rowvar=False))
    tree = cKDTree(seen @ axes[:, -DIMENSIONS:].astype(np.float32))
    pairs = no_farther(places, tree.query_pairs(limit, output_type="ndarray"), limit)
    _, beside = tree.query(tree.data, min(count, BESIDE + 1), distance_upper_bound=wide)
    ends = np.stack([np.repeat(np.arange(count), beside.shape[1]), beside.ravel()], 1)
    ends = np.unique(np.sort(ends[(ends[:, 1] < count) & (ends[:, 0] != ends[:, 1])], 1), axis=0)
    ends = no_farther(seen, ends, wide)
    apart = again(thumbs, ends, plain)
    ends, apart = ends[apart <= limit], apart[apart <= limit]
    if count > BESIDE and len(ends):
        moved = np.unique(ends)
        _, beside = tree.query(tree.data[moved], BESIDE + 1)
        crowd = np.stack([moved.repeat(BESIDE + 1), beside.ravel()], 1)
        others = np.sort(again(thumbs, crowd, plain).reshape(len(moved), -1), 1)[:, BESIDE if limit == NEAR else FEW]
        alone = np.full(count, np.inf, np.float32)  # how far others are: where they are near, all look alike
        alone[moved] = others
        ends = ends[apart <= SHARE * alone[ends].min(1)]
    return np.concatenate([pairs, ends]), limit


def no_farther(places: np.ndarray, pairs: np.ndarray, limit: float) -> np.ndarray:
    """Those of P pairs (P, 2) whose distance is no more than a limit."""
    good = [np.zeros((0, 2), int)]
    for i in range(0, len(pairs), 50_000):
        part = pairs[i : i + 50_000]
        good.append(part[np.linalg.norm(places[part[:, 0]] - places[part[:, 1]], axis=1) <= limit])
    return np.concatenate(good)


def again(thumbs: np.ndarray, pairs: np.ndarray, plain: np.ndarray | None) -> np.ndarray:
    """The distances (P,) of pairs (P, 2) after small moves and scales; beside an image without colours, those of the
    other do not count."""
    found = [np.zeros(0, np.float32)]
    for i in range(0, len(pairs), 2_000):
        one, other = thumbs[pairs[i : i + 2_000].T]
        colours = [each[:, THUMB**2 : -1].astype(np.float32) - 128 for each in (one, other)]
        grey = np.minimum(*(np.abs(each).max(1) for each in colours)) <= GREY
        apart = np.where(grey, 0, np.linalg.norm(colours[0] - colours[1], axis=1) / (64 * HUES))
        found.append(np.hypot(apart, aligned(light(one), light(other), plain)))
    return np.concatenate(found)


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
