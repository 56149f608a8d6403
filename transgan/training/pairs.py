"""Pairs of noise and image for a student: each is made once and trained on several times, some time apart.

Which pair comes up is a function of the step and of the place in the batch over all processes, and a pair one of its
number and place. So nothing has to be saved: a run that goes on makes the pairs again that it has yet to see.

n positions of this process, Z latent, C H W image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transgan.sampling.randomness import mix
from transgan.training.randomness import StepRNG

Make = Callable[[Tensor, Tensor | None], Tensor]  # latents (N, Z), labels (N,) -> images (N, C, H, W)


@dataclass
class Entry:
    """The pairs of one number, at every position of this process."""

    latent: Tensor  # (n, Z)
    labels: Tensor | None  # (n,)
    images: list[Tensor | None]  # n of (C, H, W), None where it is not made yet


class Pairs:
    """Pairs for an endless row of steps.

    Args:
        make: the image of each latent and label.
        latent_dim, num_classes: Z, and how many classes there are, each as often as the others; 0 without.
        seed: of everything random.
        reuse: how often a pair comes up. delay: after how many further pairs of its place it comes up again.
    """

    def __init__(self, make: Make, latent_dim: int, num_classes: int, seed: int, reuse: int, delay: int) -> None:
        self.make, self.latent_dim, self.num_classes, self.seed = make, latent_dim, num_classes, seed
        self.reuse, self.delay = reuse, delay
        self.entries: dict[int, Entry] = {}

    def numbers(self, step: int, positions: Tensor) -> Tensor:
        """The pair that comes up at a step in each of some positions: in one of `reuse` of them a new one.

        Every `reuse` steps of a place are a round. Its first step shows the pair of this round, the next one that of
        `delay` rounds before, and so on; in the first rounds, of which there are fewer before, an earlier one.
        """
        moment = step + positions % self.reuse
        turn, again = moment // self.reuse, moment % self.reuse
        return turn - (again * self.delay) % (turn + 1)

    @torch.no_grad()
    def at(
        self, step: int, count: int, rank: int, world_size: int, device: Any
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latents (n, Z), images (n, C, H, W) and labels (n,) of a step, for `count` positions in this process."""
        positions = torch.arange(rank * count, (rank + 1) * count)
        numbers = self.numbers(step, positions).tolist()
        for number in set(numbers):
            if number not in self.entries or len(self.entries[number].latent) != count:
                self.entries[number] = self.entry(number, count, rank, world_size, device)
        found = []
        for i, number in enumerate(numbers):
            if self.entries[number].images[i] is None:
                self.complete(
                    self.entries[number], (positions % self.reuse == positions[i] % self.reuse).nonzero()[:, 0]
                )
            found.append(self.entries[number])
        latent = torch.stack([entry.latent[i] for i, entry in enumerate(found)])
        images = torch.stack([image for i, entry in enumerate(found) if (image := entry.images[i]) is not None])
        labels = [entry.labels[i] for i, entry in enumerate(found) if entry.labels is not None]
        oldest = step // self.reuse - (self.reuse - 1) * self.delay - 1
        self.entries = {number: entry for number, entry in self.entries.items() if number >= oldest}
        return latent, images, torch.stack(labels) if labels else None

    def entry(self, number: int, count: int, rank: int, world_size: int, device: Any) -> Entry:
        rng = StepRNG(mix(self.seed, 3), number, count, rank, world_size, device)
        latent = rng.normal(self.latent_dim)
        labels = (rng.uniform() * self.num_classes).long() if self.num_classes else None
        return Entry(latent, labels, [None] * count)

    def complete(self, entry: Entry, own: Tensor) -> None:
        """Makes the images of these positions, whose pairs come up first at the same step: always together, since in
        another batch a sum is rounded in another way."""
        labels = None if entry.labels is None else entry.labels[own]
        for i, image in zip(own.tolist(), self.make(entry.latent[own], labels), strict=True):
            entry.images[i] = image
