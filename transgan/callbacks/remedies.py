"""What can be changed about a run that does not go well, in the keys that this very run has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NETWORKS = ("generator", "discriminator", "network")  # as modules name theirs
RATE, NETWORK_RATE = "lr", "{}_lr"  # schedules: of the one network, of one of two


def either(*options: str, then: str = "") -> str:
    """The options there are, in a sentence, and what goes with them."""
    return "; ".join(each for each in (", or ".join(each for each in options if each), then) if each)


@dataclass(frozen=True)
class Remedies:
    """Every method gives words, or "" where the run has nothing of the kind.

    Args:
        keys: of the learning rates and of gamma, by the name of their schedule: of its start, and of its end.
        clip: the largest gradient norm, None for none. penalised: whether gamma weighs anything. augment: the largest
        share of images that augmentation touches, None where there is none. augments, discriminates: whether the
        algorithm knows such a thing. ends_by_itself: whether the run has patience=.
    """

    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clip: float | None = None
    penalised: bool = True
    augment: float | None = None
    augments: bool = True
    discriminates: bool = True
    ends_by_itself: bool = False

    @staticmethod
    def of(module: Any) -> "Remedies":
        """Those of a module that is trained."""
        schedules = getattr(module, "schedules", {})
        augmented = getattr(getattr(module, "augmentation", None), "num_random", 0) > 0
        return Remedies(
            keys={each: keys(each, value) for each, value in schedules.items() if each.endswith((RATE, "gamma"))},
            clip=getattr(module, "clip", None),
            penalised=bool(getattr(getattr(module, "penalty", None), "names", ())),
            augment=schedules["augment"](module.images_seen) if augmented and "augment" in schedules else None,
            augments="augment" in schedules,
            discriminates="discriminator" in getattr(module, "networks", ()),
        )

    def rate(self, change: str, *networks: str) -> str:
        """change: "lower" or "raise". networks: those whose rate is meant, if each has its own."""
        names = [RATE] if RATE in self.keys else [NETWORK_RATE.format(each) for each in networks]
        found = [key for each in names if each in self.keys for key in self.keys[each]]
        return f"{change} {' and '.join(found)}" if found else ""

    def finite(self) -> str:
        """Where gradients or images are not finite."""
        return either(self.rate("lower", *NETWORKS), self.smaller_gradients())

    def more_penalty(self) -> str:
        if "gamma" not in self.keys:
            return ""
        return f"raise {' and '.join(self.keys['gamma'])}" if self.penalised else "give penalty=r1_r2_part"

    def smaller_discriminator(self) -> str:
        return "choose a smaller discriminator=" if self.discriminates else ""

    def smaller_gradients(self) -> str:
        if self.clip is None:
            return "set algorithm.clip=1"
        return "set algorithm.clip=1" if self.clip > 1 else f"lower algorithm.clip, which is {self.clip:g}"

    def more_images(self) -> str:
        if not self.augments or (self.augment or 0) >= 1:
            return "use more images"
        if self.augment is None:
            return "use more images, or augmentation=diffaugment with algorithm.augment=1"
        return f"use more images, or set algorithm.augment=1, which is {self.augment:g}"


def keys(name: str, schedule: Any) -> tuple[str, ...]:
    """Of a schedule, or of a number in its place."""
    parts = [part for part in ("start", "end") if hasattr(schedule, part)]
    return tuple(f"algorithm.{name}.{part}" for part in parts) or (f"algorithm.{name}",)


# A GAN's, with the schedules of conf/algorithm/gan.yaml.
USUAL = Remedies(
    {name: tuple(f"algorithm.{name}.{part}" for part in ("start", "end"))
     for name in ("generator_lr", "discriminator_lr", "gamma")}
)  # fmt: skip
