"""A flow: the Transformer predicts, from an image with noise in it and the time, in which direction the image lies.

The interpolant of Lipman et al. (2023) with a straight path, x_t = t x + (1 - t) z: noise z at time 0, an image x at
time 1, and the velocity x - z in between. The stack is the generator's: blocks that a style modulates; here the style
is a function of time and class (as in DiT, Peebles and Xie, 2023), and the tokens are patches of x_t. `OneStep` is the
same network as a generator: image-shaped noise in, at time 0, and the image that it predicts out.

N batch, S style width, T tokens, D width, C channels, H W image, K classes.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.describing import Described
from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import StyleNorm
from transgan.layers.output import RefinedOutput
from transgan.layers.patch import PatchEmbed, token_grid
from transgan.layers.position import sincos_table
from transgan.layers.precision import wide
from transgan.models.tokens import Levels

PREDICTIONS = ("v", "x")


class FlowLevels(Levels):
    group = "algorithm.network"


class TimeEmbed(nn.Module):
    """Times (N,) in [0, 1] and labels (N,) to styles (N, S): a layer of sines and cosines, the class, a layer.

    Label K, and every label where none are given, is "no class".
    """

    def __init__(self, style_dim: int, num_classes: int, num_frequencies: int = 32):
        super().__init__()
        self.num_classes, self.num_frequencies = num_classes, num_frequencies
        self.time = nn.Linear(2 * num_frequencies, style_dim)
        self.label_embed = nn.Embedding(num_classes + 1, style_dim) if num_classes else None
        self.out = nn.Linear(style_dim, style_dim)

    def initialise(self) -> None:
        xavier(self)
        if self.label_embed is not None:
            nn.init.normal_(self.label_embed.weight, std=0.5)

    def forward(self, time: Tensor, labels: Tensor | None) -> Tensor:
        count = self.num_frequencies
        rates = 1000.0 * 10000.0 ** (-torch.arange(count, device=time.device, dtype=time.dtype) / count)
        angles = time.unsqueeze(1) * rates  # (N, F)
        style = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        if self.label_embed is not None:
            if labels is None:
                labels = torch.full((time.shape[0],), self.num_classes, device=time.device)
            style = style + self.label_embed(labels)
        return F.silu(self.out(F.silu(style)))


class FlowTrunk(nn.Module):
    """What a flow and a discriminator that begins with one have in common: patches, styles, and the stack of blocks.

    The arguments are those of FlowTransformer.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        patch_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        style_dim: int,
        norm: Callable[..., nn.Module],
        transformer: Callable[..., nn.Module],
    ):
        super().__init__()
        self.num_classes = num_classes
        self.grid_size = token_grid(img_size, patch_size)
        self.patch_embed = PatchEmbed(in_chans, dim, patch_size, overlap=patch_size // 2)
        self.pos_embed = nn.Parameter(sincos_table(dim, self.grid_size).unsqueeze(0))
        self.style = TimeEmbed(style_dim, num_classes)
        # a list of one, so that its weights are named as in the generator and the discriminator
        make = partial(norm, style_dim=style_dim)
        self.stages = nn.ModuleList([transformer(dim, depth, num_heads, self.grid_size, mlp_ratio, norm=make)])
        # Xavier in the patches, the style and the stack; modulations initialise themselves
        xavier(self.stages, leave={m.modulation for m in self.modules() if isinstance(m, StyleNorm)})
        xavier(self.patch_embed)
        self.style.initialise()

    def tokens(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        """(N, T, D), with their positions; sums are float32."""
        return wide(self.patch_embed(x)) + self.pos_embed


class FlowTransformer(Described, FlowTrunk):
    """Images with noise x_t (N, in_chans, img_size, img_size), times (N,), labels (N,) to velocities of the same shape.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional flow; label num_classes is "no class".
        patch_size: pixels per token edge. dim, depth, num_heads, mlp_ratio: as in timm. style_dim: S.
        prediction: what the network's output stands for. "v": the velocity (Lipman et al., 2023); "x": the image, from
            which the velocity follows, (x - x_t) / (1 - t) (Li and He, 2025).
        levels: pixel values that exist, evenly over 0 to 255, of which the density gives probabilities. quantise: take
            the nearest for any other, instead of refusing it.
        norm: makes the norm of every branch from (dim, style_dim=S). transformer: makes the stack of blocks.
        output: makes the map from tokens and style to pixels (layers/output.py); None: RefinedOutput.

    Raises ValueError for a patch that does not divide the image or a prediction that does not exist.
    """

    nearest_end = 0.05  # 1 - t is at least this where it divides (as in Li and He, 2025)

    def __init__(
        self,
        img_size: int,
        in_chans: int = 3,
        num_classes: int = 0,
        patch_size: int = 2,
        dim: int = 48,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        style_dim: int = 64,
        prediction: str = "v",
        levels: int = 256,
        quantise: bool = False,
        norm: Callable[..., nn.Module] = StyleNorm,
        transformer: Callable[..., nn.Module] = Transformer,
        output: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(
            img_size, in_chans, num_classes, patch_size, dim, depth, num_heads, mlp_ratio, style_dim, norm, transformer
        )
        if prediction not in PREDICTIONS:
            raise ValueError(f"prediction={prediction}: it takes {' or '.join(PREDICTIONS)}")
        self.img_size, self.in_chans, self.prediction = img_size, in_chans, prediction
        self.levels = FlowLevels(img_size, in_chans, levels, quantise)
        self.num_values = self.levels.num_values
        self.output = (output or RefinedOutput)(dim, style_dim, self.grid_size, patch_size, in_chans)

    def predict(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """What `prediction` says, of the shape of x."""
        style = self.style(time, labels)  # (N, S)
        return wide(self.output(self.stages[0](self.tokens(x), style), style))

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """The velocity dx/dt at x_t."""
        found = self.predict(x, time, labels)
        if self.prediction == "v":
            return found
        return (found - x) / (1 - time).clamp(min=self.nearest_end).view(-1, 1, 1, 1)

    def target(self, images: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What `forward` should be at x_t: x - z; of predicted images held back where forward is, near time 1, for else
        no image would do (as in Li and He, 2025)."""
        velocity = images - noise
        if self.prediction == "v":
            return velocity
        left = (1 - time).view(-1, 1, 1, 1)
        return velocity * (left / left.clamp(min=self.nearest_end))

    @property
    def pace(self) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
        """Times (N,) and their derivative by s (N,), evenly spread over 0 to 1, in which the velocity is not stiff.

        That of predicted images is (x - x_t) over the time that is left: it pulls at a rate that is 1 everywhere if s
        runs as -log(1 - t), and on in proportion to t where 1 - t is held. None where times do as they are.
        """
        if self.prediction == "v":
            return None
        end, turn = self.nearest_end, -math.log(self.nearest_end)

        def pace(s: Tensor) -> tuple[Tensor, Tensor]:
            passed = (turn + 1) * s
            time = torch.where(passed < turn, 1 - (-passed).exp(), 1 - end + end * (passed - turn))
            return time, (turn + 1) * (1 - time).clamp(min=end)

        return pace

    @property
    def ending(self) -> Callable[..., Tensor] | None:
        """(x_t, times, labels) -> the images that the last step of sampling goes to; None where the velocity does.

        A predicted image is where its velocity leads. Held back near time 1, where it would be 0 by `forward`, that
        velocity would leave noise in it (Li and He, 2025, take the last step by Euler, too).
        """
        return None if self.prediction == "v" else self.data

    def data(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """The image that is predicted from x_t."""
        found = self.predict(x, time, labels)
        return found if self.prediction == "x" else x + (1 - time).view(-1, 1, 1, 1) * found

    # Images as values of a density: their levels, and the probability of a level.

    def prepare(self, images: Tensor) -> None:
        """Raises ValueError if uint8 images have pixel values that are no level."""
        self.levels.prepare(images)

    def dequantised(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], each value somewhere within its level by a number in [0, 1)."""
        return (self.levels.nearest(images) + uniform - 0.5) * (2 / (self.levels.levels - 1)) - 1

    def quantised(self, images: Tensor) -> Tensor:
        """The levels that images are nearest to, in [-1, 1]."""
        return self.levels.value(self.levels.nearest(images))

    def bits_per_dim(self, log_density: Tensor) -> Tensor:
        """Of dequantised images (N,) with this log density: on average at least that of their levels' probability."""
        width = math.log(2 / (self.levels.levels - 1))  # of a level
        return -(log_density / self.num_values + width) / math.log(2)


class OneStep(FlowTransformer):
    """A flow's network as a generator: latents (N, in_chans * img_size^2) and labels (N,) to images.

    The latent is noise in the shape of the image, which is the flow's x at time 0; the image is the one that the
    flow would predict from it. The arguments are those of FlowTransformer.
    """

    @property
    def latent_dim(self) -> int:
        return self.num_values

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:  # type: ignore[override]
        noise = latent.unflatten(1, (self.in_chans, self.img_size, self.img_size))
        return self.data(noise, latent.new_zeros(latent.shape[0]), labels)
