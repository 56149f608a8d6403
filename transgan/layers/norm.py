"""Normalisation layers, and the two ways a block uses them: with a learned scale, or modulated by a style.

N batch, T tokens, C channels, S style width.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from transgan.layers.normalisation import normalised
from transgan.layers.precision import matmul_dtype


class PixelNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) over the last axis, without parameters (Karras et al., 2018, section 4.2)."""

    def __init__(self, dim: int | None = None, eps: float = 1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return normalised(x, self.eps)  # float32, since a sum of squares overflows half precision


class RMSNorm(PixelNorm):
    """PixelNorm times a learned weight per channel (Zhang and Sennrich, 2019)."""

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__(dim, eps)
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.weight


class ScaledNorm(nn.Module):
    """A norm before a residual branch and LayerScale after it (Touvron et al., 2021); it ignores the style.

    `init_values` is the initial LayerScale; None leaves it out.
    """

    def __init__(self, dim: int, norm_layer: Callable[[int], nn.Module] = RMSNorm, init_values: float | None = None):
        super().__init__()
        self.norm = norm_layer(dim)
        self.gamma = None if init_values is None else nn.Parameter(torch.full((dim,), float(init_values)))

    def forward(self, x: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor | float]:
        """x (N, T, C) -> normalised x (N, T, C) and the branch's gate, which broadcasts against it."""
        return self.norm(x), 1.0 if self.gamma is None else self.gamma

    def separate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x normalised without its weight, as a product will read it, and the weight (C,); None if it has none."""
        if isinstance(self.norm, RMSNorm):
            return normalised(x, self.norm.eps, matmul_dtype(x)), self.norm.weight
        return self.norm(x), None

    @torch.no_grad()
    def start_at(self, scale: Tensor, gate: Tensor | None) -> list[str]:
        """Copies another ScaledNorm's weight and LayerScale (None: it has none). Returns the names of those changed."""
        self.norm.get_parameter("weight").copy_(scale)
        if self.gamma is None or gate is None:
            return ["norm.weight"]
        self.gamma.copy_(gate)
        return ["norm.weight", "gamma"]


class StyleNorm(nn.Module):
    """A norm without parameters, whose scale and whose branch's gate are functions of a style.

    norm(x) * (1 + s(w)) before the branch and g(w) after it, without a shift; s and g come from one linear layer
    (Peebles and Xie, 2023, modulate in the same two positions and add a shift). `init_gain` scales how much styles
    differ at initialisation.
    """

    def __init__(
        self,
        dim: int,
        style_dim: int,
        norm_layer: Callable[[int], nn.Module] = PixelNorm,
        init_gain: float = 1.0,
    ):
        super().__init__()
        self.norm = norm_layer(dim)
        self.modulation = nn.Linear(style_dim, 2 * dim)
        nn.init.xavier_uniform_(self.modulation.weight, gain=init_gain)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor | float]:
        """x (N, T, C), style (N, S) -> modulated x (N, T, C), gate (N, 1, C)."""
        scale, gate = self.modulation(style).unsqueeze(1).chunk(2, dim=-1)  # (N, 1, C) each
        if isinstance(self.norm, PixelNorm):
            return normalised(x, self.norm.eps, matmul_dtype(x)) * (1 + scale), gate
        return self.norm(x) * (1 + scale), gate

    @torch.no_grad()
    def start_at(self, scale: Tensor, gate: Tensor | None) -> list[str]:
        """Centres the modulation on a ScaledNorm's weight and LayerScale (None: 1). Returns what has changed."""
        self.modulation.bias.copy_(torch.cat([scale - 1, torch.ones_like(scale) if gate is None else gate]))
        return ["modulation.bias"]


class SelfModulatedNorm(StyleNorm):
    """LayerNorm whose scale and shift are functions of a style, without a gate: norm(x) * (1 + s(w)) + b(w).

    The generator's norm in ViTGAN (2021, section 3.3), after self-modulation (Chen et al., 2019).
    """

    def __init__(self, dim: int, style_dim: int, init_gain: float = 1.0):
        super().__init__(dim, style_dim, partial(nn.LayerNorm, elementwise_affine=False), init_gain)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, float]:
        """x (N, T, C), style (N, S) -> modulated x (N, T, C), 1."""
        scale, shift = self.modulation(style).unsqueeze(1).chunk(2, dim=-1)  # (N, 1, C) each
        return self.norm(x) * (1 + scale) + shift, 1.0

    @torch.no_grad()
    def start_at(self, scale: Tensor, gate: Tensor | None) -> list[str]:
        """As in StyleNorm; there is no gate to set."""
        self.modulation.bias.copy_(torch.cat([scale - 1, torch.zeros_like(scale)]))
        return ["modulation.bias"]
