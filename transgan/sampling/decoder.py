"""Images from the decoder of a variational autoencoder."""

import torch
from torch import Tensor, nn

from transgan.sampling.pixels import to_uint8
from transgan.sampling.randomness import mix, seeded_normal, seeded_uniform
from transgan.sampling.sampler import Sampler


class DecoderSampler(Sampler):
    """Decodes latents of `network.num_latents` numbers. `truncation` scales the latents.

    Args:
        network: with the methods of VAE.
        sample_pixels: sample each pixel from its distribution, or take its mean.
        others: as in sampler.py.
    """

    how = "by the decoder of a VAE"

    def __init__(self, network: nn.Module, num_classes: int = 0, sample_pixels: bool = False) -> None:
        super().__init__(network, num_classes)
        self.sample_pixels = sample_pixels

    def images(self, seeds: list[int], labels: Tensor | None, truncation: float) -> Tensor:
        latent = truncation * self.latents_of(seeds).double()
        if not self.sample_pixels:
            return self.images_of(latent, labels)
        network = self.in_float64()
        observation = network.observation
        uniform = seeded_uniform(
            [mix(seed, 2) for seed in seeds], 2, observation.in_chans, observation.img_size, observation.img_size
        )
        return to_uint8(observation.draw(network.decoder(latent.to(self.device), labels), uniform.to(self.device)))

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The latents (N, Z) of these seeds, as in `generate` with `truncation` 1."""
        return seeded_normal(seeds, self.network.num_latents)

    @torch.no_grad()
    def images_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """uint8 images (N, C, H, W): the means of the pixels given latents (N, Z)."""
        network = self.in_float64()
        decoded = network.decoder(latent.double().to(self.device), self.on_device(labels))
        return to_uint8(network.observation.middle(decoded))
