"""One word for how a run goes, why, and what to change: rules about plain numbers (docs/results/health.md).

A moment is what is known at an evaluation, name -> number; what a run cannot measure is absent. The first rule that
applies has the word. Rules with an alarm apply from the second moment on, when training has left its first mark;
`diverging` by steps or images that are not finite applies at once. What to change is said in the keys of the run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from transgan.callbacks.remedies import NETWORKS, USUAL, Remedies, either
from transgan.numerals import number

Moment = dict[str, float]

ALARMS = ("low variety", "discriminator wins", "overfitting", "diverging")
WORDS = ("warming up", "improving", "flat", *ALARMS)

SKIPPED, SEVERAL = 0.05, 3  # share of the steps since the last moment, and how many at least
GROWN = 100.0  # times the median gradient norm of the run so far
STEEP = 100.0  # gradient norm below which none counts as grown
HEAVIER = 4.0  # times the weights of the moment before; healthy runs have 1.0 to 1.1
RISEN = 2.0  # times the best distance, twice in a row
VARIETY = 0.3  # of that of real images
WON = 0.97  # share of the pairs that the discriminator tells apart, twice in a row
SURE, PULLS = 0.8, 0.07  # share of the pairs, and how much it has risen since the last moment
PENALTY, STEEPER = 2.0, 2.0  # squared input gradient of the discriminator, and times the smallest before
ALIKE = 0.01  # of the variety of real images; an untrained generator has more, a constant one has none
MOVED = 0.1  # change of the images below which a generator has hardly moved, and growth of variety that counts
STILL = 1e-3  # change of the images, over the distances between real ones
APART = 0.5  # of the usual kimg between moments, at least, for two to be compared
GAP = 0.6  # share of pairs with the training image ranked above the held-out one, twice in a row; 0.5 is no gap
NEAR = 0.8  # distance to the nearest training image, over that between training images, twice in a row
BITS = 1.03  # times the best bits per dimension
GUESSING = 3.0  # standard deviations
BETTER = 0.02  # share of the best distance
RECENT = 3  # moments within which a better one counts as improving


@dataclass(frozen=True)
class Finding:
    """A word of WORDS, the reason for it, and the remedy with its key, or ""."""

    word: str
    reason: str
    remedy: str = ""

    @property
    def alarm(self) -> bool:
        return self.word in ALARMS

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


def diagnosis(history: Sequence[Moment], remedies: Remedies = USUAL) -> Finding:
    """What the moments of a run say, oldest first, and what of its settings could be changed."""
    if not history:
        return Finding("warming up", "nothing has been looked at since training began")
    if found := urgent(history, remedies):
        return found
    if len(history) < 2:
        return Finding("warming up", "it was looked at once since training began; the second look shows what changes")
    for rule in (
        no_real_variety,
        frozen,
        heavier,
        low_variety,
        rising,
        discriminator_wins,
        overfitting,
        meaningless_labels,
    ):
        if found := rule(history, remedies):
            return found
    return progress(history, remedies)


def urgent(history: Sequence[Moment], remedies: Remedies = USUAL) -> Finding | None:
    """What is said at once, also between two evaluations, when the last moment is of the steps since the latest."""
    return not_finite(history, remedies) or exploding(history, remedies)


def measured(history: Sequence[Moment]) -> bool:
    """Whether a distance is measured, which also keeps best.ckpt."""
    return any("distance" in each for each in history)


def not_finite(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    now = history[-1]
    lower = remedies.finite()
    if now.get("broken"):
        kept = "continue from best.ckpt: " if measured(history) else ""
        return Finding("diverging", "generated images are not finite", kept + lower)
    skipped, steps = now.get("skipped", 0.0), now.get("steps", math.inf)
    if skipped >= SEVERAL and skipped > SKIPPED * steps:
        return Finding(
            "diverging", f"{skipped:.0f} of {steps:.0f} steps had no finite gradient and were skipped", lower
        )
    return None


def no_real_variety(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    if history[-1].get("real_spread", 1.0) > 1e-6:
        return None
    return Finding(
        "low variety", "the training images are all alike", "look at them with transgan data check, and give data.path="
    )


def frozen(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    now = history[-1]
    if now.get("grid_change", math.inf) > STILL or too_near(history):
        return None
    word = "discriminator wins" if remedies.discriminates else "flat"
    return Finding(word, "the generated images no longer change", remedies.rate("raise", "generator"))


def too_near(history: Sequence[Moment]) -> bool:
    """Whether the last moment follows so soon that images have had no time to change: one by the clock beside one by
    the images, or the end of a run that went on."""
    shown = [0.0, *(each["kimg"] for each in history)]
    *before, last = (after - earlier for earlier, after in pairwise(shown))
    return bool(before) and last < APART * median(before)


def low_variety(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    *before, now = map(variety, history)
    if now >= VARIETY:
        return None
    what = "pixels" if history[-1].get("grid_spread", math.inf) == now else "features"
    said = f"the {what} of generated images vary {now:.2f} times as much as those of real ones"
    new = max(before) < VARIETY  # as an untrained generator, which has little, too
    going = progress(history, remedies).word == "improving"
    if new and going and now > before[-1] and now > (1 + MOVED) * before[0]:
        return None
    if new and not going and now > ALIKE and max(each.get("grid_change", 0.0) for each in history) < MOVED:
        ways = either(remedies.rate("raise", "generator"), "give a larger kimg=")
        return Finding("low variety", f"{said}, and the generator has hardly begun to learn", ways)
    return Finding("low variety", said, either(remedies.more_penalty(), remedies.rate("lower", "generator")))


def variety(moment: Moment) -> float:
    """Of pixels or of features, whichever is less."""
    return min(moment.get("grid_spread", math.inf), moment.get("spread_features", math.inf))


def exploding(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    for name in NETWORKS:
        key = f"grad_norm_{name[0]}"
        values = sorted(each[key] for each in history if key in each)
        peaks = [each[f"{key}_peak"] for each in history[-RECENT:] if f"{key}_peak" in each]
        if peaks and max(peaks) > max(STEEP, GROWN * (usual := values[len(values) // 2])):
            return Finding(
                "diverging",
                f"the gradient norm of the {name} has been {number(max(peaks))}, and is {number(usual)} otherwise",
                either(remedies.rate("lower", name), remedies.smaller_gradients()),
            )
    return None


def heavier(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    """Weights that have run away, before the images say so, or where these have collapsed."""
    for name in NETWORKS:
        growth = max(each.get(f"growth_{name[0]}", 0.0) for each in history[-RECENT:])
        if growth > HEAVIER:
            return Finding(
                "diverging",
                f"the weights of the {name} have become {number(growth)} times as large from one look to the next",
                either(remedies.rate("lower", name), then="begin anew"),
            )
    return None


def rising(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    values = [each["distance"] for each in history if "distance" in each]
    if len(values) < 3 or min(values[-2:]) <= RISEN * min(values):
        return None
    return Finding(
        "diverging",
        f"the distance has risen to {values[-1] / min(values):.1f} times its best",
        either(remedies.rate("lower", "generator"), remedies.more_penalty(), then="best.ckpt is kept"),
    )


def pulls_away(history: Sequence[Moment]) -> bool:
    """Whether the discriminator has become much better since the last moment, and the distance has not."""
    known = [each for each in history if "distance" in each and "discriminator_accuracy" in each]
    if len(known) < 3 or known[-1] is not history[-1] or known[-2] is not history[-2]:
        return False
    before, now = (each["discriminator_accuracy"] for each in known[-2:])
    best = min(each["distance"] for each in known[:-1])
    return now > SURE and now - before > PULLS and known[-1]["distance"] > (1 - BETTER) * best


def discriminator_wins(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    gradients = [each["r1"] for each in history if "r1" in each]
    if len(gradients) > 1 and gradients[-1] > max(PENALTY, STEEPER * min(gradients)):
        return Finding(
            "discriminator wins",
            f"its squared input gradient, r1, has grown from {number(min(gradients), 2)} to {number(gradients[-1], 2)}",
            remedies.more_penalty(),
        )
    weaker = either(remedies.more_penalty(), remedies.rate("lower", "discriminator"), remedies.smaller_discriminator())
    if pulls_away(history):
        before, now = (100 * each["discriminator_accuracy"] for each in history[-2:])
        said = f"it tells {now:.1f} % of real and generated images apart, after {before:.1f} %, and the distance rests"
        return Finding("discriminator wins", said, weaker)
    wanted = 2 if measured(history) else 3  # at first it is always right
    values = [each["discriminator_accuracy"] for each in history[-wanted:] if "discriminator_accuracy" in each]
    if len(values) < wanted or min(values) <= WON or progress(history, remedies).word == "improving":
        return None
    return Finding(
        "discriminator wins",
        f"it tells {100 * values[-1]:.1f} % of real and generated images apart",
        weaker,
    )


def overfitting(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    before, now = history[-2:]
    more = remedies.more_images()
    if (gap := min(each.get("discriminator_gap", 0.0) for each in (before, now))) > GAP:
        return Finding(
            "overfitting",
            f"the discriminator ranks a training image above a held-out one in {100 * gap:.0f} % of the pairs",
            more,
        )
    if (near := max(each.get("grid_nearest", math.inf) for each in (before, now))) < NEAR:
        return Finding(
            "overfitting",
            f"generated images are {near:.2f} times as far from the nearest training image as another one is from that",
            more,
        )
    values = [each["bits"] for each in history if "bits" in each]
    if len(values) > 2 and min(values[-2:]) > BITS * min(values):
        return Finding(
            "overfitting",
            f"bits per dimension of held-out images have risen from {number(min(values))} to {number(values[-1])}",
            either("stop here", "use more images", then="best.ckpt is kept" if measured(history) else ""),
        )
    return None


def meaningless_labels(history: Sequence[Moment], remedies: Remedies) -> Finding | None:
    if history[-1].get("labels", math.inf) > GUESSING:
        return None
    return Finding(
        "flat",
        "the classes cannot be learned: an image and its nearest one share a class as often as by guessing",
        "look at the classes with transgan data check, or set conditional=false",
    )


def progress(history: Sequence[Moment], remedies: Remedies) -> Finding:
    """By the distance, or by bits per dimension of held-out images where no distance is measured."""
    key = "distance" if measured(history) else "bits"
    name = {"distance": "the distance", "bits": "bits per dimension of held-out images"}[key]
    values = [(each["kimg"], each[key]) for each in history if key in each]
    if not values and any("failed" in each for each in history):
        return Finding("warming up", "no evaluation since training began has succeeded, for reasons that log.txt has")
    if not values:
        return Finding("warming up", "nothing says whether it improves", "give metrics=fast, which measures a distance")
    if len(values) < 2:
        return Finding("warming up", f"{name} is known once since training began, and nothing to compare it with")
    kimg, best = min(values, key=lambda each: each[1])
    earlier = min((value for _, value in values[:-RECENT]), default=values[0][1])
    if best < (1 - BETTER) * earlier:
        return Finding("improving", f"{name} is {number(best)} at {kimg:g} kimg, and was {number(earlier)}")
    since = min(RECENT, len(values) - 1)
    within = f"within {since} evaluations" if since > 1 else "since the last evaluation"
    ways = "patience=5 would end it; or " if measured(history) and not remedies.ends_by_itself else ""
    return Finding(
        "flat",
        f"{name} has hardly become better {within}; its best is {number(best)}, at {kimg:g} kimg",
        f"the run may be done: {ways}give a larger kimg=" if since == RECENT else "",
    )
