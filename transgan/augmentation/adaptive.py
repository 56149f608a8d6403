"""Adaptive strength of augmentation: it follows how far the discriminator overfits (Karras et al., 2020, section 3).

A measure of overfitting is 0 without any and 1 at its worst. It turns logits into sums, which can be added over batches
and processes, and the sums into its value.

N batch.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from transgan.protocols import Loss


class OverfittingMeasure(Protocol):
    """A measure of the discriminator's overfitting by its logits. `needs_heldout`: whether those of held-out images."""

    needs_heldout: bool

    def check(self, loss: Loss) -> None:
        """Raises ValueError for a loss whose logits it cannot interpret."""

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        """Sums over the logits (N,) of a step, as scalars."""
        ...

    def value(self, images: float, *sums: float) -> float:
        """The measure from the number of real images and the sums, both added over steps and processes."""
        ...


class RealSigns(OverfittingMeasure):
    """E sign(D(real)): the share of training images taken for real, less that taken for fake; r_t of the paper.

    For losses whose logits are above 0 for real and below for fake. Relativistic losses do not fix the level of the
    logits: PairSigns or HeldOutGap.
    """

    needs_heldout = False

    def check(self, loss: Loss) -> None:
        if loss.boundary != 0:
            raise ValueError(
                f"adaptive=real_signs reads the sign of the logits, and {type(loss).__name__} does not separate real "
                "from fake at 0; use adaptive=pair_signs or heldout_gap, or loss=non_saturating or hinge"
            )

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        return [real.sign().sum()]

    def value(self, images: float, *sums: float) -> float:
        return sums[0] / images


class PairSigns(OverfittingMeasure):
    """E sign(D(real) - D(fake)) over the pairs of a relativistic loss."""

    needs_heldout = False

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        return [(real - fake).sign().sum()]

    def value(self, images: float, *sums: float) -> float:
        return sums[0] / images


class HeldOutGap(OverfittingMeasure):
    """(E D(train) - E D(held out)) / (E D(train) - E D(fake)): r_v of the paper, for every loss.

    1 where the discriminator takes held-out real images for fakes, and above 1 where it ranks them even lower. 0 as
    long as it does not tell training images from fakes, when the quotient means nothing; noisy where it hardly does.
    """

    needs_heldout = True

    def sums(self, real: Tensor, fake: Tensor, heldout: Tensor | None) -> list[Tensor]:
        assert heldout is not None
        return [real.sum(), fake.sum(), real.new_full((), len(fake)), heldout.sum(), real.new_full((), len(heldout))]

    def value(self, images: float, *sums: float) -> float:
        real, fake, fakes, heldout, heldouts = sums
        real, fake, heldout = real / images, fake / fakes, heldout / heldouts
        return (real - heldout) / (real - fake) if not real <= fake else 0.0


class AdaptiveStrength:
    """A strength that rises while a measure of overfitting is above its target, and falls otherwise.

    After every `every` steps it moves by the share that the images shown in them have of `kimg`: that far to 0 or to
    the largest strength, which may be scheduled, and never further. A measure that is not finite moves nothing.

    Args:
        measure: RealSigns, PairSigns or HeldOutGap.
        target: of the measure.
        kimg: thousands of images in which the strength would go from 0 to 1.
        every: steps between moves.
        start: the first strength, in [0, 1].
    """

    def __init__(
        self,
        measure: OverfittingMeasure,
        target: float = 0.6,
        kimg: float = 500.0,
        every: int = 4,
        start: float = 0.0,
    ):
        if every < 1:
            raise ValueError(f"adaptive.every must be at least 1, not {every}: the strength moves every so many steps")
        if kimg <= 0:
            raise ValueError(f"adaptive.kimg must be above 0, not {kimg}: in so many the strength goes from 0 to 1")
        if not 0 <= start <= 1:
            raise ValueError(f"adaptive.start must be from 0 to 1, not {start}: it is the first strength")
        self.measure, self.target, self.kimg, self.every, self.start = measure, target, kimg, every, start
        self.needs_heldout = measure.needs_heldout
        self.strength = float(start)
        self.measured = math.nan  # at the last move
        self.steps = 0  # since the last move
        self.sums: Tensor | list[float] | None = None  # of all processes, since the last move

    def check(self, loss: Loss, num_random: int) -> None:
        """Raises ValueError for a loss that the measure cannot interpret, and for an augmentation that does nothing."""
        if not num_random:
            raise ValueError(
                "an adaptive strength has nothing to adapt with augmentation=none; use another, such as "
                "augmentation=ada, or adaptive=none"
            )
        self.measure.check(loss)

    def current(self, largest: float) -> float:
        """The strength of this step, at most `largest`."""
        return min(self.strength, largest)

    @torch.no_grad()
    def update(
        self,
        real: Tensor,
        fake: Tensor,
        heldout: Tensor | None = None,
        largest: float = 1.0,
        all_reduce: Callable[[Tensor], Tensor] = lambda sums: sums,
    ) -> dict[str, float]:
        """Logits (N,) of a step's training images, fakes and held-out images -> what to log, on a move.

        `all_reduce` adds a tensor over the processes; every process must call this, and gets the same strength. The
        sums are read from the device only when the strength moves.
        """
        if self.needs_heldout and heldout is None:
            raise ValueError(f"{type(self.measure).__name__} needs logits of held-out images: holdout=0.1 keeps some")
        real, fake, heldout = real.float(), fake.float(), None if heldout is None else heldout.float()
        sums = all_reduce(torch.stack([real.new_full((), len(real)), *self.measure.sums(real, fake, heldout)]))
        sums = sums if self.sums is None else sums + torch.as_tensor(self.sums, device=sums.device)
        self.sums = sums
        self.steps += 1
        if self.steps < self.every:
            return {}
        self.move(largest, *sums.tolist())
        return {"overfitting": self.measured} if math.isfinite(self.measured) else {}

    def move(self, largest: float, images: float, *sums: float) -> None:
        self.steps, self.sums = 0, None
        self.measured = self.measure.value(images, *sums)
        if math.isfinite(self.measured):
            step = images / (1000 * self.kimg)
            strength = self.strength + (step if self.measured > self.target else -step)
            self.strength = min(max(strength, 0.0), largest)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, the same in every process; float32 sums are exact in them."""
        sums = self.sums.tolist() if isinstance(self.sums, Tensor) else self.sums
        return {"strength": self.strength, "measured": self.measured, "steps": self.steps, "sums": sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.strength, self.measured, self.steps, self.sums = (
            state[name] for name in ("strength", "measured", "steps", "sums")
        )
