"""Geometry as in adaptive discriminator augmentation (Karras et al., 2020, appendix B).

N batch, C channels, H W image.
"""

import math

import torch
from torch import Tensor

from transgan.augmentation.conversions import at_least_float32, uniform_to_normal
from transgan.augmentation.resampling import SYM6, along, doubling, mirrored


def sample(images: Tensor, position: Tensor) -> Tensor:
    """images (N, C, H, W) at position (N, 2, H', W'), its x and y in pixels from the first one -> (N, C, H', W').

    Bilinear in an image twice as fine, which keeps pixels that land on pixels as they are, and others sharp. Gathers
    and products only: `grid_sample` has a second derivative in new versions of PyTorch alone.
    """
    n, channels, height, width = images.shape
    fine = along(images, doubling(height, SYM6, images), doubling(width, SYM6, images))
    height, width = fine.shape[2:]
    position = 2 * position
    corner = position.floor()
    right, below = (position - corner).to(fine.dtype).unsqueeze(2).unbind(1)  # (N, 1, H', W')
    (x, y), fine = corner.long().unbind(1), fine.flatten(2)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        index = mirrored(rows, height) * width + mirrored(columns, width)
        found = fine.gather(2, index.flatten(1).unsqueeze(1).expand(-1, channels, -1))
        return found.view(n, channels, *index.shape[1:])

    above = at(y, x) * (1 - right) + at(y, x + 1) * right
    return above * (1 - below) + (at(y + 1, x) * (1 - right) + at(y + 1, x + 1) * right) * below


class Geometry:
    """Flips, turns, shifts and stretches, in the paper's order, each on some of the images, all in one resampling.

    Mirrored where they reach beyond the image. The paper filters the result by a wavelet on its way back from twice
    the size; here the pixels are taken from the fine image as they are, so that shrinking aliases a little.

    Args:
        xflip, rotate90, xint, scale, rotate, aniso, xfrac: probability of each, times strength; of being turned at
            all, since there are two turns, before and after the stretch. A flip is none half of the time and a
            quarter turn none a quarter of it.
        xint_max: shift by whole pixels, up to this share of the side.
        scale_std: enlarged by 2^n, n ~ N(0, std^2).
        rotate_max: turned by U(-m, m) half turns.
        aniso_std: 2^n times as wide and 2^-n times as high.
        xfrac_std: shift by N(0, std^2) sides.
    """

    num_random = 18

    def __init__(
        self,
        xflip: float = 1.0,
        rotate90: float = 1.0,
        xint: float = 1.0,
        scale: float = 1.0,
        rotate: float = 1.0,
        aniso: float = 1.0,
        xfrac: float = 1.0,
        xint_max: float = 0.125,
        scale_std: float = 0.2,
        rotate_max: float = 1.0,
        aniso_std: float = 0.2,
        xfrac_std: float = 0.125,
    ):
        self.xflip, self.rotate90, self.xint, self.scale = xflip, rotate90, xint, scale
        self.rotate, self.aniso, self.xfrac = rotate, aniso, xfrac
        self.xint_max, self.scale_std, self.rotate_max = xint_max, scale_std, rotate_max
        self.aniso_std, self.xfrac_std = aniso_std, xfrac_std

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        images = at_least_float32(images)
        x_axis, y_axis, origin, touched = self.axes(random, strength, *images.shape[2:])
        height, width = images.shape[2:]
        x, y = (torch.arange(side, device=random.device) - (side - 1) / 2 for side in (width, height))
        middle = torch.stack([-x[0], -y[0]])[:, None, None]
        x_axis, y_axis, origin = (vector[:, :, None, None] for vector in (x_axis, y_axis, origin))
        position = x_axis * x + y_axis * y[:, None] + origin + middle  # (N, 2, H, W)
        return torch.where(touched[:, :, None, None], sample(images, position), images)

    def axes(self, random: Tensor, strength: Tensor | float, height: int, width: int) -> tuple[Tensor, ...]:
        """Where pixel (x, y) of the output, from the middle, lies in the image: x * x_axis + y * y_axis + origin.

        The inverse of all operations, found by applying the inverse of each, in the same order, to the axes. Without
        matrix products, which tensor cores may round.

        Returns:
            x_axis, y_axis, origin (N, 2), and (N, 1), whether there is any operation.
        """
        turned = 1 - (1 - strength * self.rotate) ** 0.5  # twice: together as likely as one of strength * rotate
        probabilities = [strength * p for p in (self.xflip, self.rotate90, self.xint, self.scale)]
        probabilities += [turned, strength * self.aniso, turned, strength * self.xfrac]
        on = [random[:, 10 + k, None] < probability for k, probability in enumerate(probabilities)]
        random = random[:, :10, None]  # (N, 10, 1)
        one, zero = torch.ones_like(random[:, 0]), torch.zeros_like(random[:, 0])
        x_axis, y_axis, origin = torch.cat([one, zero], 1), torch.cat([zero, one], 1), torch.cat([zero, zero], 1)

        x_axis = torch.where(on[0] & (random[:, 0] < 0.5), -x_axis, x_axis)  # xflip
        quarters = (4 * random[:, 1]).floor() * on[1]  # rotate90, exact
        cos, sin = (0.0 + (quarters == k) - 1.0 * (quarters == k + 2) for k in (0, 1))
        x_axis, y_axis = x_axis * cos + y_axis * sin, y_axis * cos - x_axis * sin
        for axis, side, k in ((x_axis, width, 2), (y_axis, height, 3)):  # xint
            origin = origin - axis * ((2 * random[:, k] - 1) * self.xint_max * side * on[2]).round()
        smaller = torch.exp2(-uniform_to_normal(random[:, 4]) * self.scale_std * on[3])  # scale
        x_axis, y_axis = x_axis * smaller, y_axis * smaller
        x_axis, y_axis = self.turn(x_axis, y_axis, random[:, 5], on[4])  # before the stretch
        narrower = torch.exp2(-uniform_to_normal(random[:, 6]) * self.aniso_std * on[5])  # aniso
        x_axis, y_axis = x_axis * narrower, y_axis / narrower
        x_axis, y_axis = self.turn(x_axis, y_axis, random[:, 7], on[6])  # after it
        for axis, side, k in ((x_axis, width, 8), (y_axis, height, 9)):  # xfrac
            origin = origin - axis * uniform_to_normal(random[:, k]) * self.xfrac_std * side * on[7]
        return x_axis, y_axis, origin, torch.stack(on).any(0)

    def turn(self, x_axis: Tensor, y_axis: Tensor, random: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        angle = (2 * random - 1) * self.rotate_max * math.pi * on
        return x_axis * angle.cos() + y_axis * angle.sin(), y_axis * angle.cos() - x_axis * angle.sin()
