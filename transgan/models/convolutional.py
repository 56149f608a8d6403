"""Convolutional baselines: a DCGAN pair (Radford et al., 2016) and a ResNet pair (WGAN-GP, 2017; SNGAN, 2018).

Two things differ from the papers. In place of batch norm, the generators have group norm, and the discriminators have
group norm or none: logits and images must depend on their own input alone, for the gradient penalties, for samples that
are the same in any batch, and for EMA weights. And logits are float32, with projection conditioning.

N batch, Z latent width, C channels, H W image, K classes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.describing import Described
from transgan.layers.convolution import ClassNorm, ResidualDown, ResidualUp
from transgan.layers.projection import ProjectionHead


def coarsest(network: str, img_size: int, halvings: int) -> int:
    """The side of an image after so many halvings. Raises ValueError unless they are all even."""
    if img_size % 2**halvings:
        raise ValueError(
            f"{network}.dim asks to halve {img_size} px {halvings} times, which is not possible; "
            "give fewer stages, or another resolution"
        )
    return img_size // 2**halvings


class DCGANGenerator(Described, nn.Module):
    """Latents (N, Z) and labels (N,) to images (N, in_chans, img_size, img_size) in [-1, 1].

    A linear layer to the coarsest map, then 4x4 transposed convolutions that double it, with norm and ReLU before each
    and tanh after the last. An embedding of the class is concatenated with the latent.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional generator. latent_dim: Z.
        dim: one number per map, coarse to fine; the image is the map after the last.

    Raises ValueError when img_size cannot be halved len(dim) times.
    """

    def __init__(self, img_size: int, in_chans: int, num_classes: int, latent_dim: int, dim: Sequence[int]):
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        first = coarsest("generator", img_size, len(dim))
        self.label_embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.embed = nn.Linear(latent_dim * (2 if num_classes else 1), dim[0] * first**2)
        self.norms = nn.ModuleList(ClassNorm(width) for width in dim)
        widths = [*dim, in_chans]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.shape = (dim[0], first, first)
        self.initialise()

    def initialise(self) -> None:
        """Normal with standard deviation 0.02 (DCGAN, section 4); Xavier for the linear layer, which has few inputs."""
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)
        for up in self.ups:
            nn.init.normal_(up.get_parameter("weight"), std=0.02)
            nn.init.zeros_(up.get_parameter("bias"))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        if self.label_embed is not None:
            latent = torch.cat([latent, self.label_embed(labels)], dim=1)
        x = self.embed(latent).unflatten(1, self.shape)  # (N, C0, h, h)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x)))  # (N, C', 2 h, 2 h)
        return torch.tanh(x)  # (N, in_chans, H, W)


class DCGANDiscriminator(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    4x4 convolutions that halve the map, LeakyReLU after each, group norm in between, and a linear layer on the last
    map.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional discriminator.
        dim: one number per map, fine to coarse. weight_norm: called with the network to bound its weights, or None.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        dim: Sequence[int],
        weight_norm: Callable[[nn.Module], None] | None,
    ):
        super().__init__()
        self.num_classes = num_classes
        last = coarsest("discriminator", img_size, len(dim))
        widths = [in_chans, *dim]
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.norms = nn.ModuleList([nn.Identity(), *(ClassNorm(width) for width in dim[1:])])
        self.head = ProjectionHead(dim[-1] * last**2, num_classes)
        for down in self.downs:
            nn.init.normal_(down.get_parameter("weight"), std=0.02)
            nn.init.zeros_(down.get_parameter("bias"))
        if weight_norm is not None:
            weight_norm(self)

    def features(self, images: Tensor) -> Tensor:  # (N, in_chans, H, W)
        """The last map, flat: (N, C)."""
        x = images
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = F.leaky_relu(norm(down(x)), 0.2)  # (N, C', h / 2, w / 2)
        return x.flatten(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.head(self.features(images), labels)


class ResNetGenerator(Described, nn.Module):
    """Latents (N, Z) and labels (N,) to images (N, in_chans, img_size, img_size) in [-1, 1].

    A linear layer to the coarsest map, residual blocks that double it, norm, ReLU, 3x3 and tanh. The class scales and
    shifts every norm, as in the conditional SNGAN (Miyato and Koyama, 2018).

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional generator. latent_dim: Z.
        dim: one number per map, coarse to fine; the last has the image's size. SNGAN has [256, 256, 256, 256] at 32 px.

    Raises ValueError when img_size cannot be halved len(dim) - 1 times.
    """

    def __init__(self, img_size: int, in_chans: int, num_classes: int, latent_dim: int, dim: Sequence[int]):
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        first = coarsest("generator", img_size, len(dim) - 1)
        self.shape = (dim[0], first, first)
        self.embed = nn.Linear(latent_dim, dim[0] * first**2)
        self.ups = nn.ModuleList(ResidualUp(a, b, num_classes) for a, b in zip(dim[:-1], dim[1:], strict=True))
        self.norm = ClassNorm(dim[-1], num_classes)
        self.head = nn.Conv2d(dim[-1], in_chans, 3, padding=1)
        for layer in (self.embed, self.head):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        x = self.embed(latent).unflatten(1, self.shape)  # (N, C0, h, h)
        for up in self.ups:
            x = up(x, labels)  # (N, C', 2 h, 2 h)
        return torch.tanh(self.head(F.relu(self.norm(x, labels))))  # (N, in_chans, H, W)


class ResNetDiscriminator(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    A 3x3 convolution, `depth` residual blocks per map, of which the last halves it, except in the last map; then the
    activation, the sum over positions and a linear layer with projection conditioning. No norms.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional discriminator.
        dim, depth: one number per map, fine to coarse. SNGAN has [128, 128, 128] and [1, 1, 2] at 32 px.
        weight_norm: called with the network to bound its weights: SpectralNorm for that of SNGAN, or None.

    Raises ValueError when img_size cannot be halved len(dim) - 1 times, or the lists differ in length.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        dim: Sequence[int],
        depth: Sequence[int],
        weight_norm: Callable[[nn.Module], None] | None,
    ):
        super().__init__()
        if len(dim) != len(depth):
            raise ValueError(
                f"discriminator.dim and depth need one number per map; they have {len(dim)} and {len(depth)}"
            )
        self.num_classes = num_classes
        coarsest("discriminator", img_size, len(dim) - 1)
        self.embed = nn.Conv2d(in_chans, dim[0], 3, padding=1)
        self.blocks = nn.Sequential()
        for i, (width, count) in enumerate(zip(dim, depth, strict=True)):
            for j in range(count):
                down = j + 1 == count and i + 1 < len(dim)
                self.blocks.append(ResidualDown(width, dim[i + 1] if down else width, down))
        self.head = ProjectionHead(dim[-1], num_classes)
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.get_parameter("bias"))
        if weight_norm is not None:
            weight_norm(self)

    def features(self, images: Tensor) -> Tensor:  # (N, in_chans, H, W)
        """Features summed over positions: (N, C)."""
        return F.leaky_relu(self.blocks(self.embed(images)), 0.2).sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.head(self.features(images), labels)
