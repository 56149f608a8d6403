"""Differentiable augmentation of the discriminator's input, as a pure function of images and uniform random numbers.

`transgan.protocols.Augmentation` says what an augmentation provides. The random numbers are handed in: so every step is
a function of (seed, step), a compiled graph can contain the augmentation, and the result does not depend on the number
of processes. It is affine in the images, so that gradient penalties can differentiate through it as often as they like;
it leaves an image that it does not touch unchanged, bit for bit; and it computes in float32 or wider whatever precision
surrounds it.

`strength` is the p of Karras et al. (2020): each operation touches an image with probability `strength` times its own
`probability`. A strength below about 0.8 did not leak into what their generators made (section 2.2).
"""

from transgan.augmentation.adaptive import AdaptiveStrength, HeldOutGap, PairSigns, RealSigns
from transgan.augmentation.bands import BandGains
from transgan.augmentation.colour import Colour
from transgan.augmentation.compose import Compose, NoAugmentation
from transgan.augmentation.diffaugment import Cutout, DiffAugment, Jitter, Translation
from transgan.augmentation.geometry import Geometry

__all__ = [
    "AdaptiveStrength",
    "BandGains",
    "Colour",
    "Compose",
    "Cutout",
    "DiffAugment",
    "Geometry",
    "HeldOutGap",
    "Jitter",
    "NoAugmentation",
    "PairSigns",
    "RealSigns",
    "Translation",
]
