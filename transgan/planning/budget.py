"""How long a run is and how often it is looked at: chosen once a step was measured."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from transgan.numerals import number
from transgan.planning.beside import Beside, Costs, moments
from transgan.planning.choice import Choice
from transgan.planning.facts import Facts
from transgan.planning.settings import in_words

EPOCHS, LEAST_KIMG = 5_000, 100.0  # a run shows each image so often at most, and is at least so long
MEASURING = 0.10  # of a run's time, for distances, and as much for what comes with each of them
EVALUATIONS = (2, 8)  # of a run; the best is measured once more, and an untrained generator
AGAIN = 2  # for these two
GRIDS, BETWEEN, DEAR = 20, 10.0, 20.0  # grids of a run; seconds between two, at least, and times what one takes
LINES = 200  # of stats.csv
LEAST, FEWEST, MOST = 2, 1_000, 10_000  # images of an evaluation; a distance is of two or more
SCANT = 100  # where the time is too short for FEWEST
TRAINING = 0.3  # of a run's time, at least


@dataclass(frozen=True)
class Measured:
    """images_per_second: of training with `threads`, whose speeds by number of threads are in `speeds`; generating:
    seconds to make an image; extracting: seconds to look at one; before: seconds that have passed or will before the
    first step; micro_batch: images that fit into memory at once, None for all; memory: bytes at the peak; free: bytes
    there are; state: bytes of the networks, with what trains them; likelihood: seconds to measure it once."""

    images_per_second: float
    threads: int | None
    speeds: dict[int, float]
    generating: float
    extracting: float
    before: float
    micro_batch: int | None
    memory: int
    free: int
    state: int = 0
    likelihood: float = 0.0

    @property
    def costs(self) -> Costs:
        return Costs(self.generating, self.extracting, self.likelihood)


def spend(
    facts: Facts,
    measured: Measured,
    batch_size: int,
    given: Collection[str] = (),
    kimg: float | None = None,
    beside: Beside | None = None,
) -> list[Choice]:
    """Length and intervals of a run of `facts.budget` minutes, or of `kimg`, without the keys that the user has
    `given`. beside: what it does beside training."""
    return [each for each in choices(facts, measured, batch_size, kimg, beside or Beside()) if each.key not in given]


def choices(facts: Facts, measured: Measured, batch_size: int, kimg: float | None, beside: Beside) -> Iterator[Choice]:
    speed = measured.images_per_second
    if measured.micro_batch is not None:
        free = f"{measured.free / 2**30:.1f} GiB free"
        yield Choice("micro_batch", measured.micro_batch, f"what fits at once: {free}")
    if measured.threads is not None:
        others = ", ".join(f"{number(speed)} img/s with {n}" for n, speed in sorted(measured.speeds.items()))
        yield Choice("threads", measured.threads, f"measured: {others}")
    if kimg is None:
        seconds = max(60 * facts.budget - measured.before, 0.5 * 60 * facts.budget)
    else:
        seconds = 1000 * kimg / speed / (1 - MEASURING)
    samples, times = measuring(facts, measured, seconds, beside)
    step = batch_size / 1000
    if kimg is None:
        kimg, most = length(measured, seconds, samples, times, step, beside), EPOCHS * facts.count / 1000
        why = f"{in_words(facts.budget)} at {number(speed)} img/s"
        if kimg > (most := max(LEAST_KIMG, most)):
            kimg, why = most, f"{facts.count:,} images, each shown {1000 * most / facts.count:,.0f} times"
        elif beside.distances:
            count = moments(kimg, evaluating(kimg, times, step, beside))
            why += f", with {in_blocks(samples, beside)} made and measured {times_of(count)}"
        kimg = max(float(f"{max(kimg, 2 * step):.3g}"), 0.001)
        yield Choice("kimg", kimg, why)
    evaluate_every, sample_every = evaluating(kimg, times, step, beside), sampling(kimg, measured, step, beside)
    training = 1000 * kimg / speed
    spent = beside.evaluations(measured.costs, samples, moments(kimg, evaluate_every), training)
    share = max(spent / (spent + training), 0.01)
    yield Choice("metrics.num_samples", samples, f"{share:.0%} of the time, to measure them")
    lines = up(max(kimg / LINES, step))
    yield Choice("log_every", lines, f"{times_of(moments(kimg, lines), 'line')} of stats.csv")
    yield Choice("sample_every", sample_every, "a grid every " + duration(sample_every / speed))
    yield Choice("evaluate_every", evaluate_every, times_of(moments(kimg, evaluate_every)))
    a_minute = 60 * speed / 1000
    saving = min(max(kimg / 8, a_minute), 10 * a_minute, kimg)
    yield Choice("checkpoint_every", up(max(saving, step)), "every " + duration(saving / speed))


def length(measured: Measured, seconds: float, samples: int, times: int, step: float, beside: Beside) -> float:
    """The kimg of a run of so many seconds, of which what is done beside training has its part."""
    speed, training = measured.images_per_second, seconds
    for _ in range(5):  # that part follows the length, which follows what is left
        kimg = max(training * speed / 1000, step)
        every = evaluating(kimg, times, step, beside), sampling(kimg, measured, step, beside)
        other = beside.seconds(measured.costs, samples, kimg, training, *every) + 0.01 * seconds
        training = max(seconds - other, TRAINING * seconds)
    return training * speed / 1000


def evaluating(kimg: float, times: int, step: float, beside: Beside) -> float:
    """kimg between evaluations."""
    return max(beside.evaluate_every, step) if beside.evaluate_every else up(max(kimg / times, step))


def sampling(kimg: float, measured: Measured, step: float, beside: Beside) -> float:
    """kimg between grids: of a run twenty, not one in ten seconds and one in ten minutes at least, and in any case for
    a small part of the time."""
    if beside.sample_every:
        return max(beside.sample_every, step)
    speed = measured.images_per_second / 1000
    usual = min(max(kimg / GRIDS, BETWEEN * speed), 600 * speed)
    return up(max(min(max(usual, DEAR * beside.grid * measured.generating * speed), kimg), step))


def times_of(count: int, what: str = "time") -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def in_blocks(samples: int, beside: Beside) -> str:
    return f"{beside.blocks} x {samples:,} images" if beside.blocks > 1 else f"{samples:,} images"


def measuring(facts: Facts, measured: Measured, seconds: float, beside: Beside) -> tuple[int, int]:
    """-> (images of an evaluation, evaluations): as many images as there are real ones, up to MOST, as often as may be,
    within a share of the seconds; where that is not enough, fewer of both."""
    costs, allowed = measured.costs, MEASURING * seconds
    least, most = EVALUATIONS
    if (look := beside.look(costs)) > 0:
        most = max(1, min(most, int((allowed - costs.likelihood) / look)))
    wanted = max(LEAST, min(MOST, facts.count)) if beside.samples is None else beside.samples
    each = beside.evaluation(costs, 1)  # seconds of an image of an evaluation
    affordable = allowed / each if each > 0 else math.inf  # images in all
    if affordable >= (most + AGAIN) * wanted:
        return wanted, most
    if beside.samples is not None:
        return wanted, int(min(max(affordable / wanted - AGAIN, 1), most))
    samples = int(max(min(FEWEST, wanted), affordable // (most + AGAIN) // 100 * 100))
    if affordable < (least + AGAIN) * samples:
        samples = int(max(min(SCANT, wanted), affordable // (least + AGAIN) // 10 * 10))
    return samples, int(min(max(affordable / samples - AGAIN, 1), most))


def up(kimg: float) -> float:
    """To three figures and not below, and not below a single image: intervals that are too short leave a remainder."""
    unit = 10.0 ** (math.floor(math.log10(kimg)) - 2)
    return max(float(f"{math.ceil(kimg / unit - 1e-6) * unit:.3g}"), 0.001)


def duration(kiloseconds: float) -> str:
    seconds = 1000 * kiloseconds
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
