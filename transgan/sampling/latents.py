"""Images from latents, by a generator that makes each of them at once."""

import torch
from torch import Tensor

from transgan.sampling.pixels import to_uint8
from transgan.sampling.randomness import seeded_normal
from transgan.sampling.sampler import Sampler
from transgan.sampling.truncation import truncated


class LatentSampler(Sampler):
    """Makes images from latents of `network.latent_dim` numbers, as GANs do.

    `truncation` is psi of StyleGAN: below 1, images are more typical and less varied (truncation.py).
    """

    how = "at once from a latent"

    def images(self, seeds: list[int], labels: Tensor | None, truncation: float) -> Tensor:
        return self.images_of(self.latents_of(seeds), labels, truncation)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The latents (N, Z) from which `generate` makes the images of these seeds."""
        return seeded_normal(seeds, self.network.latent_dim)

    @torch.no_grad()
    def images_of(self, latent: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) of latents (N, Z); labels (N,) where there are classes."""
        return to_uint8(truncated(self.network, latent.to(self.device), self.on_device(labels), truncation))
