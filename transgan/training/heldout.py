"""What the discriminator makes of images that are not of the batch: held-out ones amid a training step, any between."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from transgan.penalties import AugmentedDiscriminator
from transgan.sampling.pixels import to_float
from transgan.sampling.randomness import mix
from transgan.training.randomness import StepRNG
from transgan.training.reference import drawn


def required(heldout: Any) -> Any:
    """Held-out images as they are. Raises ValueError if there are none."""
    if heldout is None:
        raise ValueError(
            "this adaptive strength compares with held-out images, and there are none: give holdout=0.1, or "
            "adaptive=pair_signs, which needs none"
        )
    return heldout


@torch.no_grad()
def heldout_logits(module: Any, n: int, now: dict[str, float]) -> Tensor:
    """The logits of n held-out images of an Adversarial module, prepared as training images are; other random numbers
    than the step's."""
    if module.heldout is None:
        raise ValueError("this adaptive strength needs held-out images: call module.attach(dataset, heldout) first")
    rng = StepRNG(mix(module.seed, 1), module.step, n, module.global_rank, module.trainer.world_size, module.device)
    images, labels = drawn(module.heldout, rng, module.device)
    return augmented_logits(module, images, labels, rng, now["augment"])


@torch.no_grad()
def logits_between_steps(module: Any, images: Tensor, labels: Tensor | None, seed: int) -> Tensor:
    """The logits of uint8 images (n, C, H, W), prepared as the next step would, by random numbers of `seed`."""
    device, strength = module.device, module.schedules["augment"](module.images_seen)
    if module.adaptive is not None:
        strength = module.adaptive.current(strength)
    rng = StepRNG(mix(seed, 3), 0, len(images), 0, 1, device)
    labels = None if labels is None else labels.to(device)
    with evaluating(module.discriminator):
        return augmented_logits(module, images.to(device), labels, rng, strength)


def augmented_logits(module: Any, images: Tensor, labels: Tensor | None, rng: StepRNG, strength: float) -> Tensor:
    """The logits (n,) of uint8 images (n, C, H, W) as real ones, mirrored and augmented as the module does."""
    real = module.mirrored(to_float(images), rng)
    supervision = module.supervision
    random = supervision.repeat(module.augmentation_random(rng, 2), 1)
    repeated = supervision.repeat(labels) if module.num_classes else None
    augmented = AugmentedDiscriminator(
        module.discriminator, module.augmentation, module.scalar(strength), repeated, random
    )  # fmt: skip
    noise = supervision.sample_noise(rng, real.shape[1:])
    logits: Tensor = supervision.final_logits(augmented.real(supervision.real_input(real, noise)))
    return logits


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode; then each of its parts in that of before."""
    training = [part for part in network.modules() if part.training]
    network.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
