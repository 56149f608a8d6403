"""Real images beyond those of the batch, amid a training step."""

from typing import Any

import torch
from torch import Tensor

from transgan.protocols import RandomNumbers
from transgan.sampling.pixels import to_float
from transgan.sampling.randomness import mix
from transgan.training.objectives import Reference
from transgan.training.randomness import StepRNG


def reference_of(module: Any, real: Tensor, labels: Tensor | None, now: dict[str, float]) -> Reference | None:
    """What an Adversarial module's `matching` compares with: the batch's real images, and others of the data if it
    wants more. None if it has none. The others are a function of the seed and the step."""
    matching = module.matching
    if matching is None:
        return None
    if matching.num_real and module.dataset is not None:
        count = matching.num_real
        rng = StepRNG(
            mix(module.seed, 2), module.step, count, module.global_rank, module.trainer.world_size, module.device
        )
        others, other_labels = drawn(module.dataset, rng, module.device)
        real = torch.cat([real, module.mirrored(to_float(others), rng)])
        labels = None if labels is None else torch.cat([labels, other_labels])
    return Reference(real, labels, module.scalar(now["matching"]))


def drawn(dataset: Any, rng: RandomNumbers, device: torch.device) -> tuple[Tensor, Tensor]:
    """uint8 images (n, C, H, W) and labels (n,) of a data set, for random numbers of n images."""
    positions = (rng.uniform().double() * len(dataset)).long().tolist()
    images, labels = dataset.__getitems__(positions)
    return images.to(device), labels.to(device)
