"""Consistency regularisation: the discriminator should judge an image alike however it is augmented.

A consistency has `views`, the number of further augmentations per pair it needs (0 or 2), their `strength`, and
`weights` by name. Called with (critic, real, fake, logits_real, logits_fake), the critic augmenting anew, it returns a
dict of the regularisers per image (N,), whose means the weights multiply.
"""

import torch
from torch import Tensor

Regularisers = dict[str, Tensor]


class BalancedConsistency:
    """bCR: the squared difference of the logits of two augmentations of an image (Zhao et al., 2021, algorithm 1).

    The first is the one the adversarial loss sees, by `algorithm.augment`; with a strength of 0 there it is the image
    itself, as in the paper. With more, as ViTGAN (2021) has it, the loss sees augmented images too.

    Args:
        real, fake: the weights, 10 each in the paper; 0 for the fakes is CR-GAN (Zhang et al., 2020).
        strength: share of the images each part of the second augmentation touches, in (0, 1].
    """

    views = 2

    def __init__(self, real: float, fake: float, strength: float):
        if min(real, fake) < 0 or max(real, fake) == 0:
            raise ValueError(
                f"consistency.real={real} and consistency.fake={fake} must be weights of which one is above 0; "
                "for none use consistency=none"
            )
        if not 0 < strength <= 1:
            raise ValueError(f"consistency.strength must be above 0 and at most 1, not {strength}")
        self.weights, self.strength = {"cr_real": real, "cr_fake": fake}, strength

    def check(self, num_random: int) -> None:
        """Raises ValueError for an augmentation of no random numbers."""
        if not num_random:
            raise ValueError(
                "consistency=bcr compares two augmentations of an image and augmentation=none makes none; "
                "use another augmentation, or consistency=none"
            )

    def __call__(self, critic, real: Tensor, fake: Tensor, logits_real: Tensor, logits_fake: Tensor) -> Regularisers:
        again_real, again_fake = critic.both(torch.cat([real, fake])).chunk(2)
        return {"cr_real": (logits_real - again_real).square(), "cr_fake": (logits_fake - again_fake).square()}


class NoConsistency:
    """Nothing, at no cost."""

    views, strength = 0, 0.0

    def check(self, num_random: int) -> None:
        pass

    def __call__(self, critic, real: Tensor, fake: Tensor, logits_real: Tensor, logits_fake: Tensor) -> Regularisers:
        return {}
