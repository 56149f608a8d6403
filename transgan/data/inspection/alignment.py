"""The distance of two images after one of them was moved, enlarged or reduced a little, as by a crop."""

import numpy as np

SIDE = 16  # of what is compared
WINDOW = 0.92  # the part of a side that is compared, so that what is moved or enlarged is still all there
MOVED, SCALED = 0.025, 0.08  # most, of a side and of a size
STEPS = 4


def normal(pixels: np.ndarray, plain: np.ndarray | None = None) -> np.ndarray:
    """float32 (N, D) without brightness and contrast, of length 1.

    plain: (D, K) of orthonormal columns, which are taken out; None: the mean alone.
    """
    pixels = pixels - pixels.mean(1, keepdims=True)
    if plain is not None:
        pixels -= pixels @ plain @ plain.T
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)


def shading(side: int = SIDE) -> np.ndarray:
    """Orthonormal columns (side**2, 6) of what light that falls off, and paper that bends, look like: polynomials of
    degree 2."""
    y, x = np.mgrid[:side, :side].reshape(2, -1) / (side - 1) - 0.5
    return np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1))[0].astype(np.float32)


def sampled(pixels: np.ndarray, scale: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A window of each of N images (N, S, S), moved by so many cells (N,) and scaled (N,), in SIDE x SIDE cells."""
    size = pixels.shape[-1]
    cell = WINDOW * size / SIDE
    at = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) * scale[:, None]

    def weights(moved: np.ndarray) -> np.ndarray:
        centres = size / 2 + cell * (at + moved[:, None])
        near = 1 - np.abs(centres[:, :, None] - (np.arange(size, dtype=np.float32) + 0.5)) / cell
        near = np.maximum(near, 0)
        return near / near.sum(2, keepdims=True)

    return np.asarray(weights(down) @ pixels @ weights(right).transpose(0, 2, 1))


def aligned(one: np.ndarray, other: np.ndarray, plain: np.ndarray | None = None) -> np.ndarray:
    """The distances (N,) of N pairs of images, float32 (N, S, S), after the best small move and scale of the others:
    sqrt(2 - 2 c) for a correlation c. plain: as `normal` takes.

    By the method of Gauss and Newton, as Lucas and Kanade (1981) register images.
    """
    count = len(one)
    none = np.zeros(count, np.float32)
    wanted = normal(sampled(one, none + 1, none, none).reshape(count, -1), plain)
    y, x = (np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2)[:, None]
    scale, down, right, best = none + 1, none, none, none + np.inf
    most = MOVED * SIDE / WINDOW
    for step in range(STEPS + 1):
        seen = sampled(other, scale, down, right)
        flat = seen.reshape(count, -1)
        rest = normal(flat, plain) - wanted
        best = np.minimum(best, np.linalg.norm(rest, axis=1))
        if step == STEPS:
            break
        size = np.maximum(np.linalg.norm(flat - flat.mean(1, keepdims=True), axis=1), 1e-6)
        dy, dx = np.gradient(seen / size[:, None, None], axis=(1, 2))
        slopes = np.stack([x * dx + y * dy, dy, dx], 1).reshape(count, 3, -1)
        slopes -= slopes.mean(2, keepdims=True)
        square = slopes @ slopes.transpose(0, 2, 1) + 1e-4 * np.eye(3, dtype=np.float32)
        change = np.linalg.solve(square, slopes @ rest[:, :, None])[:, :, 0]
        scale = (scale - change[:, 0]).clip(1 - SCALED, 1 + SCALED)
        down, right = (down - change[:, 1]).clip(-most, most), (right - change[:, 2]).clip(-most, most)
    return np.asarray(best)
