"""Colour as in adaptive discriminator augmentation (Karras et al., 2020, appendix B).

N batch, C channels, H W image.
"""

import logging
import math

import torch
from torch import Tensor

from transgan.augmentation.conversions import at_least_float32, uniform_to_normal

logger = logging.getLogger(__name__)


class Colour:
    """Brightness, contrast, luma flip, hue and saturation, in this order, each on some of the images.

    All of them leave the grey axis v = (1, 1, 1) / sqrt(3) and the plane across it to themselves. So their product, in
    the paper a 4x4 matrix, takes an image apart into the mean of its channels and the rest, scales the one, turns and
    scales the other:

        c f (mean + b) + c s (cos(t) rest + sin(t) v x rest)

    Args:
        brightness, contrast, lumaflip, hue, saturation: probability of each, times strength.
        brightness_std: b ~ N(0, std^2), in units of the [-1, 1] range.
        contrast_std: c = 2^n, n ~ N(0, std^2).
        hue_max: turn t ~ U(-m, m), in half turns. The luma flip f is -1 half of the time.
        saturation_std: s = 2^n, n ~ N(0, std^2).
        in_chans: 3, or 1 for grey images, on which hue and saturation mean nothing and are left out.
    """

    num_random = 10

    def __init__(
        self,
        brightness: float = 1.0,
        contrast: float = 1.0,
        lumaflip: float = 1.0,
        hue: float = 1.0,
        saturation: float = 1.0,
        brightness_std: float = 0.2,
        contrast_std: float = 0.5,
        hue_max: float = 1.0,
        saturation_std: float = 1.0,
        in_chans: int = 3,
    ):
        if in_chans not in (1, 3):
            raise ValueError(f"colours are those of images with 1 or 3 channels, not {in_chans}")
        if in_chans == 1 and (hue or saturation):
            logger.info("grey images have no hue and no saturation: augmentation leaves these two out")
        self.brightness, self.contrast, self.lumaflip = brightness, contrast, lumaflip
        self.hue, self.saturation = hue, saturation
        self.brightness_std, self.contrast_std, self.saturation_std = brightness_std, contrast_std, saturation_std
        self.hue_max, self.in_chans = hue_max, in_chans

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        images = at_least_float32(images)
        if images.shape[1] != self.in_chans:
            raise ValueError(f"images with {images.shape[1]} channels in an augmentation with in_chans={self.in_chans}")
        random = random[:, :, None, None, None]  # values, then switches
        on = [
            random[:, 5 + k] < strength * probability
            for k, probability in enumerate((self.brightness, self.contrast, self.lumaflip, self.hue, self.saturation))
        ]
        offset = uniform_to_normal(random[:, 0]) * self.brightness_std * on[0]
        contrast = torch.exp2(uniform_to_normal(random[:, 1]) * self.contrast_std * on[1])
        flip = 1 - 2 * ((random[:, 2] < 0.5) & on[2]).to(random.dtype)
        turn = (2 * random[:, 3] - 1) * self.hue_max * math.pi * on[3]
        saturation = torch.exp2(uniform_to_normal(random[:, 4]) * self.saturation_std * on[4])

        mean = images.mean(1, keepdim=True)
        out = contrast * flip * (mean + offset)
        if self.in_chans == 3:
            rest = images - mean
            across = (rest.roll(1, 1) - rest.roll(-1, 1)) / math.sqrt(3)  # v x rest
            out = out + contrast * saturation * (turn.cos() * rest + turn.sin() * across)
            touched = on[0] | on[1] | on[2] | on[3] | on[4]
        else:
            touched = on[0] | on[1] | on[2]
        return torch.where(touched, out, images)
