"""Images as sequences of tokens with a likelihood: pixel values one by one, or patches under a mixture.

Both assign probability to images of integer pixel values, so that nats and bits per dimension are exact, and those of
one can be compared with those of the other, given the same `levels`: the pixel values that exist, spread evenly over 0
to 255. 256 levels are all of them.

N batch, T tokens, C channels of the image, D width of the network, U `num_random`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.patch import patchify, token_grid, unpatchify
from transgan.layers.precision import wide, without_autocast


def probabilities(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """softmax(logits / temperature) over the last axis, of the `top_k` largest alone (None: of all)."""
    if top_k is not None and top_k < logits.shape[-1]:
        kept = logits.topk(top_k, dim=-1)
        logits = torch.full_like(logits, float("-inf")).scatter(-1, kept.indices, kept.values)
    return (logits / temperature).softmax(-1)


def choose(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The index (N,) at which the cumulative sum of probabilities (N, K) exceeds a uniform number (N,)."""
    sums = probabilities.cumsum(-1)
    return (sums <= uniform.unsqueeze(-1) * sums[..., -1:]).sum(-1).clamp(max=probabilities.shape[-1] - 1)


class Tokens(nn.Module):
    """What a network that models tokens needs of them; the base of Pixels, Patches and Palette.

    A token is a number or a vector; `grid_size` is their grid, `num_random` how many uniform numbers sampling one
    takes, and `num_values` how many pixel values an image has, the dimensions of "bits per dimension".
    """

    img_size: int
    in_chans: int
    grid_size: tuple[int, int]
    num_values: int
    num_random: int
    embed: nn.Module  # of tokens

    def prepare(self, images: Tensor) -> None:
        """Adapts to uint8 images. Raises ValueError if they have pixel values that no token stands for."""
        raise NotImplementedError

    def tokens(self, images: Tensor) -> Tensor:  # (N, C, H, W)
        """The tokens (N, T) or (N, T, ...) of images in [-1, 1]."""
        raise NotImplementedError

    def images(self, tokens: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]."""
        raise NotImplementedError

    def nats(self, x: Tensor, tokens: Tensor) -> Tensor:  # (N, T, D), (N, T) or (N, T, ...)
        """-log p of each token (N, T), given the features of a network at its position."""
        raise NotImplementedError

    def draw(self, x: Tensor, uniform: Tensor, temperature: float, top_k: int | None) -> Tensor:
        """A token (N,) or (N, ...) for each x (N, D) and its uniform numbers (N, U)."""
        raise NotImplementedError


class Levels(nn.Module):
    """The pixel values that exist, and whether images may have others.

    Args:
        levels: how many, 2 to 256. quantise: round any other value to the nearest, instead of refusing it in `prepare`.
    """

    group = "tokens"  # of the configuration, for error messages

    def __init__(self, img_size: int, in_chans: int, levels: int, quantise: bool):
        super().__init__()
        if not 2 <= levels <= 256:
            raise ValueError(f"{self.group}.levels={levels}: a pixel has 2 to 256 values")
        self.img_size, self.in_chans, self.levels, self.quantise = img_size, in_chans, levels, quantise
        self.num_values = in_chans * img_size**2

    def nearest(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] to the index of the nearest level, 0 to levels - 1, as float."""
        return ((wide(images) + 1) * ((self.levels - 1) / 2)).clamp(0, self.levels - 1).round()

    def value(self, number: Tensor) -> Tensor:
        """The index of a level to its value in [-1, 1], that of an integer pixel value."""
        return (number * (255 / (self.levels - 1))).round() / 127.5 - 1

    def prepare(self, images: Tensor) -> None:
        """Raises ValueError if uint8 images have values other than the levels, and these are not to be rounded."""
        values = torch.arange(256)[torch.bincount(images.flatten(), minlength=256) > 0] / 127.5 - 1
        if not self.quantise and not torch.allclose(self.value(self.nearest(values)), values, rtol=0, atol=1e-3):
            raise ValueError(
                f"{self.group}.levels={self.levels}: the images have {len(values)} pixel values, some not among these "
                f"levels; give {self.group}.levels=256, or {self.group}.quantise=true to train on the nearest levels"
            )


class Categorical(Tokens):
    """Tokens of a vocabulary, with a learned embedding each and a categorical distribution."""

    num_random = 1
    embed: nn.Embedding
    head: nn.Linear

    def add_vocabulary(self, count: int, dim: int) -> None:
        self.embed = nn.Embedding(count, dim)
        self.head = nn.Linear(dim, count)
        nn.init.normal_(self.embed.weight, std=0.5)  # added to positions, whose mean square is a half
        nn.init.zeros_(self.head.weight)  # initially all are equally likely
        nn.init.zeros_(self.head.bias)

    def nats(self, x: Tensor, tokens: Tensor) -> Tensor:  # (N, T, D), (N, T)
        with without_autocast(x):
            return F.cross_entropy(self.head(wide(x)).transpose(1, 2), tokens, reduction="none")

    def draw(self, x: Tensor, uniform: Tensor, temperature: float, top_k: int | None) -> Tensor:
        return choose(probabilities(self.head(x), temperature, top_k), uniform[:, 0])


class Pixels(Levels, Categorical):
    """A token per pixel and channel, in raster order with the channels of a pixel side by side: the index of its level.

    dim: width of the network; the other arguments are those of Levels.
    """

    def __init__(self, img_size: int, in_chans: int, dim: int, levels: int, quantise: bool = False):
        super().__init__(img_size, in_chans, levels, quantise)
        self.grid_size = (img_size, img_size * in_chans)
        self.add_vocabulary(levels, dim)

    def tokens(self, images: Tensor) -> Tensor:  # (N, C, H, W)
        """Indices of levels (N, T)."""
        return self.nearest(images).long().permute(0, 2, 3, 1).flatten(1)

    def images(self, tokens: Tensor) -> Tensor:  # (N, T)
        """Images (N, C, H, W) in [-1, 1]."""
        values = self.value(tokens.to(self.head.weight.dtype))
        return values.unflatten(1, (self.img_size, self.img_size, self.in_chans)).permute(0, 3, 1, 2)


class Patches(Levels, Tokens):
    """A token per patch, as in the networks of a GAN, under a mixture of `components` for the patch as a whole.

    p(patch) = sum_k pi_k prod_d P(the level of pixel d), where P is the mass of a logistic distribution between
    the midpoints to the neighbouring levels, and the outermost levels include the tails (PixelCNN++, Salimans et al.,
    2017). The pixels of a patch depend on each other through the choice of the component alone.

    dim: width of the network; the other arguments are those of Levels.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        dim: int,
        patch_size: int,
        components: int,
        levels: int = 256,
        quantise: bool = False,
    ):
        super().__init__(img_size, in_chans, levels, quantise)
        if components < 1:
            raise ValueError(f"tokens.components={components}: a mixture has at least one")
        self.patch_size, self.components = patch_size, components
        self.grid_size = token_grid(img_size, patch_size)
        width = in_chans * patch_size**2
        self.num_random = 1 + width  # of the component, and of each pixel
        self.embed = nn.Linear(width, dim)
        self.head = nn.Linear(dim, components * (1 + 2 * width))
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.xavier_uniform_(self.head.weight, gain=0.1)
        with torch.no_grad():  # initially components of a quarter of the range, spread over it
            logits, means, scales = self.head.bias.split((components, components * width, components * width))
            logits.zero_()
            means.uniform_(-1, 1)
            scales.fill_(-1.4)

    def tokens(self, images: Tensor) -> Tensor:  # (N, C, H, W)
        """Patches (N, T, p*p*C) of values of levels."""
        return self.patches(self.value(self.nearest(images)))

    def patches(self, images: Tensor) -> Tensor:  # (N, C, H, W)
        """Patches (N, T, p*p*C) of images whose values may lie between levels."""
        return patchify(images, self.patch_size)

    def images(self, tokens: Tensor) -> Tensor:  # (N, T, p*p*C)
        """Images (N, C, H, W) in [-1, 1]."""
        return unpatchify(tokens, self.grid_size, self.patch_size)

    def mixture(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (..., D)
        """log pi (..., K), means and log scales (..., K, p*p*C)."""
        k, d = self.components, self.num_random - 1
        logits, means, scales = self.head(x).split((k, k * d, k * d), dim=-1)
        return logits.log_softmax(-1), means.unflatten(-1, (k, d)), scales.unflatten(-1, (k, d)).clamp(min=-7.0)

    def nats(self, x: Tensor, tokens: Tensor) -> Tensor:  # (N, T, D), (N, T, p*p*C)
        with without_autocast(x):
            log_pi, means, scales = self.mixture(wide(x))
            mass = log_mass(tokens.unsqueeze(2), means, scales, self.levels)  # (N, T, K, p*p*C)
            return -(log_pi + mass.sum(-1)).logsumexp(-1)

    def draw(self, x: Tensor, uniform: Tensor, temperature: float, top_k: int | None) -> Tensor:
        """A patch (N, p*p*C) for each x (N, D) and its uniform numbers (N, U).

        A temperature below 1 sharpens the choice of the component and narrows its logistics; top_k is of the
        components.
        """
        log_pi, means, scales = self.mixture(x)
        k = choose(probabilities(log_pi, temperature, top_k), uniform[:, 0])
        own = torch.arange(len(x), device=x.device)
        return self.value(self.nearest(means[own, k] + temperature * scales[own, k].exp() * uniform[:, 1:].logit()))


def log_mass(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log P(level) under a logistic distribution cut at the midpoints of `levels` levels, evenly spread over [-1, 1].

    `x` is rounded to the nearest level. With s the logistic function and a < b, s(b) - s(a) = s(b) s(-a) (1 - e^(a -
    b)), which is accurate in the tails.
    """
    number = ((x + 1) * ((levels - 1) / 2)).round()
    level, half = number * (2 / (levels - 1)) - 1, 1 / (levels - 1)
    inverse = torch.exp(-log_scale)
    upper, lower = (level + half - mean) * inverse, (level - half - mean) * inverse
    log_upper = F.logsigmoid(upper)  # log P(at most this level)
    log_lower = F.logsigmoid(-lower)  # log P(at least this level)
    between = log_upper + log_lower + torch.log(-torch.expm1(-2 * half * inverse))
    return torch.where(number == 0, log_upper, torch.where(number == levels - 1, log_lower, between))
