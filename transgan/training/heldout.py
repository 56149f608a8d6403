"""What an adaptive strength of augmentation asks about held-out images, amid a training step."""

from typing import Any

import torch
from torch import Tensor

from transgan.penalties import AugmentedDiscriminator
from transgan.training.generative import to_float
from transgan.training.randomness import StepRNG, mix
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
    real = module.mirrored(to_float(images), rng)
    supervision = module.supervision
    random = supervision.repeat(module.augmentation_random(rng, 2), 1)
    repeated = supervision.repeat(labels) if module.num_classes else None
    strength = module.scalar(now["augment"])
    augmented = AugmentedDiscriminator(module.discriminator, module.augmentation, strength, repeated, random)
    noise = supervision.sample_noise(rng, real.shape[1:])
    return supervision.final_logits(augmented.real(supervision.real_input(real, noise)))
