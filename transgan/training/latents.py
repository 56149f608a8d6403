"""Images from latents, by a generator that makes each of them at once."""

from torch import Tensor, nn

from transgan.sampling import LatentSampler
from transgan.training.generative import Generative


class FromLatents(Generative):
    """Makes images by `generator_ema` from latents of `latent_dim` numbers.

    `truncation` of `generate` is psi of StyleGAN (sampling/truncation.py).
    """

    latent_dim: int
    generator_ema: nn.Module

    def sampler_of_images(self) -> LatentSampler:
        return LatentSampler(self.generator_ema, self.num_classes)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The latents (N, Z) from which `generate` makes the images of these seeds."""
        return self.sampler_of_images().latents_of(seeds)

    def images_of(self, latent: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) of latents (N, Z) by the EMA weights; labels (N,) where there are classes."""
        return self.sampler_of_images().images_of(latent, labels, truncation)


def latent_dim_of(generator: nn.Module) -> int:
    """The size of a generator's latents. Raises ValueError if it does not say."""
    size = getattr(generator, "latent_dim", None)
    if not isinstance(size, int):
        raise ValueError(
            f"{type(generator).__name__} has no latent_dim: give the generator an attribute of this name, the size of "
            "its latents"
        )
    return size
