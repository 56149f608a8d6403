"""How sharp an image is where it has edges: without any, nothing is to be said.

An edge is a run of pixels along a row or a column whose luminance only rises or only falls. Its sharpness is its
largest step over its whole change: 1 from one pixel to the next, about 0.4 / s after a Gaussian blur of s pixels. Of
2,000 images of CIFAR-10 the least sharp has 0.45; after a blur of 1.5 pixels 99 % have at most 0.37.
"""

import numpy as np

SHARPEST = 0.9  # of the edges by their change: no other part of an image need be in focus
LEAST = (8.0, 24.0)  # of 255: change of an edge, a fifth of the image's range within these
SHADES = 3  # edges wider than this part of the image are shades, as of a sky
ENOUGH = 2  # edges in every so many rows, or columns


def sharpness(luminance: np.ndarray) -> float:
    """Of float32 (S, S), 0 to 255: that of the sharpest tenth of the edges along rows or columns, whichever is less, as
    after a motion; infinite where there are too few."""
    least = float(np.clip(np.ptp(luminance) / 5, *LEAST))
    found = [of_rows(rows, least) for rows in (luminance, np.ascontiguousarray(luminance.T))]
    return min(found)


def of_rows(rows: np.ndarray, least: float) -> float:
    """Of float32 (R, S), R rows of S pixels, by edges whose change is at least `least`."""
    side = rows.shape[1]
    steps = np.diff(rows, axis=1)
    rising = np.sign(steps)
    begins = np.ones(steps.shape, bool)
    begins[:, 1:] = rising[:, 1:] != rising[:, :-1]
    begins = np.flatnonzero(begins.ravel())
    if not len(begins):
        return float("inf")
    steps = steps.ravel()
    change = np.abs(np.add.reduceat(steps, begins))
    largest = np.maximum.reduceat(np.abs(steps), begins)
    edges = (change >= least) & (largest * side >= SHADES * change)
    change, largest = change[edges], largest[edges]
    if len(change) < max(4, len(rows) / ENOUGH):
        return float("inf")
    sharp = largest / change
    order = np.argsort(sharp)
    weight = np.cumsum(change[order])
    return float(min(1.0, sharp[order][np.searchsorted(weight, SHARPEST * weight[-1])]))
