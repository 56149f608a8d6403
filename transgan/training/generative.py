"""What every trained thing here shares: it counts images, repeats itself after a resume, and generates from seeds."""

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from transgan.training.randomness import Draws, mix


def to_float(images: Tensor) -> Tensor:
    """uint8 images to float in [-1, 1], as every network sees them."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float images meant for [-1, 1] to uint8: clamp, scale, round. The inverse of `to_float` for all 256 values.

    Raises ValueError for NaN, which has no place among them and would become some number silently.
    """
    if images.isnan().any():
        broken = int(images.isnan().reshape(len(images), -1).any(1).sum())
        raise ValueError(f"{broken} of {len(images)} generated images hold NaN: the weights are broken; use an earlier "
                         "checkpoint")
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


class Generative(LightningModule):
    """Base of the Lightning modules.

    `images_seen` counts real images shown, over all processes and resumes; schedules, intervals and the end of
    training follow it, and it travels in the checkpoint. Subclasses implement `generate` and `training_step`.

    Args:
        batch_size: images per step over all processes. seed: of everything random in training.
        num_classes: 0 when unconditional.
    """

    def __init__(self, batch_size: int, seed: int, num_classes: int):
        super().__init__()
        self.batch_size, self.seed, self.num_classes = batch_size, seed, num_classes
        self.images_seen = 0

    @property
    def step(self) -> int:
        """Batches shown so far."""
        return self.images_seen // self.batch_size

    def generate(self, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W), image i a function of the weights, seeds[i] and labels[i] alone."""
        raise NotImplementedError  # for subclasses

    def labels_of(self, seeds: list[int]) -> Tensor | None:
        """The class each seed shows when nobody asks for one: a function of the seed, uniform over the classes."""
        return torch.tensor([mix(seed, 1) % self.num_classes for seed in seeds]) if self.num_classes else None

    def draws(self, batch: int) -> Draws:
        """The random numbers of this step; torch's own generator is set too, for layers that draw by themselves."""
        torch.manual_seed(mix(self.seed, self.step, self.global_rank))
        return Draws(self.seed, self.step, batch, self.global_rank, self.trainer.world_size, self.device)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.images_seen = checkpoint["images_seen"]
