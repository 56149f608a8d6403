"""Whether a claim about systems holds over the seeds: Welch's interval of the difference for each pair of systems."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scipy import stats

from transgan.numerals import number

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"


@dataclass(frozen=True)
class Test:
    """One system's metric against another's. `difference` is ours minus theirs, `low` to `high` its 95 % interval."""

    metric: str
    budget: str
    ours: str
    theirs: str
    our_mean: float
    their_mean: float
    difference: float
    low: float
    high: float
    result: str

    def sentence(self) -> str:
        sign = "+" if self.difference > 0 else ""
        interval = "" if math.isnan(self.low) else f", 95 % {self.low:+.3g} to {self.high:+.3g}"
        return (
            f"{self.result} against {self.theirs} ({self.metric}, {self.budget}: {number(self.our_mean, 4)} against "
            f"{number(self.their_mean, 4)}, {sign}{number(self.difference)}{interval})"
        )


def welch(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    """The 95 % interval of the difference of two means with unequal variances (Welch, 1947); NaN below two of each."""
    if min(len(ours), len(theirs)) < 2:
        return math.nan, math.nan
    difference = statistics.fmean(ours) - statistics.fmean(theirs)
    if statistics.variance(ours) == statistics.variance(theirs) == 0:
        return difference, difference
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def test(metric: str, budget: str, ours: tuple[str, list], theirs: tuple[str, list], better: str) -> Test:
    """`ours` and `theirs` are names with their values over seeds; `better` is "lower" or "higher".

    A claim holds if the whole interval is on its side, fails if it is on the other, and is undecided otherwise.
    """
    (our_name, our_values), (their_name, their_values) = ours, theirs
    low, high = welch(our_values, their_values)
    good, bad = (high < 0, low > 0) if better == "lower" else (low > 0, high < 0)
    result = HOLDS if good else FAILS if bad else UNDECIDED
    a, b = statistics.fmean(our_values), statistics.fmean(their_values)
    return Test(metric, budget, our_name, their_name, a, b, a - b, low, high, result)


def result_of(tests: list[Test]) -> str:
    """The result of a claim: it fails if any of its tests fails, and holds if all hold."""
    found = {each.result for each in tests}
    if not tests or found == {UNDECIDED}:
        return UNDECIDED
    return FAILS if FAILS in found else HOLDS if found == {HOLDS} else UNDECIDED


def check_claims(
    claims: dict[str, Any], values: Callable[[str, str, str], list[float]]
) -> dict[str, tuple[str, list[Test], list[tuple[str, str]]]]:
    """name -> (result, tests, systems and budgets without numbers).

    `values(system, budget, metric)` is a list over seeds.
    """
    found = {}
    for name, claim in claims.items():
        tests, missing = [], []
        for each in claim["tests"]:
            for theirs in each["theirs"]:
                ours = each["ours"]
                pair = [values(system, each["budget"], each["metric"]) for system in (ours, theirs)]
                if not all(pair):
                    missing += [
                        (system, each["budget"])
                        for system, numbers in zip((ours, theirs), pair, strict=True)
                        if not numbers
                    ]
                    continue
                tests.append(test(each["metric"], each["budget"], (ours, pair[0]), (theirs, pair[1]), each["better"]))
        result = result_of(tests)
        if missing and result != FAILS:  # what is missing cannot mend one that fails
            result = UNDECIDED
        found[name] = (result, tests, list(dict.fromkeys(missing)))
    return found
