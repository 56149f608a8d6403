"""Penalties on the discriminator's slope: exact, along random directions, by differences, between real and fake.

A penalty runs the critic itself, since it decides which images need a gradient: called with (critic, real, fake,
numbers) it returns the logits of both and a dict of penalties, each of some images (n,). Their means are weighted by
gamma / 2, so that a weight of lambda is gamma = 2 lambda. `numbers` (N, ...) is what its `draw` took from the random
numbers of the step: the rest is a pure function, which a compiled graph can contain whole.

N batch, C channels, H W image.
"""

from .critic import Critic, NoPenalty, Penalty
from .directional import CentralDifference, FiniteDifference, JacobianVector
from .exact import AtImages, Interpolated, ZeroCentered, slope
from .sparse import Lazy, Subsampled

__all__ = [
    "AtImages",
    "CentralDifference",
    "Critic",
    "FiniteDifference",
    "Interpolated",
    "JacobianVector",
    "Lazy",
    "NoPenalty",
    "Subsampled",
    "Penalty",
    "ZeroCentered",
    "slope",
]
