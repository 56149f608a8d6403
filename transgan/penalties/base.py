"""The discriminator as a penalty sees it, and no penalty.

N batch, C channels, H W image.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from transgan.protocols import Augmentation, PairedDiscriminator, Penalty, PenaltyOutput


class AugmentedDiscriminator:
    """The discriminator as a function of images before augmentation; augmentation, labels and what is drawn are inside.

    So gradients are taken at the image before augmentation, and an image moved a little is augmented as before.

    Args:
        discriminator: (images, labels) -> logits (N,), each a function of its own image and label alone. One with a
            `num_random` above 0 takes so many uniform numbers for each image as well.
        augmentation, strength: how images are augmented (transgan.protocols.Augmentation).
        labels: (N,) of the pairs, or None.
        random: (2, N, A) uniform numbers, for the real and the fake image of each pair: the augmentation's, then the
            discriminator's.
    """

    def __init__(
        self,
        discriminator: nn.Module | Callable[..., Tensor],
        augmentation: Augmentation,
        strength: Tensor | float,
        labels: Tensor | None,
        random: Tensor,
    ):
        self.discriminator, self.augmentation, self.strength = discriminator, augmentation, strength
        self.labels, self.random = labels, random

    def real(self, images: Tensor) -> Tensor:
        return self.logits(images, self.labels, self.random[0])

    def fake(self, images: Tensor) -> Tensor:
        return self.logits(images, self.labels, self.random[1])

    def both(self, images: Tensor) -> Tensor:
        """(2 N, C, H, W), the real images first -> (2 N,)."""
        return self.logits(images, None if self.labels is None else self.labels.repeat(2), self.random.flatten(0, 1))

    def logits(self, images: Tensor, labels: Tensor | None, random: Tensor) -> Tensor:
        if not (own := drawn_by(self.discriminator)):
            return self.discriminator(self.augmentation(images, random, self.strength), labels)
        images = self.augmentation(images, random[:, :-own], self.strength)
        return self.discriminator(images, labels, random[:, -own:])

    def subset(self, pairs: Tensor) -> "AugmentedDiscriminator":
        """The same for some of the pairs, by their indices."""
        labels = None if self.labels is None else self.labels[pairs]
        return AugmentedDiscriminator(
            self.discriminator, self.augmentation, self.strength, labels, self.random[:, pairs]
        )


def drawn_by(discriminator: object) -> int:
    """How many uniform numbers a discriminator takes for each image."""
    return int(getattr(discriminator, "num_random", 0))


def period_of(penalty: object) -> int:
    """Discriminator steps after which a penalty is on again."""
    return int(getattr(penalty, "period", 1))


def fewest_of(penalty: object) -> int:
    """Images of which a penalty is on at least one."""
    return int(getattr(penalty, "fewest", 1))


class NoPenalty(Penalty):
    """The logits alone."""

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        return *paired_logits(discriminator, real, fake), {}


def paired_logits(discriminator: PairedDiscriminator, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The logits (N,) of real and fake images, by one pass over both."""
    logits_real, logits_fake = discriminator.both(torch.cat([real, fake])).chunk(2)
    return logits_real, logits_fake
