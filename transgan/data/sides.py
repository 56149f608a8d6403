"""At which resolution to train on images of some size."""

USUAL = (8, 16, 32, 64, 128, 256, 512)
ENLARGED = 0.75  # of a resolution: images of so many pixels are still made at it, as 24 and 28 at 32


def fitting(side: float) -> int:
    """The largest of the usual resolutions for images whose short side has so many pixels, at least 8."""
    return max((each for each in USUAL if ENLARGED * each <= side), default=USUAL[0])
