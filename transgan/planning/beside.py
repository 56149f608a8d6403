"""What a run does beside training, and the seconds that takes: grids, distances, health and likelihood."""

from dataclasses import dataclass

CHEAP = 0.05  # of a run's time: an evaluation that takes no more is made of an untrained generator, too


@dataclass(frozen=True)
class Costs:
    """Seconds: to make an image, to look at one by the extractor, and to measure the likelihood once."""

    generating: float
    extracting: float
    likelihood: float = 0.0


@dataclass(frozen=True)
class Beside:
    """What the user and the configuration say of it.

    Args:
        grid, health: images of a grid, and of a look at how the run goes; 0 without it.
        distances: whether they are measured; of `samples` images, where their number is given, in `blocks` of seeds,
            shared by `processes`; for at most `share` of the time; at_start: before the first step as well.
        sample_every, evaluate_every: kimg, where they are given.
    """

    grid: int = 100
    health: int = 100
    distances: bool = True
    samples: int | None = None
    blocks: int = 1
    processes: int = 1
    share: float = 1.0
    at_start: bool = False
    sample_every: float | None = None
    evaluate_every: float | None = None

    def evaluation(self, costs: Costs, samples: int) -> float:
        """Seconds of one."""
        each = (costs.generating + costs.extracting) / self.processes
        return self.blocks * samples * each if self.distances else 0.0

    def look(self, costs: Costs) -> float:
        """Seconds of what comes with every evaluation."""
        return self.health * costs.generating + costs.likelihood

    def evaluations(self, costs: Costs, samples: int, times: int, training: float) -> float:
        """Seconds of all distances of a run with so many moments in so many seconds of training: those that their
        share allows, the best once more, and an untrained generator's, at the start or where that is cheap."""
        one, spent, passed = self.evaluation(costs, samples), 0.0, 0.0
        if one == 0:
            return 0.0
        for i in range(times):
            passed += training / times
            if spent <= self.share * passed or i == times - 1:
                spent, passed = spent + one, passed + one
        untrained = self.at_start or one <= CHEAP * passed
        return spent + one + one * untrained

    def seconds(
        self, costs: Costs, samples: int, kimg: float, training: float, evaluate_every: float, sample_every: float
    ) -> float:
        """Of a run of `kimg`, in so many seconds of training, beside these."""
        times, grids = moments(kimg, evaluate_every), moments(kimg, sample_every)
        found = self.evaluations(costs, samples, times, training) + times * self.look(costs) + costs.likelihood
        return found + (grids + 1) * self.grid * costs.generating


def moments(kimg: float, every: float) -> int:
    """Of an interval in a run: the last one is the end, and none is nearer to it than half an interval."""
    return max(1, int(kimg / every + 0.5))
