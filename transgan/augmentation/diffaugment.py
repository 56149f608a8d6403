"""DiffAugment (Zhao et al., 2020), complete and in its parts: colour, translation, cutout.

The parts are for other orders and probabilities, such as those of TransGAN's released code, inside an `Compose`.

N batch, C channels, H W image.
"""

import torch
from torch import Tensor

from transgan.augmentation.conversions import at_least_float32


def jitter(images: Tensor, random: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    """Brightness, then saturation about the mean of the channels, then contrast about the image's; random (N, 3)."""
    signed = 2 * random[:, :, None, None, None] - 1  # (N, 3, 1, 1, 1) in [-1, 1]
    images = images + brightness * signed[:, 0]
    mean = images.mean(1, keepdim=True)
    images = mean + (images - mean) * (1 + saturation * signed[:, 1])
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + contrast * signed[:, 2])


def translate(images: Tensor, random: Tensor, translation: float) -> Tensor:
    """Row and column shifts of images (N, C, H, W) by whole pixels; what comes in is 0; random (N, 2)."""
    origins, inside = [], []
    for axis in (0, 1):
        side = images.shape[2 + axis]
        reach = int(side * translation + 0.5)
        shift = (random[:, axis] * (2 * reach + 1)).floor() - reach  # (N,)
        origin = torch.arange(side, device=images.device) - shift[:, None].long()  # (N, side)
        inside.append((origin >= 0) & (origin < side))
        origins.append(origin.clamp(0, side - 1))
    pixel = origins[0][:, :, None] * images.shape[3] + origins[1][:, None]  # (N, H, W)
    moved = images.flatten(2).gather(2, pixel.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return moved.view_as(images) * (inside[0][:, None, :, None] & inside[1][:, None, None])


def cut_out(images: Tensor, random: Tensor, *sizes: Tensor | int) -> Tensor:
    """A rectangle set to 0, its height and width whole numbers, of all images or (N, 1, 1, 1); random (N, 2).

    Its centre is anywhere in the image, so that it may hang over the edge.
    """
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    for axis, size, shape in ((0, sizes[0], (-1, 1)), (1, sizes[1], (1, -1))):
        side = images.shape[2 + axis]
        position = torch.arange(side, device=images.device).view(shape)
        centre = (random[:, axis, None, None, None] * (side + 1 - size % 2)).floor()
        start = centre - size // 2
        inside = inside & (position >= start) & (position < start + size)
    return images.masked_fill(inside, 0)


def size_of(side: int, share: float) -> int:
    return int(side * share + 0.5)


class DiffAugment:
    """Colour, translation and cutout in the paper's order, each applied to a share `strength` of the images.

    Args:
        brightness: added to all channels, U(-b, b), in units of the [-1, 1] range.
        saturation: scale around the mean of the channels, U(1 - s, 1 + s).
        contrast: scale around the mean of the image, U(1 - c, 1 + c).
        translation: whole pixels, up to this share of the side; what comes in is 0.
        cutout: side of a square set to 0, as a share of the image's side.
    """

    num_random = 10

    def __init__(
        self,
        brightness: float = 0.5,
        saturation: float = 1.0,
        contrast: float = 0.5,
        translation: float = 0.125,
        cutout: float = 0.5,
    ):
        self.brightness, self.saturation, self.contrast = brightness, saturation, contrast
        self.translation, self.cutout = translation, cutout

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, C, H, W), random (N, num_random), strength in [0, 1] -> (N, C, H, W)."""
        images = at_least_float32(images)
        on = (random[:, 7:] < strength)[:, :, None, None, None]  # colour, translation, cutout
        if self.brightness or self.saturation or self.contrast:
            changed = jitter(images, random[:, :3], self.brightness, self.saturation, self.contrast)
            images = torch.where(on[:, 0], changed, images)
        if self.translation:
            images = torch.where(on[:, 1], translate(images, random[:, 3:5], self.translation), images)
        if self.cutout:
            sizes = (size_of(side, self.cutout) for side in images.shape[2:])
            images = torch.where(on[:, 2], cut_out(images, random[:, 5:7], *sizes), images)
        return images


class Jitter:
    """DiffAugment's colour, alone: see there."""

    num_random = 4

    def __init__(
        self, brightness: float = 0.5, saturation: float = 1.0, contrast: float = 0.5, probability: float = 1.0
    ):
        self.brightness, self.saturation, self.contrast = brightness, saturation, contrast
        self.probability = probability

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        images = at_least_float32(images)
        on = random[:, 3, None, None, None] < strength * self.probability
        changed = jitter(images, random[:, :3], self.brightness, self.saturation, self.contrast)
        return torch.where(on, changed, images)


class Translation:
    """DiffAugment's translation, alone: see there."""

    num_random = 3

    def __init__(self, translation: float = 0.125, probability: float = 1.0):
        self.translation, self.probability = translation, probability

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        images = at_least_float32(images)
        on = random[:, 2, None, None, None] < strength * self.probability
        return torch.where(on, translate(images, random, self.translation), images)


class Cutout:
    """A rectangle set to 0; as large in both directions as DiffAugment's, or of sides drawn one by one.

    Args:
        smallest, largest: the rectangle's sides, as shares of the image's; all whole pixels between them are equally
            likely, and height and width are independent.
        probability: of an image having one, times strength.
        batch: None: every image decides for itself. A number: so many consecutive images all have one or none, of one
            size, at positions of their own: the first one's random numbers decide, which `of_batch` copies to the
            others. Real images and fakes decide for themselves, and so does every process, as in the released TransGAN;
            such a step is therefore not the same for another number of processes.
    """

    num_random = 5

    def __init__(self, smallest: float = 0.5, largest: float = 0.5, probability: float = 1.0, batch: int | None = None):
        if not 0 <= smallest <= largest <= 1:
            raise ValueError(f"a cutout's sides must be 0 <= smallest <= largest <= 1, not {smallest} and {largest}")
        if batch is not None and batch < 1:
            raise ValueError(f"a cutout's batch must be at least 1 image, or null for each by itself, not {batch}")
        self.smallest, self.largest, self.probability, self.batch = smallest, largest, probability, batch

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        images = at_least_float32(images)
        shared = random[:, 2:, None, None, None]  # height, width, on
        sizes = []
        for axis in (0, 1):
            low, high = (size_of(images.shape[2 + axis], share) for share in (self.smallest, self.largest))
            sizes.append(low + (shared[:, axis] * (high - low + 1)).floor())
        on = shared[:, 2] < strength * self.probability
        return torch.where(on, cut_out(images, random[:, :2], *sizes), images)

    def of_batch(self, random: Tensor) -> Tensor:
        """(N, num_random) of a whole batch, with those of the first image of every `batch` for what they share."""
        if self.batch is None:
            return random
        first = torch.arange(len(random), device=random.device) // self.batch * self.batch
        return torch.cat([random[:, :2], random[first, 2:]], 1)
