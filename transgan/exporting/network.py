"""The graph that is exported: from latents, labels and psi to images, with the mean styles inside."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.sampling.pixels import rounded
from transgan.sampling.truncation import mean_style

Inputs = dict[str, Tensor]


class ImagesFromLatents(nn.Module):
    """(latent (N, Z), label (N,), psi ()) -> (images (N, C, H, W) uint8, the same as float32 in [-1, 1]).

    `inputs` names those that there are: no label without classes, and no psi where a generator has no styles. The
    styles are moved as in sampling/truncation.py, with mean styles that are computed once, here.

    Args:
        network: a generator. num_classes: 0 for an unconditional one.
    """

    def __init__(self, network: nn.Module, num_classes: int = 0) -> None:
        super().__init__()
        self.network: Any = network
        self.num_classes = num_classes
        latent_dim: Any = self.network.latent_dim
        self.latent_dim = int(latent_dim)
        self.has_psi = self.has_styles(network)
        self.inputs = ["latent", *["label"] * bool(num_classes), *["psi"] * self.has_psi]
        if self.has_psi:
            self.register_buffer("mean_styles", self.means())

    @staticmethod
    def has_styles(network: nn.Module) -> bool:
        """Whether a generator has styles to truncate."""
        return hasattr(network, "mapping") and hasattr(network, "synthesis")

    @torch.no_grad()
    def means(self) -> Tensor:
        """The mean style (K, S) of each class, or (1, S)."""
        latent = torch.zeros(max(1, self.num_classes), self.latent_dim)
        labels = torch.arange(self.num_classes) if self.num_classes else None
        return mean_style(self.network, latent, labels)

    def forward(self, latent: Tensor, label: Tensor | None = None, psi: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if psi is None:
            images = self.network(latent, label)
        else:
            means: Any = self.mean_styles
            style = self.network.mapping(latent, label)
            mean = means if label is None else F.embedding(label, means)
            images = self.network.synthesis(style + (psi - 1) * (style - mean))  # exactly style where psi is 1
        images = images.float().clamp(-1, 1)
        return rounded(images), images

    def example(self) -> Inputs:
        """Inputs of two images."""
        latent = torch.linspace(-1, 1, 2 * self.latent_dim).view(2, self.latent_dim)
        return self.arranged(latent, torch.zeros(2, dtype=torch.int64), 1.0)

    def arranged(self, latent: Tensor, labels: Tensor | None, psi: float) -> Inputs:
        """These as the inputs there are, by name."""
        every = {"latent": latent, "label": labels, "psi": torch.tensor(psi)}
        return {name: value for name in self.inputs if (value := every[name]) is not None}
