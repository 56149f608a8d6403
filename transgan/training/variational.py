"""A variational autoencoder, trained to raise the evidence lower bound of every image.

One batch is one optimizer step on reconstruction plus divergence, in bits per dimension. Time is counted in images
shown.
"""

import math
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from transgan.sampling import DecoderSampler
from transgan.sampling.pixels import checked, to_float, to_uint8
from transgan.sampling.randomness import seeded_normal
from transgan.schedules import Schedule
from transgan.training.generative import Batch
from transgan.training.likelihood import LikelihoodModule


class Variational(LikelihoodModule):
    """Trains `network` by a bound of its likelihood.

    Args:
        network: (images, labels, noise) -> nats (N,) and divergence (N, Z), with the other methods of VAE.
        beta: weight of the divergence, a number or a schedule: one that rises from 0 is the usual annealing, and 1 is
            the evidence lower bound (Higgins et al., 2017; Bowman et al., 2016).
        free_bits: of divergence that each latent has for nothing, on average over a batch (Kingma et al., 2016).
        bound_samples: of latents, for the likelihood of other images; 1 is the evidence lower bound, more is tighter.
        sample_pixels: sample each pixel of a generated image from its distribution, or take its mean.
        compile: None for eager, or a torch.compile backend such as "inductor".
        others: as in likelihood.py and generative.py.

    `truncation` of `generate` scales the latents.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        beta: float | Schedule = 1.0,
        free_bits: float = 0.0,
        bound_samples: int = 1,
        sample_pixels: bool = False,
        clip: float | None = 10.0,
        compile: str | None = None,
        **others: Any,
    ):
        if free_bits < 0:
            raise ValueError(f"algorithm.free_bits={free_bits:g}: it takes 0 or more")
        if bound_samples < 1:
            raise ValueError(f"algorithm.bound_samples={bound_samples}: it takes a whole number, 1 or more")
        super().__init__(network, clip=clip, schedules={"beta": beta}, **others)
        self.free_bits, self.bound_samples, self.sample_pixels = free_bits, bound_samples, sample_pixels
        self.likelihood = f"bound, {bound_samples} draw{'s' * (bound_samples > 1)}"
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng, now, network = self.begin_step(len(images)), self.scheduled(), self.network
        images = self.mirrored(to_float(images), rng)
        noise, beta = rng.normal(network.num_latents), torch.tensor(now["beta"], device=self.device)  # type: ignore[arg-type]

        def objective(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            return self.objective(network, images[part], some, noise[part], beta, self.free_bits)

        self.learn(objective, len(images), now)

    def obstacle(self) -> str | None:
        if self.free_bits:
            return "algorithm.free_bits looks at the mean over a batch, which a part of it does not know; use 0"
        return super().obstacle()

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The bound for each uint8 image (N,), by the EMA weights; its latents are a function of the image."""
        network: Any = self.network_ema
        seeds = [crc32(image.numpy().tobytes()) for image in checked(images).cpu()]
        noise = seeded_normal(seeds, self.bound_samples, network.num_latents).to(self.device)
        return network.bits_per_dim(network.bound(to_float(images.to(self.device)), self.on_device(labels), noise))

    def sampler_of_images(self) -> DecoderSampler:
        return DecoderSampler(self.network_ema, self.num_classes, self.sample_pixels)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The latents (N, Z) of these seeds, as in `generate` with `truncation` 1."""
        return self.sampler_of_images().latents_of(seeds)

    def images_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """uint8 images (N, C, H, W): the means of the pixels given latents (N, Z), by the EMA weights."""
        return self.sampler_of_images().images_of(latent, labels)

    @torch.no_grad()
    def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """uint8 images, reconstructed through the means of their latents and of the pixels."""
        network, labels = self.sampler_of_images().in_float64(), self.on_device(labels)
        latent, _ = network.posterior(to_float(images.to(self.device)).double(), labels)
        return to_uint8(network.observation.middle(network.decoder(latent, labels)))


def objective(
    network: Any, images: Tensor, labels: Tensor | None, noise: Tensor, beta: Tensor, free_bits: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """-> (the value to minimise, {the bound, reconstruction, divergence: in bits per dimension; latents in use})."""
    nats, divergence = network(images, labels, noise)
    nats, divergence = nats.mean(), divergence.mean(0)  # (), (Z,)
    charged = divergence.clamp(min=free_bits * math.log(2)).sum()
    log = {"bits_per_dim": nats + divergence.sum(), "reconstruction": nats, "divergence": divergence.sum()}
    log = {name: network.bits_per_dim(each) for name, each in log.items()}
    return network.bits_per_dim(nats + beta * charged), log | {"latents_used": (divergence > 0.01).sum()}
