"""Consistency regularisation: the discriminator's logit of an image should not depend on how it is augmented."""

import torch
from torch import Tensor

from transgan.protocols import PairedDiscriminator


class BalancedConsistency:
    """bCR: the squared difference of the logits of two augmentations of an image (Zhao et al., 2021, algorithm 1).

    The first is the one the adversarial loss sees, by `algorithm.augment`; with a strength of 0 there it is the image
    itself, as in the paper. With more, as ViTGAN (2021) has it, the loss sees augmented images too.

    Args:
        real, fake: the weights, 10 each in the paper; 0 for the fakes is CR-GAN (Zhang et al., 2020).
        strength: share of the images each part of the second augmentation touches, in (0, 1].
    """

    num_augmentations = 2  # of a pair, besides those of the loss

    def __init__(self, real: float = 10.0, fake: float = 10.0, strength: float = 1.0):
        if min(real, fake) < 0 or max(real, fake) == 0:
            raise ValueError(
                f"consistency.real={real} and consistency.fake={fake} must be weights of which one is above 0; "
                "for none use consistency=none"
            )
        if not 0 < strength <= 1:
            raise ValueError(f"consistency.strength must be above 0 and at most 1, not {strength}")
        self.real, self.fake, self.strength = real, fake, strength
        self.weights = {"cr_real": real, "cr_fake": fake}

    def check(self, num_random: int) -> None:
        """Raises ValueError for an augmentation without random numbers."""
        if not num_random:
            raise ValueError(
                "consistency=bcr compares two augmentations of an image and augmentation=none makes none; "
                "use another augmentation, or consistency=none"
            )

    def __call__(
        self,
        discriminator: PairedDiscriminator,
        real: Tensor,
        fake: Tensor,
        logits_real: Tensor,
        logits_fake: Tensor,
    ) -> dict[str, Tensor]:
        again_real, again_fake = discriminator.both(torch.cat([real, fake])).chunk(2)
        return {"cr_real": (logits_real - again_real).square(), "cr_fake": (logits_fake - again_fake).square()}
