"""Augmentations one after the other, and none."""

from collections.abc import Mapping

import torch
from torch import Tensor

from transgan.augmentation.conversions import at_least_float32
from transgan.protocols import Augmentation, of_batch


class Compose:
    """Augmentations in the order given, each with random numbers of its own.

    Args:
        steps: by name, so that one can be changed on the command line: augmentation.steps.cutout.probability=0.5
    """

    def __init__(self, steps: Mapping[str, Augmentation]):
        self.steps = dict(steps)
        self.num_random = sum(step.num_random for step in self.steps.values())

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        for step in self.steps.values():
            images = step(images, random[:, : step.num_random], strength)
            random = random[:, step.num_random :]
        return images

    def of_batch(self, random: Tensor) -> Tensor:
        """(N, num_random) of a whole batch, with what each step lets several images share."""
        parts = random.split([step.num_random for step in self.steps.values()], 1)
        return torch.cat([random[:, :0], *map(of_batch, self.steps.values(), parts)], 1)


class Untouched:
    """What every augmentation is at strength 0, without the work: images as they are, in float32 or wider."""

    num_random = 0

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        return at_least_float32(images)


class NoAugmentation:
    """Images as they are."""

    num_random = 0

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        return images
