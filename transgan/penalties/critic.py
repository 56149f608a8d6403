"""The discriminator as a penalty sees it, and what every penalty has.

N batch, C channels, H W image.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Discriminate = Callable[[Tensor], Tensor]  # images (n, C, H, W) to logits (n,)
Judged = tuple[Tensor, Tensor, dict[str, Tensor]]


class Critic:
    """The discriminator as a function of images before augmentation: how each is augmented, and its label, are inside.

    So a penalty is of the slope at the image before augmentation, and an image moved a little is augmented as it was.

    Args:
        discriminator: (images, labels) -> logits (N,), each a function of its own image and label alone.
        augment, strength: as in augmentation.py. labels: (N,) of the pairs, or None.
        draws: (2, N, augment.num_random) uniform numbers, for the real and the fake image of each pair.
    """

    def __init__(self, discriminator, augment, strength: Tensor | float, labels: Tensor | None, draws: Tensor):
        self.discriminator, self.augment, self.strength = discriminator, augment, strength
        self.labels, self.draws = labels, draws

    def real(self, images: Tensor) -> Tensor:
        return self.discriminator(self.augment(images, self.draws[0], self.strength), self.labels)

    def fake(self, images: Tensor) -> Tensor:
        return self.discriminator(self.augment(images, self.draws[1], self.strength), self.labels)

    def both(self, images: Tensor) -> Tensor:
        """(2 N, C, H, W), the real ones first."""
        labels = None if self.labels is None else self.labels.repeat(2)
        return self.discriminator(self.augment(images, self.draws.flatten(0, 1), self.strength), labels)

    def of(self, pairs: Tensor) -> "Critic":
        """The critic of some of the pairs, by their places."""
        labels = None if self.labels is None else self.labels[pairs]
        return Critic(self.discriminator, self.augment, self.strength, labels, self.draws[:, pairs])


class Penalty:
    """What every penalty has. `names` are the keys of the penalties it returns, under which they are logged."""

    names: tuple[str, ...] = ()

    def at(self, step: int) -> "Penalty":
        """The penalty of one discriminator step."""
        return self

    def check(self, batch_size: int, discriminator) -> None:
        """Raises ValueError if nothing of a batch of this size would be penalised, or not what is meant."""

    def draw(self, draws, shape: torch.Size) -> Tensor:
        """Its random numbers (N, ...) out of training.randomness.StepRNG, for images of `shape` (C, H, W)."""
        return draws.uniform(0)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        raise NotImplementedError  # for subclasses


class NoPenalty(Penalty):
    """Only the logits."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        return *critic.both(torch.cat([real, fake])).chunk(2), {}
