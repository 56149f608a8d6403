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
    if crop == "pad":
        return padded(image, resolution)
    width, height = image.size
    if crop == "entropy" and width != height:
        side, start = min(width, height), best_start(image)
        left, top = (start, 0) if width > height else (0, start)
        image = image.crop((left, top, left + side, top + side))
    return centre(image, resolution)


def padded(image: Image.Image, resolution: int) -> Image.Image:
    """All of an image beside white. Its long side is resized first: a square of that may not fit into memory."""
    width, height = image.size
    side, wide = max(width, height), width >= height
    if side != resolution:
        image = image.resize((resolution, height) if wide else (width, resolution), Image.Resampling.LANCZOS)
    whole = Image.new(image.mode, (resolution, side) if wide else (side, resolution), "white")
    whole.paste(image, ((whole.width - image.width) // 2, (whole.height - image.height) // 2))
    return whole if side == resolution else whole.resize((resolution, resolution), Image.Resampling.LANCZOS)


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
