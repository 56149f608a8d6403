"""A variational autoencoder (Kingma and Welling, 2014) with any encoder, decoder and distribution of pixels.

Convolutional encoder and decoder; vit_vae.py has Transformers.

N batch, Z latent width, S samples, C channels, H W image, K classes.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.describing import Described
from transgan.layers.convolution import ClassNorm, ResidualDown, ResidualUp
from transgan.layers.precision import wide, without_autocast
from transgan.models.convolutional import coarsest
from transgan.models.observation import Logistics


class VAE(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to the two terms of the evidence lower bound.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional model. num_latents: Z.
        encoder: makes (images, labels) -> (N, 2 Z) from (img_size, in_chans, num_classes, 2 Z).
        decoder: makes (latents, labels) -> (N, M, H, W) from (img_size, M, num_classes, Z).
        observation: makes the distribution of an image given M numbers per pixel from (img_size, in_chans): a partial
            of Logistics (observation.py).

    `num_values` is how many pixel values an image has, the dimensions of bits per dimension.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        num_latents: int,
        encoder: Callable[[int, int, int, int], nn.Module],
        decoder: Callable[[int, int, int, int], nn.Module],
        observation: Callable[[int, int], Logistics],
    ):
        super().__init__()
        if num_latents < 1:
            raise ValueError(f"autoencoder.num_latents={num_latents}: give at least 1")
        self.num_classes, self.num_latents = num_classes, num_latents
        self.observation = observation(img_size, in_chans)
        self.num_values = self.observation.num_values
        self.encoder = encoder(img_size, in_chans, num_classes, 2 * num_latents)
        self.decoder = decoder(img_size, self.observation.channels, num_classes, num_latents)

    def prepare(self, images: Tensor) -> None:
        """Raises ValueError if uint8 images have pixel values other than the levels of the observation."""
        self.observation.prepare(images)

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance (N, Z) of the latent given the image."""
        mean, log_var = wide(self.encoder(images, labels)).chunk(2, dim=1)
        return mean, log_var.clamp(-14.0, 14.0)

    def forward(
        self, images: Tensor, labels: Tensor | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """-log p(image | latent) (N,) for a latent sampled with noise (N, Z), and the divergence of each latent (N, Z).

        Their sum is on average at least -log p(image), in nats. Without noise the latent is the mean of the posterior.
        """
        mean, log_var = self.posterior(images, labels)
        with without_autocast(mean):
            latent = mean if noise is None else mean + (log_var / 2).exp() * noise
            divergence = (mean.square() + log_var.exp() - 1 - log_var) / 2
        return self.observation.nats(self.decoder(latent, labels), images), divergence

    def bound(self, images: Tensor, labels: Tensor | None, noise: Tensor) -> Tensor:  # (N, S, Z)
        """On average at least -log p(image) (N,), in nats: the evidence bound, tightened by S samples (Burda, 2016)."""
        mean, log_var = self.posterior(images, labels)
        weights = []
        for each in noise.unbind(1):
            latent = mean + (log_var / 2).exp() * each
            ratio = ((each.square() - latent.square() + log_var) / 2).sum(1)  # log p(latent) - log q(latent)
            weights.append(ratio - self.observation.nats(self.decoder(latent, labels), images))
        return math.log(len(weights)) - torch.stack(weights, 1).logsumexp(1)

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        return nats / (math.log(2) * self.num_values)


class ConvEncoder(nn.Module):
    """Images (N, in_chans, H, W) and labels (N,) to (N, out_dim): residual blocks that halve the map, without norms.

    dim: one number per map, fine to coarse; the first has the image's size. Raises ValueError if it cannot be halved.
    """

    def __init__(self, img_size: int, in_chans: int, num_classes: int, out_dim: int, dim: Sequence[int]):
        super().__init__()
        last = coarsest("autoencoder.encoder", img_size, len(dim) - 1)
        self.label_embed = nn.Embedding(num_classes, dim[0]) if num_classes else None
        self.embed = nn.Conv2d(in_chans, dim[0], 3, padding=1)
        self.downs = nn.ModuleList(ResidualDown(a, b) for a, b in zip(dim[:-1], dim[1:], strict=True))
        self.head = nn.Linear(dim[-1] * last**2, out_dim)
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.get_parameter("bias"))
        initialise_small(self.head)  # near the prior

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.embed(images)  # (N, C0, H, W)
        if self.label_embed is not None:
            x = x + self.label_embed(labels)[:, :, None, None]
        for down in self.downs:
            x = down(x)  # (N, C', h / 2, w / 2)
        return self.head(F.leaky_relu(x, 0.2).flatten(1))


class ConvDecoder(nn.Module):
    """Latents (N, latent_dim) and labels (N,) to (N, out_chans, H, W): residual blocks that double the map.

    Scale and shift of every norm depend on the class. dim: one number per map, coarse to fine; the last has the image's
    size.
    """

    def __init__(self, img_size: int, out_chans: int, num_classes: int, latent_dim: int, dim: Sequence[int]):
        super().__init__()
        first = coarsest("autoencoder.decoder", img_size, len(dim) - 1)
        self.shape = (dim[0], first, first)
        self.embed = nn.Linear(latent_dim, dim[0] * first**2)
        self.ups = nn.ModuleList(ResidualUp(a, b, num_classes) for a, b in zip(dim[:-1], dim[1:], strict=True))
        self.norm = ClassNorm(dim[-1], num_classes)
        self.head = nn.Conv2d(dim[-1], out_chans, 3, padding=1)
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)
        initialise_small(self.head)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        x = self.embed(latent).unflatten(1, self.shape)  # (N, C0, h, h)
        for up in self.ups:
            x = up(x, labels)  # (N, C', 2 h, 2 h)
        return self.head(F.relu(self.norm(x, labels)))  # (N, M, H, W)


def initialise_small(layer: nn.Module) -> None:
    """Outputs near zero: the prior for an encoder, the same pixels everywhere for a decoder."""
    nn.init.xavier_uniform_(layer.get_parameter("weight"), gain=0.1)
    nn.init.zeros_(layer.get_parameter("bias"))
