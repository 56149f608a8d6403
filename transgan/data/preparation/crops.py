"""From an image of any shape to a square."""

import numpy as np
from PIL import Image

from transgan.data.decode import centre

LEVELS, STEPS = 32, 24  # levels of luminance, and positions of the square that are compared
FIRM = 0.02  # bits that another position must have more than the centre


def fit(image: Image.Image, resolution: int, crop: str) -> Image.Image:
    """An image of mode L or RGB as a square of `resolution` pixels.

    crop: center, as training cuts it; pad, all of it beside white; stretch, all of it out of proportion; or entropy,
    the square in which the luminance says most.
    """
    if crop == "stretch":
        whole = (resolution, resolution)
        return image if image.size == whole else image.resize(whole, Image.Resampling.LANCZOS)
    width, height = image.size
    side = max(width, height) if crop == "pad" else min(width, height)
    if crop == "pad" and width != height:
        padded = Image.new(image.mode, (side, side), "white")
        padded.paste(image, ((side - width) // 2, (side - height) // 2))
        image = padded
    if crop == "entropy" and width != height:
        start = best_start(image)
        left, top = (start, 0) if width > height else (0, start)
        image = image.crop((left, top, left + side, top + side))
    return centre(image, resolution)


def best_start(image: Image.Image) -> int:
    """Where on its long side the square with the largest entropy of luminance begins, in pixels; the centre if no other
    is clearly better."""
    width, height = image.size
    scale = min(1.0, 128 / min(width, height))
    small = image.convert("L").resize((max(1, round(width * scale)), max(1, round(height * scale))))
    levels = np.asarray(small) // (256 // LEVELS)
    levels = levels if width > height else levels.T  # the long side is the second
    counts = np.stack([(levels == level).sum(0) for level in range(LEVELS)])  # of every column
    sums = np.concatenate([np.zeros((LEVELS, 1)), counts.cumsum(1)], 1)
    side, most = levels.shape[0], levels.shape[1] - levels.shape[0]
    starts = np.unique(np.linspace(0, most, STEPS + 1).round().astype(int))  # the middle is among them
    share = (sums[:, starts + side] - sums[:, starts]) / side**2
    entropy = -(share * np.log2(np.where(share > 0, share, 1))).sum(0)
    middle = int(np.abs(starts - most / 2).argmin())
    best = int(entropy.argmax())
    if entropy[best] < entropy[middle] + FIRM:
        return (max(width, height) - min(width, height)) // 2
    return min(round(int(starts[best]) / scale), max(width, height) - min(width, height))
