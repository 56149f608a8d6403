"""What choices depend on, as plain numbers."""

from dataclasses import dataclass

DEFAULT_MINUTES = {"cpu": 20.0}  # of a run for which no time was given
ELSEWHERE = 60.0  # of one on a GPU


@dataclass(frozen=True)
class Facts:
    """count: of images; side: pixels of the short side, in the median; grey: whether all that were looked at are;
    classes: images of each class, or none; device: cpu, cuda or mps; cores: of the CPU, that may be used;
    inception: whether the standard network's file is here; installed: whether that of extractor=efficientnet_lite0 is;
    minutes: of the run, None where nobody said; coloured: images whose colours were looked at, 0 for all of them;
    half: whether a GPU computes in bfloat16 itself; processes: of the run, that share a batch."""

    count: int
    side: int
    grey: bool
    classes: tuple[int, ...]
    device: str
    cores: int
    inception: bool
    installed: bool
    minutes: float | None = None
    coloured: int = 0
    half: bool = True
    processes: int = 1

    @property
    def budget(self) -> float:
        """Minutes of the run."""
        return DEFAULT_MINUTES.get(self.device, ELSEWHERE) if self.minutes is None else self.minutes

    @property
    def smallest_class(self) -> int:
        return min(self.classes, default=0)

    @property
    def usual_class(self) -> int:
        """Images of a class, in the median."""
        return sorted(self.classes)[len(self.classes) // 2] if self.classes else 0
