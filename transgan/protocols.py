"""What the exchangeable parts of adversarial training must provide: one Protocol for each.

A class need not inherit from any of these. Explicit subclasses of `Penalty` get what is optional in it.

N batch, C channels, H W image.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

PenaltyOutput = tuple[Tensor, Tensor, dict[str, Tensor]]  # logits of the real and the fake images, penalties by name


class RandomNumbers(Protocol):
    """The random numbers of one training step, for the N images of this process (training/randomness.py)."""

    def uniform(self, *shape: int) -> Tensor:
        """(N, *shape) in [0, 1)."""
        ...

    def normal(self, *shape: int) -> Tensor:
        """(N, *shape), standard normal."""
        ...


class Augmentation(Protocol):
    """Augments images by uniform random numbers that it is handed (augmentation/).

    Differentiable in the images. `num_random` is how many numbers each image needs; 0 for no augmentation.
    """

    @property
    def num_random(self) -> int: ...

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random) in [0, 1), strength in [0, 1] -> (N, C, H, W).

        At strength 0 images are as they were, and a step may leave the call out.
        """
        ...


def of_batch(augmentation: Augmentation, random: Tensor) -> Tensor:
    """The random numbers (N, num_random) of a whole batch as they are to be used.

    As they were drawn, unless the augmentation has a method `of_batch` that says what several images share (Cutout).
    Calls on a part or a subset of the batch then agree with one on all of it.
    """
    found: Callable[[Tensor], Tensor] | None = getattr(augmentation, "of_batch", None)
    return random if found is None else found(random)


class PairedDiscriminator(Protocol):
    """The discriminator with labels and augmentation inside, for N pairs of a real and a fake image."""

    def real(self, images: Tensor) -> Tensor: ...

    def fake(self, images: Tensor) -> Tensor: ...

    def both(self, images: Tensor) -> Tensor:
        """(2 N, C, H, W), the real images first -> (2 N,)."""
        ...

    def subset(self, pairs: Tensor) -> "PairedDiscriminator": ...


class Loss(Protocol):
    """The losses of both players (losses.py), as functions of the logits (N,) of paired real and fake images.

    `boundary` is the logit that separates real from fake, or None where the loss does not fix one. If `relativistic`,
    the generator's loss uses the real logits; otherwise they may be None. Both return (N,); the mean is minimised.
    """

    @property
    def relativistic(self) -> bool: ...

    @property
    def boundary(self) -> float | None: ...

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor: ...


class Penalty(Protocol):
    """A penalty on the discriminator (penalties/). `names` are the keys of what it returns, which are logged.

    `period`: it is on the first of so many discriminator steps. `fewest`: images of which it is on at least one.
    """

    names: tuple[str, ...] = ()
    period: int = 1
    fewest: int = 1

    def at_step(self, step: int) -> "Penalty":
        """The penalty of one discriminator step."""
        return self

    def check(self, batch_size: int, discriminator: nn.Module) -> None:
        """Raises ValueError if nothing of a batch of this size would be penalised, or not what is meant."""
        return None

    def of_part(self, part: slice, n: int) -> "Penalty":
        """The penalty of some of the n pairs of a step, consecutive ones: their share of the mean over all."""
        return self

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        """Its random numbers (N, ...), for images of `shape` (C, H, W)."""
        return rng.uniform(0)

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        """-> logits of both (N,), and the penalties by name, each of some of the images (n,).

        It runs the discriminator itself, since it decides which images need a gradient.
        """
        raise NotImplementedError


class Consistency(Protocol):
    """A regulariser of the logits of two augmentations of the same images (consistency.py).

    `num_augmentations`: how many further ones a pair needs. `strength`: of these. `weights`: of what it returns.
    """

    num_augmentations: int
    strength: float
    weights: Mapping[str, float]

    def check(self, num_random: int) -> None:
        """Raises ValueError for an augmentation that it cannot work with."""
        ...

    def __call__(
        self,
        discriminator: PairedDiscriminator,
        real: Tensor,
        fake: Tensor,
        logits_real: Tensor,
        logits_fake: Tensor,
    ) -> dict[str, Tensor]:
        """-> regularisers by name (N,). `discriminator` augments anew, the logits are those of the loss."""
        ...


class Matching(Protocol):
    """A distance between real and generated images, which the generator minimises besides (matching.py).

    `weight`: beside the loss, a number or a schedule. `num_real`: how many real images it wants beyond the batch's.
    """

    weight: Any
    num_real: int

    def __call__(
        self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> Tensor:  # fmt: skip
        """real (M, C, H, W), fake (N, C, H, W) in [-1, 1], their labels (M,) and (N,) or None -> a scalar."""
        ...


class Supervision(Protocol):
    """What the discriminator sees of the generator's outputs (supervision.py).

    `num_outputs`: how many images the generator makes of one latent.
    """

    num_outputs: int

    def check(self, generator: nn.Module) -> None:
        """Raises ValueError for a generator that does not make these outputs."""
        ...

    def generate(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
        """The outputs, coarse to fine, each (N, C, s, s); the last is the image."""
        ...

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        """The random numbers (N, ...) that `real_input` and `fake_input` share, for images of `shape` (C, H, W)."""
        ...

    def real_input(self, images: Tensor, noise: Tensor) -> Tensor:
        """Real images (N, C, H, W) -> the discriminator's input."""
        ...

    def fake_input(self, outputs: list[Tensor], noise: Tensor) -> Tensor:
        """The generator's outputs -> the discriminator's input, of the same shape."""
        ...

    def repeat(self, values: Tensor, dim: int = 0) -> Tensor:
        """What belongs to the N images along `dim`, repeated for all inputs that they become."""
        ...

    def final_logits(self, logits: Tensor) -> Tensor:
        """Of the logits of all inputs those of the N images (N,)."""
        ...

    def wrap(self, augmentation: Augmentation) -> Augmentation:
        """The augmentation of the discriminator's inputs."""
        ...

    def regulariser(self, outputs: list[Tensor]) -> Tensor:
        """What is added to the generator's loss ()."""
        ...


class StrengthController(Protocol):
    """Adapts the strength of augmentation while training (augmentation/adaptive.py)."""

    needs_heldout: bool

    def check(self, loss: Loss, num_random: int) -> None:
        """Raises ValueError for a loss or an augmentation that it cannot work with."""
        ...

    def current(self, largest: float) -> float:
        """The strength of this step, at most `largest`."""
        ...

    def update(
        self,
        real: Tensor,
        fake: Tensor,
        heldout: Tensor | None,
        largest: float,
        all_reduce: Callable[[Tensor], Tensor],
    ) -> dict[str, float]:
        """The logits (N,) of a step -> what to log."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
