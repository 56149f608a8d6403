"""When something is due, as a pure function of the images shown, so that a resumed run does what it would have done."""

import math
from dataclasses import dataclass
from typing import Protocol


class Counting(Protocol):
    """What counts the images shown, in all and in the latest step, as modules do."""

    images_seen: int
    images_in_step: int


def moment(images: int) -> str:
    """A moment of training as a part of file names, by the images shown: 000050 after 50,000, 000050_512 after 50,512.

    No two moments have one name, and names in order are moments in order, with an ending or without.
    """
    kimg, rest = divmod(images, 1000)
    return f"{kimg:06d}_{rest:03d}" if rest else f"{kimg:06d}"


@dataclass(frozen=True)
class Interval:
    """Due whenever another `kimg` thousand images are shown, and at the end of the run at `total` kimg.

    spaced: not where the end is nearer than half an interval: what is compared from moment to moment would hardly have
    changed.
    """

    kimg: float
    total: float = math.inf
    spaced: bool = False

    def __post_init__(self) -> None:
        if self.kimg <= 0:
            raise ValueError(
                f"an interval must be more than 0 kimg, not {self.kimg:g}; one larger than the run switches it off"
            )

    def due(self, images: int, batch_size: int) -> bool:
        """Whether the batch that brought the count to `images` crossed a multiple of the interval or the end."""
        if self.finished(images):
            return True
        unit = 1000 * self.kimg
        near = self.spaced and 1000 * self.total - images // unit * unit < unit / 2
        return images // unit > (images - batch_size) // unit and not near

    def due_after(self, module: Counting) -> bool:
        """`due` for the latest batch of a module."""
        return self.due(module.images_seen, module.images_in_step)

    def left(self, images: int) -> int:
        """How often it will be due after so many images; the end counts, and is not infinitely far."""
        if self.finished(images):
            return 0
        multiples = self.total / self.kimg + 0.5 if self.spaced else math.ceil(self.total / self.kimg)
        return max(1, int(multiples) - int(images // (1000 * self.kimg)))

    def finished(self, images: int) -> bool:
        return images >= 1000 * self.total


@dataclass
class Alarm:
    """Due when `minutes` have passed since it was last wound up; never with None. What users wait for."""

    minutes: float | None
    since: float = 0.0  # of a clock in seconds
    due: bool = False

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise ValueError(f"an interval must be more than 0 minutes, not {self.minutes:g}; null is none")

    def passed(self, now: float) -> bool:
        return self.minutes is not None and now - self.since >= 60 * self.minutes

    def wind(self, now: float) -> None:
        self.since, self.due = now, False
