"""Transformers as encoder and decoder of a variational autoencoder: the same stack between other input and output
layers.

N batch, T tokens, D width, Z latent width, H W image.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import RMSNorm, ScaledNorm
from transgan.layers.patch import PatchEmbed, token_grid, unpatchify
from transgan.layers.position import sincos_table
from transgan.layers.precision import wide
from transgan.models.vae import initialise_small


class ViTEncoder(nn.Module):
    """Images (N, in_chans, H, W) and labels (N,) to (N, out_dim), a linear map of all tokens.

    Args:
        img_size, in_chans, num_classes, out_dim: see vae.py. patch_size: pixels per token edge.
        dim, depth, num_heads, mlp_ratio, init_values, transformer, norm_layer: as in the discriminator, one stage.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        out_dim: int,
        patch_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        init_values: float | None = None,
        transformer: Callable[..., nn.Module] = Transformer,
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
    ):
        super().__init__()
        grid = token_grid(img_size, patch_size)
        self.patch_embed = PatchEmbed(in_chans, dim, patch_size)
        self.pos_embed = nn.Parameter(sincos_table(dim, grid).unsqueeze(0))
        self.label_embed = nn.Embedding(num_classes, dim) if num_classes else None
        norm = partial(ScaledNorm, norm_layer=norm_layer, init_values=init_values)
        self.stages = nn.ModuleList([transformer(dim, depth, num_heads, grid, mlp_ratio, norm=norm)])
        self.norm = norm_layer(dim)
        self.head = nn.Linear(self.pos_embed.shape[1] * dim, out_dim)
        initialise(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = wide(self.patch_embed(images)) + self.pos_embed  # (N, T, D)
        if self.label_embed is not None:
            x = x + self.label_embed(labels).unsqueeze(1)
        return self.head(self.norm(self.stages[0](x)).flatten(1))


class ViTDecoder(nn.Module):
    """Latents (N, latent_dim) and labels (N,) to (N, out_chans, H, W), patch by patch.

    Args:
        img_size, out_chans, num_classes, latent_dim: see vae.py. The others are those of ViTEncoder.
    """

    def __init__(
        self,
        img_size: int,
        out_chans: int,
        num_classes: int,
        latent_dim: int,
        patch_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        init_values: float | None = None,
        transformer: Callable[..., nn.Module] = Transformer,
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
    ):
        super().__init__()
        self.grid_size, self.patch_size = token_grid(img_size, patch_size), patch_size
        self.pos_embed = nn.Parameter(sincos_table(dim, self.grid_size).unsqueeze(0))
        self.embed = nn.Linear(latent_dim, self.pos_embed.shape[1] * dim)
        self.label_embed = nn.Embedding(num_classes, dim) if num_classes else None
        norm = partial(ScaledNorm, norm_layer=norm_layer, init_values=init_values)
        self.stages = nn.ModuleList([transformer(dim, depth, num_heads, self.grid_size, mlp_ratio, norm=norm)])
        self.norm = norm_layer(dim)
        self.head = nn.Linear(dim, out_chans * patch_size**2)
        initialise(self)
        nn.init.normal_(self.embed.weight, std=latent_dim**-0.5)  # of the variance of the positions

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, Z), (N,)
        x = wide(self.embed(latent)).unflatten(1, (-1, self.pos_embed.shape[2])) + self.pos_embed  # (N, T, D)
        if self.label_embed is not None:
            x = x + self.label_embed(labels).unsqueeze(1)
        x = self.head(self.norm(self.stages[0](x)))  # (N, T, p*p*M)
        return unpatchify(x, self.grid_size, self.patch_size)  # (N, M, H, W)


def initialise(network: ViTEncoder | ViTDecoder) -> None:
    """Xavier for every linear layer, and a head with small outputs."""
    xavier(network)
    if network.label_embed is not None:
        nn.init.normal_(network.label_embed.weight, std=0.5)
    initialise_small(network.head)
