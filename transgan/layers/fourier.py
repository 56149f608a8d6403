"""Tokens to pixels by a function of each pixel's position, as in ViTGAN's generator.

N batch, T tokens, C channels, S style width, D hidden width, H W image, P = patch_size^2 pixels of a patch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.norm import SelfModulatedNorm
from transgan.layers.patch import unpatchify


def positions(patch_size: int) -> Tensor:
    """The centres (P, 2) of a patch's pixels in raster order, as (y, x) in (-1, 1)."""
    line = (2 * torch.arange(patch_size) + 1) / patch_size - 1
    return torch.cartesian_prod(line, line)


class FourierPatch(nn.Module):
    """Each pixel is the output of a small network at its position in the patch, modulated by the patch's token.

    Fourier features sin(a position + b), then two layers with a sine in between (as in SIREN, 2020), whose weights the
    token scales per input (Karras et al., 2020, section 2.2); the first is demodulated to unit variance, the second,
    which outputs the colours, is not. The patch output of ViTGAN (2021, section 3.3), after a style-modulated norm.

    Args:
        dim, style_dim: C and S. grid_size: of the tokens. patch_size, in_chans: of the pixels.
        hidden_dim: D. norm: makes the norm from (dim, style_dim=style_dim).
    """

    positions: Tensor

    def __init__(
        self,
        dim: int,
        style_dim: int,
        grid_size: tuple[int, int],
        patch_size: int,
        in_chans: int,
        hidden_dim: int,
        norm: Callable[..., nn.Module] = SelfModulatedNorm,
    ):
        super().__init__()
        self.grid_size, self.patch_size = (grid_size[0], grid_size[1]), patch_size
        self.norm = norm(dim, style_dim=style_dim)
        self.modulation = nn.Linear(dim, 2 * hidden_dim)
        self.fourier = nn.Linear(2, hidden_dim)
        self.fc1 = nn.Linear(hidden_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, in_chans)
        self.register_buffer("positions", positions(patch_size), persistent=False)
        self.initialise()

    def initialise(self) -> None:
        """Frequencies up to that of the pixel grid, random phases, and layers that preserve variance through a sine."""
        nn.init.uniform_(self.fourier.weight, -torch.pi * self.patch_size / 2, torch.pi * self.patch_size / 2)
        nn.init.uniform_(self.fourier.bias, -torch.pi, torch.pi)
        nn.init.xavier_uniform_(self.modulation.weight)
        for layer in (self.fc1, self.fc2):
            bound = (6 / layer.in_features) ** 0.5  # SIREN, section 3.2
            nn.init.uniform_(layer.weight, -bound, bound)
        for layer in (self.modulation, self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # (N, T, C), (N, S)
        x, _ = self.norm(x, style)
        first, second = (1 + self.modulation(x)).unsqueeze(2).chunk(2, dim=-1)  # (N, T, 1, D) each
        h = torch.sin(self.fourier(self.positions))  # (P, D)
        size = F.linear(first.square(), self.fc1.weight.square())  # (N, T, 1, D)
        h = F.linear(h * first, self.fc1.weight) * torch.rsqrt(size + 1e-8)  # (N, T, P, D)
        h = self.fc2(torch.sin(h + self.fc1.bias) * second)  # (N, T, P, in_chans)
        return unpatchify(h.transpose(2, 3).flatten(2), self.grid_size, self.patch_size)  # (N, in_chans, H, W)
