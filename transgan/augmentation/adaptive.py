"""The strength of augmentation, led by how far the discriminator overfits (Karras et al., 2020, section 3).

A measure of overfitting is 0 without any and 1 at its worst. It turns logits into sums, which add up over batches and
processes, and the sums into its value.

N batch.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


class RealSigns:
    """E sign(D(real)): the share of training images taken for real, less that taken for fake; r_t of the paper.

    For losses whose logits mean real above 0 and fake below. Relativistic losses leave the level of the logits open:
    PairSigns or HeldOutGap.
    """

    needs_heldout = False

    def check(self, loss) -> None:
        """Raises ValueError for a loss whose logits have no such meaning: its `boundary` is not 0."""
        if loss.boundary != 0:
            raise ValueError(
                f"adaptive=real_signs reads the sign of the logits, and {type(loss).__name__} does not part real from "
                "fake at 0; use adaptive=pair_signs or heldout_gap, or loss=non_saturating or hinge"
            )

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        return [real.sign().sum()]

    def value(self, images: float, signs: float) -> float:
        return signs / images


class PairSigns:
    """E sign(D(real) - D(fake)) over the pairs of a relativistic loss."""

    needs_heldout = False

    def check(self, loss) -> None:
        pass

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        return [(real - fake).sign().sum()]

    def value(self, images: float, signs: float) -> float:
        return signs / images


class HeldOutGap:
    """(E D(train) - E D(held out)) / (E D(train) - E D(fake)): r_v of the paper, for every loss.

    1 where the discriminator takes real images that it never trained on for fakes, and above where it thinks even less
    of them. 0 as long as it does not tell training images from fakes, when the quotient means nothing; noisy where it
    hardly does.
    """

    needs_heldout = True

    def check(self, loss) -> None:
        pass

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        return [real.sum(), fake.sum(), real.new_full((), len(fake)), heldout.sum(), real.new_full((), len(heldout))]

    def value(self, images: float, real: float, fake: float, fakes: float, heldout: float, heldouts: float) -> float:
        real, fake, heldout = real / images, fake / fakes, heldout / heldouts
        return (real - heldout) / (real - fake) if not real <= fake else 0.0


class GivenStrength:
    """The strength is the one given."""

    needs_heldout = False

    def check(self, loss, num_random: int) -> None:
        pass

    def at(self, largest: float) -> float:
        return largest

    def observe(self, real: Tensor, fake: Tensor, heldout: Tensor | None, largest: float, reduce) -> dict:
        return {}

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class AdaptiveStrength:
    """A strength that rises while a measure of overfitting is above its target, and falls otherwise.

    After every `every` steps it moves by the share that the images shown in them have of `kimg`: that far to 0 or to
    the largest strength, which may be scheduled, and never further. A measure that is not finite moves nothing.

    Args:
        measure: RealSigns, PairSigns or HeldOutGap.
        target: of the measure.
        kimg: thousands of images in which the strength would go from 0 to 1.
        every: steps between moves.
        start: the first strength.
    """

    def __init__(
        self, measure: RealSigns | PairSigns | HeldOutGap, target: float, kimg: float, every: int, start: float
    ):
        if every < 1:
            raise ValueError(f"adaptive.every must be at least 1, not {every}: the strength moves every so many steps")
        if kimg <= 0:
            raise ValueError(f"adaptive.kimg must be above 0, not {kimg}: in so many the strength goes from 0 to 1")
        if not 0 <= start <= 1:
            raise ValueError(f"adaptive.start must be from 0 to 1, not {start}: it is the first strength")
        self.measure, self.target, self.kimg, self.every = measure, target, kimg, every
        self.strength = float(start)
        self.measured = math.nan  # at the last move
        self.steps = 0  # since the last move
        self.sums: Tensor | list[float] | None = None  # of all processes, since the last move

    @property
    def needs_heldout(self) -> bool:
        """Whether `observe` wants logits of images that are not trained on."""
        return self.measure.needs_heldout

    def check(self, loss, num_random: int) -> None:
        """Raises ValueError for a loss that the measure says nothing of, and for an augmentation that does nothing."""
        if not num_random:
            raise ValueError(
                "an adaptive strength has nothing to lead with augmentation=none; use another, such as "
                "augmentation=ada, or adaptive=none"
            )
        self.measure.check(loss)

    def at(self, largest: float) -> float:
        """The strength of this step, at most `largest`."""
        return min(self.strength, largest)

    @torch.no_grad()
    def observe(
        self,
        real: Tensor,
        fake: Tensor,
        heldout: Tensor | None = None,
        largest: float = 1.0,
        reduce: Callable[[Tensor], Tensor] = lambda sums: sums,
    ) -> dict[str, float]:
        """Logits (N,) of a step's training images, fakes and held-out images -> what to log, on a move.

        `reduce` adds a tensor up over the processes; every process must call this, and gets the same strength. The
        numbers are read from the device only when the strength moves.
        """
        if self.needs_heldout and heldout is None:
            raise ValueError(f"{type(self.measure).__name__} needs logits of held-out images: holdout=0.1 keeps some")
        real, fake, heldout = (None if logits is None else logits.float() for logits in (real, fake, heldout))
        sums = reduce(torch.stack([real.new_full((), len(real)), *self.measure.sums(real, fake, heldout)]))
        self.sums = sums if self.sums is None else sums + torch.as_tensor(self.sums, device=sums.device)
        self.steps += 1
        if self.steps < self.every:
            return {}
        self.move(largest, *self.sums.tolist())
        return {"overfitting": self.measured} if math.isfinite(self.measured) else {}

    def move(self, largest: float, images: float, *sums: float) -> None:
        self.steps, self.sums = 0, None
        self.measured = self.measure.value(images, *sums)
        if math.isfinite(self.measured):
            step = images / (1000 * self.kimg)
            strength = self.strength + (step if self.measured > self.target else -step)
            self.strength = min(max(strength, 0.0), largest)

    def state_dict(self) -> dict[str, float | int | list[float] | None]:
        """Plain numbers, the same in every process; float32 sums are exact in them."""
        sums = self.sums.tolist() if isinstance(self.sums, Tensor) else self.sums
        return {"strength": self.strength, "measured": self.measured, "steps": self.steps, "sums": sums}

    def load_state_dict(self, state: dict) -> None:
        self.strength, self.measured, self.steps, self.sums = (
            state[name] for name in ("strength", "measured", "steps", "sums")
        )
