"""How long a run is and how often it is looked at: chosen once a step was measured."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from transgan.numerals import number
from transgan.planning.choice import Choice
from transgan.planning.facts import Facts
from transgan.planning.settings import in_words

EPOCHS, LEAST_KIMG = 5_000, 100.0  # a run shows each image so often at most, and is at least so long
MEASURING = 0.10  # of a run's time, for evaluations
EVALUATIONS = (2, 8)  # of a run, beside the last one's repetition
GRIDS, BETWEEN = 20, 10.0  # grids of a run, and seconds between two, at least
LINES = 200  # of stats.csv
LEAST, FEWEST, MOST = 2, 1_000, 10_000  # images of an evaluation; a distance is of two or more


@dataclass(frozen=True)
class Measured:
    """images_per_second: of training with `threads`, whose speeds by number of threads are in `speeds`; generating:
    seconds to make an image; extracting: seconds to look at one; before: seconds that have passed or will before the
    first step; micro_batch: images that fit into memory at once, None for all; memory: bytes at the peak; free: bytes
    there are; state: bytes of the networks, with what trains them."""

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


def spend(
    facts: Facts, measured: Measured, batch_size: int, given: Collection[str] = (), kimg: float | None = None
) -> list[Choice]:
    """Length and intervals of a run of `facts.budget` minutes, or of `kimg`, without the keys that the user has
    `given`."""
    return [each for each in choices(facts, measured, batch_size, kimg) if each.key not in given]


def choices(facts: Facts, measured: Measured, batch_size: int, kimg: float | None = None) -> Iterator[Choice]:
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
    samples, times = measuring(facts, measured, seconds)
    evaluating = (times + 1) * samples * (measured.generating + measured.extracting)  # the best once more
    if kimg is None:
        training = seconds - min(evaluating, 0.3 * seconds) - 0.01 * seconds
        kimg, why = (
            training * speed / 1000,
            f"{in_words(facts.budget)} at {number(speed)} img/s, with {samples:,} images",
        )
        why += f" made and measured {times} times"
        if kimg > (most := max(LEAST_KIMG, EPOCHS * facts.count / 1000)):
            kimg, why = most, f"{facts.count:,} images, each shown {1000 * most / facts.count:,.0f} times"
        kimg = rounded(max(kimg, 2 * batch_size / 1000))
        yield Choice("kimg", kimg, why)
    share = evaluating / (evaluating + 1000 * kimg / speed)
    yield Choice("metrics.num_samples", samples, f"{max(share, 0.01):.0%} of the time, to measure them")
    step, a_minute = batch_size / 1000, 60 * speed / 1000
    lines = rounded(max(kimg / LINES, step))
    yield Choice("log_every", lines, f"{times_of(kimg, lines, 'line')} of stats.csv")
    grids = min(max(kimg / GRIDS, BETWEEN * speed / 1000), 10 * a_minute, kimg)
    yield Choice("sample_every", rounded(max(grids, step)), "a grid every " + duration(grids / speed))
    evaluations = rounded(max(kimg / times, step))
    yield Choice("evaluate_every", evaluations, times_of(kimg, evaluations, "time"))
    saving = min(max(kimg / 8, a_minute), 10 * a_minute, kimg)
    yield Choice("checkpoint_every", rounded(max(saving, step)), "every " + duration(saving / speed))


def times_of(kimg: float, every: float, what: str) -> str:
    """How often an interval is in a run, in words."""
    count = max(1, round(kimg / every))
    return f"{count:,} {what}{'s' * (count != 1)}"


def measuring(facts: Facts, measured: Measured, seconds: float) -> tuple[int, int]:
    """-> (images of an evaluation, evaluations): as many images as there are real ones, up to MOST, as often as may be,
    within a share of the seconds; where that is not enough, fewer of both."""
    each = measured.generating + measured.extracting
    affordable = MEASURING * seconds / each if each > 0 else float("inf")  # images in all
    least, most = EVALUATIONS
    wanted = max(LEAST, min(MOST, facts.count))
    if affordable >= (most + 1) * wanted:
        return wanted, most
    samples = int(max(min(FEWEST, wanted), affordable // (most + 1) // 100 * 100))
    return samples, int(min(max(affordable / samples - 1, least), most))


def rounded(kimg: float) -> float:
    """To three figures, and not below a single image."""
    return max(float(f"{kimg:.3g}"), 0.001)


def duration(kiloseconds: float) -> str:
    seconds = 1000 * kiloseconds
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
