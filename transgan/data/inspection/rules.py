"""What is a finding, and what is not. Limits follow the set: what all images are like is no defect of one of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from transgan.data.inspection import duplicates
from transgan.data.inspection.finding import Finding
from transgan.data.inspection.traits import Traits
from transgan.data.inspection.wording import finding
from transgan.data.labels import OUTSIDE
from transgan.data.sides import ENLARGED, fitting

DARK, DARK_SHARE = 40.0, 0.35  # of 255, and of the set's median
BLURRED, BLURRED_SHARE = 0.42, 0.6  # and of the sharpness that a quarter of the set exceeds
SHARP = 0.8  # of images at the resolution that is theirs
BLANK = 2.0  # standard deviation of luminance
EXTREME = 2.0  # long side over short side: more than half of it is cut off
TRAINED = ""  # the part of images to train on


@dataclass
class Set:
    """All readable files of a set: those to train on first, then those of its other parts.

    labels: int64 (N,), -1 without one; parts: N names, TRAINED or another;
    names and traits: N each.
    """

    names: list[str]
    traits: list[Traits]
    labels: np.ndarray
    class_names: list[str]
    parts: list[str]

    @property
    def held(self) -> np.ndarray:
        """bool (N,), which of them are not trained on"""
        return np.array([part != TRAINED for part in self.parts], bool)

    @property
    def thumbs(self) -> np.ndarray:
        joined = b"".join(each.thumb for each in self.traits)
        return np.frombuffer(joined, np.uint8).reshape(len(self.traits), -1)

    def those(self, wanted: Callable[[Traits], bool]) -> list[int]:
        return [i for i, each in enumerate(self.traits) if wanted(each)]

    def named(self, indices: Iterable[int]) -> list[str]:
        return [self.names[i] for i in indices]

    def median(self, of: str) -> float:
        return self.quantile(of, 0.5)

    def quantile(self, of: str, share: float) -> float:
        """Of a trait, where it is finite; 0 where it is nowhere."""
        values = [getattr(each, of) for each in self.traits]
        return float(np.quantile([value for value in values if np.isfinite(value)] or [0.0], share))


def limits(images: Set) -> dict[str, float]:
    """The limits that hold for this set: light and blur below which an image is dark or blurred, short side below which
    it is tiny, and largest distance of near duplicates."""
    side = float(np.median([min(each.size) for each in images.traits] or [0]))
    return {
        "dark": min(DARK, DARK_SHARE * images.median("light")),
        "blurred": min(BLURRED, BLURRED_SHARE * images.quantile("blur", 0.75)),
        "side": side,
    }


def of_content(images: Set, resolution: int) -> list[Finding]:
    """Dark, blurred and blank images, of one colour."""
    limit, found, usual = limits(images), [], images.quantile("blur", 0.75)
    blank = images.those(lambda each: each.spread < BLANK)
    dark = images.those(lambda each: each.light < limit["dark"] and each.spread >= BLANK)
    blurred = images.those(lambda each: each.blur < limit["blurred"] and each.spread >= BLANK)
    soft = images.those(lambda each: each.blur < BLURRED and each.spread >= BLANK)
    if blank:
        found.append(finding("blank", images.named(blank)))
    if dark:
        why = {images.names[i]: f"98 % of it below {images.traits[i].light:.0f} of 255" for i in dark}
        found.append(finding("dark", images.named(dark), why=why))
    if blurred:
        why = {images.names[i]: f"sharpness {images.traits[i].blur:.2f}, others {usual:.2f}" for i in blurred}
        found.append(finding("blurred", images.named(blurred), why=why, size=resolution))
    fits = fitting(resolution * images.median("blur") / SHARP)
    if 2 * len(soft) > len(images.names) and len(blurred) < len(soft) / 2 and fits < resolution:
        found.append(finding("all_blurred", count=len(soft), size=resolution, fits=fits))
    return found


def of_size(images: Set, resolution: int) -> list[Finding]:
    """Images that are tiny, smaller than the resolution, or far from a square."""
    found, side = [], limits(images)["side"]
    just_below = ENLARGED * resolution <= side < resolution
    least = ENLARGED * resolution if just_below else resolution
    small = images.those(lambda each: min(each.size) < least)
    tiny = [i for i in small if min(images.traits[i].size) < min(resolution, side) / 2]
    rest = [i for i in small if min(images.traits[i].size) >= min(resolution, side) / 2]
    wide = images.those(lambda each: max(each.size) > EXTREME * min(each.size))
    most_are = side < least and fitting(side) < resolution
    way = f"resolution={fitting(side)} fits most" if most_are else "remove them, or a lower resolution="
    for kind, indices in (("tiny", tiny), ("small", rest), ("extreme", wide)):
        if indices:
            why = {images.names[i]: "{}x{}".format(*images.traits[i].size) for i in indices}
            found.append(finding(kind, images.named(indices), why=why, size=resolution, reason=way))
    return found


FORMS: dict[str, Callable[[Traits], bool]] = {
    "animated": lambda each: each.frames > 1,
    "alpha": lambda each: each.transparent,
    "palette": lambda each: each.mode == "P",
    "deep": lambda each: each.deep,
    "cmyk": lambda each: each.mode == "CMYK",
    "rotated": lambda each: each.turn != 1,
    "heic": lambda each: each.form in ("HEIF", "HEIC"),
}


def of_form(images: Set, channels: int) -> list[Finding]:
    """What training converts: modes, depth, orientation, animations; and grey images where others have colours."""
    found, grey = [], images.those(lambda each: each.grey)
    colours = sorted(set(range(len(images.names))) - set(grey))
    if channels == 3 and not colours:
        found.append(finding("all_grey", count=len(grey)))
    elif channels == 3 and grey:
        kind, fewer = ("grey", grey) if len(grey) <= len(colours) else ("coloured", colours)
        found.append(finding(kind, images.named(fewer), grey=f"{len(grey):,}", colours=f"{len(colours):,}"))
    for kind, wanted in FORMS.items():
        if indices := images.those(wanted):
            found.append(finding(kind, images.named(indices)))
    return found


def of_copies(images: Set) -> list[Finding]:
    """Exact and near duplicates within a part, those in several classes, and those in several parts."""
    same = duplicates.exact([each.digest for each in images.traits])
    twins = {i: group[0] for group in same for i in group}
    pairs, _ = duplicates.near(images.thumbs)
    everything = duplicates.groups([*pairs, *((group[0], i) for group in same for i in group[1:])], len(images.names))
    inside, several = duplicates.within(everything, images.parts), []
    for group in everything:
        parts = {images.parts[i] for i in group} - {OUTSIDE}
        several += [(group, TRAINED in parts)] if len(parts) > 1 else []
    found = []
    for kind, groups in (
        ("exact_duplicates", duplicates.within(same, images.parts)),
        ("near_duplicates", [group for group in inside if len({twins.get(i, i) for i in group}) > 1]),
        ("across_classes", [group for group in everything if len(set(images.labels[group].tolist()) - {-1}) > 1]),
        ("across_holdout", [group for group, trained in several if trained]),
        ("across_parts", [group for group, trained in several if not trained]),
    ):
        if groups and (kind != "across_classes" or images.class_names):
            files = images.named(i for group in groups for i in group)
            found.append(finding(kind, files, [images.named(group) for group in groups]))
    return found
