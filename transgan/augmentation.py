"""Differentiable augmentation of what the discriminator sees, as a pure function of images and uniform numbers.

An augmentation has `num_draws`, the uniform numbers in [0, 1) it needs per image, and is called with (images, draws,
strength). Handing the numbers in keeps every step a function of (seed, step), lets a compiled graph contain the
augmentation, and gives the same result for any number of processes.

N batch, C channels, H W image.
"""

import torch
from torch import Tensor


class DiffAugment:
    """Colour, translation and cutout (Zhao et al., 2020), each applied to a share `strength` of the images.

    Args:
        brightness: added to all channels, U(-b, b), in units of the [-1, 1] range.
        saturation: scale around the mean of the channels, U(1 - s, 1 + s).
        contrast: scale around the mean of the image, U(1 - c, 1 + c).
        translation: whole pixels, up to this share of the side; what comes in is 0.
        cutout: side of a square set to 0, as a share of the image's side.
    """

    num_draws = 10

    def __init__(self, brightness: float, saturation: float, contrast: float, translation: float, cutout: float):
        self.brightness, self.saturation, self.contrast = brightness, saturation, contrast
        self.translation, self.cutout = translation, cutout

    def __call__(self, images: Tensor, draws: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), draws (N, num_draws), strength in [0, 1] -> (N, C, H, W)."""
        images = images.float()
        on = (draws[:, 7:] < strength).float()                                     # colour, translation, cutout
        draw = draws[:, :7, None, None, None]
        if self.brightness or self.saturation or self.contrast:
            images = self.colour(images, (2 * draw[:, :3] - 1) * on[:, :1, None, None, None])
        if self.translation:
            images = self.translate(images, draws[:, 3:5], on[:, 1:2])
        if self.cutout:
            images = self.cut_out(images, draw[:, 5:7], on[:, 2, None, None, None])
        return images

    def colour(self, images: Tensor, signed: Tensor) -> Tensor:                    # (N, 3, 1, 1, 1) in [-1, 1]
        images = images + self.brightness * signed[:, 0]
        mean = images.mean(1, keepdim=True)
        images = mean + (images - mean) * (1 + self.saturation * signed[:, 1])
        mean = images.mean((1, 2, 3), keepdim=True)
        return mean + (images - mean) * (1 + self.contrast * signed[:, 2])

    def translate(self, images: Tensor, draws: Tensor, on: Tensor) -> Tensor:
        """Row and column shifts as products with shifted identity matrices: exact, and cheap to differentiate twice."""
        for axis in (0, 1):
            side = images.shape[2 + axis]
            reach = int(side * self.translation + 0.5)
            shift = ((draws[:, axis] * (2 * reach + 1)).floor() - reach) * on[:, 0]            # (N,)
            place = torch.arange(side, device=images.device)
            move = (place[:, None] - place[None] == shift[:, None, None]).to(images.dtype)     # (N, side, side)
            move = move.unsqueeze(1)
            images = move @ images if axis == 0 else images @ move.mT
        return images

    def cut_out(self, images: Tensor, centre: Tensor, on: Tensor) -> Tensor:
        inside = on
        for axis, shape in ((0, (1, 1, -1, 1)), (1, (1, 1, 1, -1))):
            side = images.shape[2 + axis]
            size = int(side * self.cutout + 0.5)
            place = torch.arange(side, device=images.device, dtype=images.dtype).view(shape)
            start = (centre[:, axis] * (side + 1 - size % 2)).floor() - size // 2  # the square may hang over the edge
            inside = inside * ((place >= start) & (place < start + size))
        return images * (1 - inside)


class NoAugmentation:
    """Images as they are."""

    num_draws = 0

    def __call__(self, images: Tensor, draws: Tensor, strength: Tensor | float) -> Tensor:
        return images
