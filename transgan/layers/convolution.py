"""Convolutional building blocks: stems before patches, residual blocks, and norms without batch statistics.

N batch, C channels, H W map, K classes.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F


class Stem(nn.Sequential):
    """One 3x3 convolution and LeakyReLU (Xiao et al., 2021): (N, in_chans, H, W) to (N, dim, H, W)."""

    stride = 1

    def __init__(self, in_chans: int, dim: int):
        super().__init__(nn.Conv2d(in_chans, dim, 3, padding=1), nn.LeakyReLU(0.2))


class ResidualStem(nn.Sequential):
    """A 3x3 convolution, then a residual block per halving: (N, in_chans, H, W) to (N, dim, H / stride, W / stride).

    The stride is 2^halvings. The convolutional part of a hybrid discriminator.
    """

    def __init__(self, in_chans: int, dim: int, halvings: int = 1):
        super().__init__(nn.Conv2d(in_chans, dim, 3, padding=1), *(ResidualDown(dim, dim) for _ in range(halvings)))
        self.stride = 2**halvings


class StridedStem(nn.Sequential):
    """4x4 convolutions of stride 2 with LeakyReLU, as DCGAN's discriminator begins (Radford et al., 2016).

    (N, in_chans, H, W) to (N, dim, H / stride, W / stride); the stride is 2^halvings. The last convolution has `dim`
    channels, each before it half as many, but at least 16; without halvings it is one 3x3 convolution. norm: whether
    GroupNorm follows each convolution but the first.
    """

    def __init__(self, in_chans: int, dim: int, halvings: int = 1, norm: bool = False):
        maps = [in_chans, *(max(16, dim // 2**i) for i in reversed(range(1, halvings))), dim]
        kernel = (4, 2, 1) if halvings else (3, 1, 1)
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(maps[:-1], maps[1:], strict=True)):
            layers += [nn.Conv2d(a, b, *kernel), *([ClassNorm(b)] if norm and i else []), nn.LeakyReLU(0.2)]
        super().__init__(*layers)
        self.stride = 2**halvings


class ClassNorm(nn.Module):
    """GroupNorm with a scale and shift per class; plain GroupNorm for num_classes=0.

    Conditional batch norm (Dumoulin et al., 2017) without batch statistics: an image depends on its own latent and
    class alone, in training and in sampling, and EMA weights need no running statistics.
    """

    def __init__(self, dim: int, num_classes: int = 0, num_groups: int = 8):
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(num_groups, dim), dim, affine=not num_classes)
        self.label_embed = nn.Embedding(num_classes, 2 * dim) if num_classes else None
        if self.label_embed is not None:
            nn.init.zeros_(self.label_embed.weight)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, C, H, W), (N,)
        x = self.norm(x)
        if self.label_embed is None:
            return x
        scale, shift = self.label_embed(labels)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        return x * (1 + scale) + shift


class ResidualUp(nn.Module):
    """A residual block that doubles the map, as in the generators of WGAN-GP and SNGAN (Miyato et al., 2018).

    norm, ReLU, nearest-neighbour upsampling, 3x3, norm, ReLU, 3x3; the shortcut is upsampling and 1x1.
    """

    def __init__(self, dim: int, out_dim: int, num_classes: int = 0):
        super().__init__()
        self.norm1, self.conv1 = ClassNorm(dim, num_classes), nn.Conv2d(dim, out_dim, 3, padding=1)
        self.norm2, self.conv2 = ClassNorm(out_dim, num_classes), nn.Conv2d(out_dim, out_dim, 3, padding=1)
        self.shortcut = nn.Conv2d(dim, out_dim, 1)
        initialise_residual(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, C, H, W), (N,)
        h = F.interpolate(F.relu(self.norm1(x, labels)), scale_factor=2)  # (N, C, 2 H, 2 W)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), labels)))  # (N, C', 2 H, 2 W)
        return h + F.interpolate(self.shortcut(x), scale_factor=2)


class ResidualDown(nn.Module):
    """A residual block without norms, as in their discriminators: activation, 3x3, activation, 3x3; then 2x2
    means if `down`.

    With LeakyReLU in place of their ReLU, so that no unit can lose its gradient permanently.
    """

    def __init__(self, dim: int, out_dim: int, down: bool = True):
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(dim, out_dim, 3, padding=1)
        self.conv2 = nn.Conv2d(out_dim, out_dim, 3, padding=1)
        self.shortcut = nn.Conv2d(dim, out_dim, 1) if down or dim != out_dim else nn.Identity()
        initialise_residual(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        h = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2))
        h, x = (F.avg_pool2d(h, 2), self.shortcut(F.avg_pool2d(x, 2))) if self.down else (h, self.shortcut(x))
        return h + x  # (N, C', H / 2, W / 2)


def initialise_residual(block: nn.Module) -> None:
    """Xavier, with the gain of a ReLU for the two 3x3 convolutions (as in SNGAN); zero biases."""
    for name, module in block.named_children():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, gain=1.0 if name == "shortcut" else 2**0.5)
            nn.init.zeros_(module.get_parameter("bias"))
