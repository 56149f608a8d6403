"""Values that change while training, as functions of the images shown; spans are in kimg (thousands of images).

Wherever a schedule is accepted, a plain number is too: a constant.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Cosine:
    """From `start` to `end` along half a cosine over `kimg`, then `end` (Loshchilov and Hutter, 2017; R3GAN's burn-in).

    `warmup` rises linearly from 0 to `start` over the first kimg; the cosine runs beneath it.
    """

    start: float
    end: float
    kimg: float
    warmup: float = 0.0

    def __call__(self, images: int) -> float:
        done = min(1.0, images / (1000 * self.kimg)) if self.kimg > 0 else 1.0
        rise = min(1.0, images / (1000 * self.warmup)) if self.warmup > 0 else 1.0
        return rise * (self.end + (self.start - self.end) * (0.5 + 0.5 * math.cos(math.pi * done)))


@dataclass(frozen=True)
class Linear:
    """From `start` to `end` in a straight line over `kimg`, then `end`."""

    start: float
    end: float
    kimg: float

    def __call__(self, images: int) -> float:
        done = min(1.0, images / (1000 * self.kimg)) if self.kimg > 0 else 1.0
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class Share:
    """A share of what has been shown so far, at most `limit` kimg, in kimg (StyleGAN's EMA ramp)."""

    share: float
    limit: float

    def __call__(self, images: int) -> float:
        return min(self.limit, self.share * images / 1000)


def schedule(value: float | Schedule) -> Schedule:
    """A schedule as it is, a number as a constant one."""
    return value if callable(value) else lambda images: float(value)
