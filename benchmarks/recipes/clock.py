"""The clock of a trial: CPU-seconds that training took in this process, without those of measuring along the way."""

import time
from collections.abc import Callable, Sequence


class Stop(Exception):
    """The trial's time is over."""


class Clock:
    """Counts process time from `start()`, without that of `measure`, which is called at each of `marks` (seconds).

    A system calls `tick(images_seen)` after each of its steps; when that returns False, training is over: after
    `images` of them, or when `limit` seconds have been spent.
    """

    def __init__(
        self,
        limit: float,
        images: float = float("inf"),
        marks: Sequence[float] = (),
        measure: Callable[[float, int], None] | None = None,
    ):
        self.limit, self.images, self.marks, self.measure = limit, images, sorted(marks), measure
        self.begun, self.images_seen, self.points = 0.0, 0, []

    def start(self) -> None:
        self.begun = time.process_time()

    @property
    def spent(self) -> float:
        """Seconds of training so far."""
        return time.process_time() - self.begun

    def tick(self, images_seen: int) -> bool:
        spent, self.images_seen = self.spent, images_seen
        self.points.append((spent, images_seen))
        while self.marks and spent >= self.marks[0]:
            self.marks.pop(0)
            if self.measure is not None and spent < self.limit and images_seen < self.images:
                before = time.process_time()
                self.measure(spent, images_seen)
                self.begun += time.process_time() - before
        return images_seen < self.images and spent < self.limit

    def speed(self) -> float:
        """Images per second over the second half of the time."""
        half = self.points[-1][0] / 2
        spent, seen = next(point for point in self.points if point[0] >= half)
        if self.points[-1][0] == spent:
            return self.points[-1][1] / spent
        return (self.points[-1][1] - seen) / (self.points[-1][0] - spent)
