"""Augmentations one after the other, and none."""

from collections.abc import Callable

from torch import Tensor


class InOrder:
    """Augmentations in the order given, each with numbers of its own.

    Args:
        steps: by name, so that one can be changed on the command line: augmentation.steps.cutout.probability=0.5
    """

    def __init__(self, steps: dict[str, Callable]):
        self.steps = dict(steps)
        self.num_random = sum(step.num_random for step in self.steps.values())

    def __call__(self, images: Tensor, draws: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), draws (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        for step in self.steps.values():
            images = step(images, draws[:, : step.num_random], strength)
            draws = draws[:, step.num_random :]
        return images


class NoAugmentation:
    """Images as they are."""

    num_random = 0

    def __call__(self, images: Tensor, draws: Tensor, strength: Tensor | float) -> Tensor:
        return images
