"""Random gains of frequency bands, as in adaptive discriminator augmentation (Karras et al., 2020, appendix B).

N batch, C channels, H W image.
"""

import torch
from torch import Tensor

from transgan.augmentation.conversions import at_least_float32, uniform_to_normal
from transgan.augmentation.resampling import SYM2, along, smoothing


class BandGains:
    """Amplifies and damps octaves of the spectrum; images of a 1/f spectrum keep their power on average.

    Four bands: up to 1/8 of the highest frequency, then up to 1/4, 1/2 and all of it. For each in turn: with the
    probability, its gain is 2^n and all gains are divided by what that adds to the power. Along rows and columns.

    Args:
        probability: of each band, times strength.
        std: n ~ N(0, std^2).
    """

    num_random = 8

    def __init__(self, probability: float = 1.0, std: float = 1.0):
        self.probability, self.std = probability, std

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        images = at_least_float32(images)
        on = random[:, 4:] < strength * self.probability
        gains = self.gains(random[:, :4], on).to(images.dtype)
        gains = gains[:, :, None, None]
        rows, columns = ((gains * bands(side, images)).sum(1, keepdim=True) for side in images.shape[2:])
        return torch.where(on.any(1)[:, None, None, None], along(images, rows, columns), images)

    def gains(self, random: Tensor, on: Tensor) -> Tensor:
        """random and whether each band takes part, (N, 4) -> gain of each band, from low to high (N, 4)."""
        values = torch.exp2(uniform_to_normal(random) * self.std * on)
        gains = torch.ones_like(values)
        for band in range(4):
            power = 10 / 13 if band == 0 else 1 / 13  # a band's share of a natural image's
            value = values[:, band, None]
            scale = (1 + power * (value.square() - 1)).rsqrt()
            gains = gains * scale * torch.cat([value if k == band else torch.ones_like(value) for k in range(4)], 1)
        return gains


def bands(side: int, like: Tensor) -> Tensor:
    """(4, side, side): filters that leave one band, from low to high; their sum is the identity."""
    lows = [torch.eye(side, device=like.device, dtype=like.dtype)]
    for step in (1, 2, 4):
        lows.append(along(lows[-1][None, None], smoothing(side, SYM2, step, like), lows[0])[0, 0])
    return torch.stack([lows[3], lows[2] - lows[3], lows[1] - lows[2], lows[0] - lows[1]])
