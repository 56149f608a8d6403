"""Images from latents, by a generator that makes each of them at once."""

import torch
from torch import Tensor, nn

from transgan.training.generative import Generative, to_uint8
from transgan.training.randomness import seeded_normal
from transgan.training.truncation import truncated


class FromLatents(Generative):
    """Makes images by `generator_ema` from latents of `latent_dim` numbers."""

    latent_dim: int
    generator_ema: nn.Module

    @torch.no_grad()
    def generate(self, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) by the EMA weights, image i a function of seeds[i] and labels[i].

        `truncation` is psi of StyleGAN: below 1, images are more typical and less varied (truncation.py).
        """
        labels = self.labels_of(seeds) if labels is None else labels
        return self.images_of(self.latents_of(seeds), labels, truncation)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The latents (N, Z) from which `generate` makes the images of these seeds."""
        return seeded_normal(seeds, self.latent_dim)

    @torch.no_grad()
    def images_of(self, latent: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) of latents (N, Z) by the EMA weights; labels (N,) where there are classes."""
        labels = labels.to(self.device) if labels is not None and self.num_classes else None
        return to_uint8(truncated(self.generator_ema, latent.to(self.device), labels, truncation))


def latent_dim_of(generator: nn.Module) -> int:
    """The size of a generator's latents. Raises ValueError if it does not say."""
    size = getattr(generator, "latent_dim", None)
    if not isinstance(size, int):
        raise ValueError(
            f"{type(generator).__name__} has no latent_dim: give the generator an attribute of this name, the size of "
            "its latents"
        )
    return size
