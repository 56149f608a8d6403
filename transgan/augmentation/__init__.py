"""Differentiable augmentation of what the discriminator sees, as a pure function of images and uniform numbers.

An augmentation has `num_random`, the uniform numbers in [0, 1) it needs per image, and is called with (images, draws,
strength). Handing the numbers in keeps every step a function of (seed, step), lets a compiled graph contain the
augmentation, and gives the same result for any number of processes. It is linear in the images up to a constant, so
that gradient penalties can differentiate through it as often as they like; it leaves an image that it does not touch
as it is, bit for bit; and it computes in float32 or wider whatever precision surrounds it.

`strength` is the p of Karras et al. (2020): each operation touches an image with probability `strength` times its own
`probability`. What is below about 0.8 did not leak into what their generators draw (section 2.2).
"""

from .adaptive import AdaptiveStrength, GivenStrength, HeldOutGap, PairSigns, RealSigns
from .bands import BandGains
from .colour import Colour
from .diffaugment import Cutout, DiffAugment, Jitter, Translation
from .geometry import Geometry
from .inorder import InOrder, NoAugmentation

__all__ = [
    "AdaptiveStrength",
    "BandGains",
    "Colour",
    "Cutout",
    "DiffAugment",
    "Geometry",
    "GivenStrength",
    "HeldOutGap",
    "InOrder",
    "Jitter",
    "NoAugmentation",
    "PairSigns",
    "RealSigns",
    "Translation",
]
