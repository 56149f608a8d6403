"""What the discriminator judges: the finished image alone, or the images on the generator's way to it as well.

A supervision knows `levels`, the number K of images a generator makes of one latent, coarse to fine, and

    check(generator)                    raises ValueError for a generator that does not make them; keeps their sizes
    draw(draws, shape, each)            the random numbers (N * each, ...) for images of `shape` (C, H, W)
    generate(generator, latent, labels) the K images, each (N, C, s, s), s at most H
    real(images, noise)                 what is judged of N real images (N, C, H, W)
    fake(levels, noise)                 what is judged of N times K generated ones
    spread(numbers, dim), labels(them)  what belongs to N images, for what is judged of them; labels may be None
    finished(logits)                    of the logits of all that is judged, those of the N finished images
    augmentation(augment)               the augmentation of what is judged
    regulariser(levels)                 what is added to the generator's loss

where `noise` is what `draw` gave; `real` and `fake` use different parts of it. Only `check` changes an object.

N batch, K levels, C channels, H W image.
"""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FinalImage:
    """The finished image, and nothing else. `levels` can only be 1."""

    def __init__(self, levels: int = 1):
        if levels != 1:
            raise ValueError(
                f"supervision=none judges the finished image alone, so supervision.levels is 1, not {levels}; "
                "for more use supervision=scale_wise or supervision=noise_guidance"
            )
        self.levels = levels

    def check(self, generator: nn.Module) -> None:
        pass

    def draw(self, draws, shape: tuple[int, ...], each: int = 1) -> Tensor:
        return draws.uniform(each, 0).flatten(0, 1)  # (N * each, 0)

    def generate(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
        return [generator(latent, labels)]

    def real(self, images: Tensor, noise: Tensor) -> Tensor:
        return images  # (N, C, H, W)

    def fake(self, levels: list[Tensor], noise: Tensor) -> Tensor:
        return levels[-1]  # (N, C, H, W)

    def spread(self, numbers: Tensor, dim: int = 0) -> Tensor:
        return numbers

    def labels(self, labels: Tensor | None) -> Tensor | None:
        return None if labels is None else self.spread(labels)

    def finished(self, logits: Tensor) -> Tensor:
        return logits

    def augmentation(self, augment: Callable) -> Callable:
        return augment

    def regulariser(self, levels: list[Tensor]) -> Tensor:
        return levels[-1].new_zeros(())


class EveryLevel(FinalImage):
    """What the two ways to judge all K levels of a generator share."""

    def __init__(self, levels: int):
        if levels < 2:
            raise ValueError(
                f"supervision.levels={levels} must be at least 2, for the images on the way to be judged; "
                "for the finished image alone use supervision=none"
            )
        self.levels = levels

    def check(self, generator: nn.Module) -> None:
        made = len(getattr(generator, "level_sizes", ())) if hasattr(generator, "levels") else 0
        if made != self.levels:
            raise ValueError(
                f"supervision.levels={self.levels} needs a generator of as many levels and {type(generator).__name__} "
                f"has {made or 'none'}; use generator=style_transformer or generator=vitgan with "
                f"generator.image_heads={self.levels}, or supervision=none"
            )

    def generate(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
        return generator.levels(latent, labels)


class NoiseGuidance(EveryLevel):
    """Multi-level noise-perturbed guidance (MNG): one judgement of all levels, the coarser under the more noise.

    Level k is (1 - t_k) x_k + n_k, where n_k has the standard deviation t_k and t falls from almost 1 to `floor`. The
    noise is Markov from fine to coarse: a real image, which is its own every level, is at level k what it is at level
    k + 1, shrunk, plus new noise. All levels are laid on each other: (N, K C, H, W), coarse to fine. From GAT (2025),
    in the form of its code and with its numbers for defaults; they make four levels (.885, .76, .51, .01).

    Args:
        levels: K, at least 2.
        start, floor: t_k = 1 - start^(1 - lambda_k) + floor with lambda from 0 to 1; 0 <= floor < start < 1.
    """

    def __init__(self, levels: int, start: float = 0.125, floor: float = 0.01):
        super().__init__(levels)
        if not 0 <= floor < start < 1:
            raise ValueError(
                f"supervision.start={start} and supervision.floor={floor} must be 0 <= floor < start < 1, "
                "for the noise to fall from one level to the next; GAT has 0.125 and 0.01"
            )
        self.t = [1 - start ** (1 - k / (levels - 1)) + floor for k in range(levels)]

    def draw(self, draws, shape: tuple[int, ...], each: int = 1) -> Tensor:
        return draws.normal(each, 2, self.levels, *shape).flatten(0, 1)  # (N * each, 2, K, C, H, W)

    def real(self, images: Tensor, noise: Tensor) -> Tensor:
        return self.noised([images] * self.levels, noise[:, 0])

    def fake(self, levels: list[Tensor], noise: Tensor) -> Tensor:
        return self.noised([enlarged(level, levels[-1].shape[2:]) for level in levels], noise[:, 1])

    def augmentation(self, augment: Callable) -> Callable:
        return Alike(augment, self.levels)

    def noised(self, levels: list[Tensor], noise: Tensor) -> Tensor:  # K of (N, C, H, W), (N, K, C, H, W)
        pairs = zip(levels, self.t, self.markov(noise), strict=True)
        return torch.cat([(1 - t) * level + n for level, t, n in pairs], dim=1)  # (N, K C, H, W)

    def markov(self, noise: Tensor) -> list[Tensor]:  # (N, K, C, H, W), standard normal
        """n_k (N, C, H, W): the finer level's, shrunk as its image is to become the coarser's, and what is missing."""
        found = [self.t[-1] * noise[:, -1]]
        for k in reversed(range(self.levels - 1)):
            keep = (1 - self.t[k]) / (1 - self.t[k + 1])
            new = sqrt(self.t[k] ** 2 - (keep * self.t[k + 1]) ** 2)
            found.append(keep * found[-1] + new * noise[:, k])
        return found[::-1]


class ScaleWise(EveryLevel):
    """Every level is judged on its own by the same discriminator, and drawn to the finished image (CAT, 2026).

    Judged are (N K, C, H, W): image 0 at levels 1 to K, then image 1. A level smaller than the image is enlarged by
    repeating pixels, and the real image that it is held against has no more detail. The weight, and that the finished
    image is an anchor without a gradient, are ours: CAT's are not known.

    Args:
        levels: K, at least 2.
        weight: of the mean squared difference between the levels and the finished image, averaged to their size.
    """

    def __init__(self, levels: int, weight: float):
        super().__init__(levels)
        if weight < 0:
            raise ValueError(f"supervision.weight={weight} must be at least 0, where 0 leaves the levels to themselves")
        self.weight, self.sizes = weight, None

    def check(self, generator: nn.Module) -> None:
        super().check(generator)
        self.sizes = list(generator.level_sizes)

    def real(self, images: Tensor, noise: Tensor) -> Tensor:
        assert self.sizes is not None, "check(generator) comes first"
        return self.one_by_one([averaged(images, (size, size)) for size in self.sizes], images.shape[2:])

    def fake(self, levels: list[Tensor], noise: Tensor) -> Tensor:
        return self.one_by_one(levels, levels[-1].shape[2:])

    def one_by_one(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        return torch.stack([enlarged(level, size) for level in levels], dim=1).flatten(0, 1)  # (N K, C, H, W)

    def spread(self, numbers: Tensor, dim: int = 0) -> Tensor:
        return numbers.repeat_interleave(self.levels, dim)

    def finished(self, logits: Tensor) -> Tensor:  # (N K,)
        return logits[self.levels - 1 :: self.levels]  # (N,)

    def regulariser(self, levels: list[Tensor]) -> Tensor:
        anchor = levels[-1].detach()
        apart = [(level - averaged(anchor, level.shape[2:])).square().mean() for level in levels[:-1]]
        return self.weight * torch.stack(apart).mean()


class Alike:
    """An augmentation that does the same to all K images that lie on each other."""

    def __init__(self, augment: Callable, levels: int):
        self.augment, self.levels, self.num_random = augment, levels, augment.num_random

    def __call__(self, images: Tensor, draws: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, K C, H, W), draws (N, num_random), strength in [0, 1] -> (N, K C, H, W)."""
        # level after level: an augmentation that decides for N images at once still decides for the same N
        each = images.unflatten(1, (self.levels, -1)).transpose(0, 1).flatten(0, 1)  # (K N, C, H, W)
        each = self.augment(each, draws.repeat(self.levels, 1), strength)
        return each.unflatten(0, (self.levels, -1)).transpose(0, 1).flatten(1, 2)


def enlarged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) to (N, C, *size) by repeating pixels."""
    return images if images.shape[2:] == size else F.interpolate(images, size, mode="nearest")


def averaged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, H, W) to (N, C, *size) by the mean over what becomes one pixel."""
    return images if images.shape[2:] == size else F.interpolate(images, size, mode="area")
