"""Gradient penalties of the discriminator: exact, along random directions, by differences, between real and fake.

`transgan.protocols.Penalty` says what a penalty provides. The means of what it returns are weighted by gamma / 2, so
that a weight of lambda is gamma = 2 lambda. Its random numbers are handed in, so that the rest is a pure function,
which a compiled graph can contain completely.

N batch, C channels, H W image.
"""

from transgan.penalties.base import AugmentedDiscriminator, NoPenalty, drawn_by, fewest_of, period_of
from transgan.penalties.directional import R1R2JVP, R1R2CentralDifference, R1R2FiniteDifference
from transgan.penalties.exact import R1R2, WGANGP, PointwisePenalty, input_gradient
from transgan.penalties.sparse import Lazy, Subsampled

__all__ = [
    "R1R2",
    "R1R2JVP",
    "WGANGP",
    "AugmentedDiscriminator",
    "Lazy",
    "NoPenalty",
    "PointwisePenalty",
    "R1R2CentralDifference",
    "R1R2FiniteDifference",
    "Subsampled",
    "drawn_by",
    "fewest_of",
    "input_gradient",
    "period_of",
]
