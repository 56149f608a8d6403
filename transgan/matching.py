"""What pulls generated images towards real ones without a discriminator: distances between the two of a batch.

A Transformer of few steps learns the layout of a class late and few of its variants. A distance between distributions
that a batch can estimate teaches both from the first step on, at the cost of some averages. It enters the generator's
step alone: the discriminator still sees each image by itself.

N batch, C channels, H W image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from transgan.gathering import gathered

Distances = Callable[[Tensor, Tensor, Tensor | float], Tensor]


class EnergyDistance:
    """2 E d(x, y) - E d(x, x') - E d(y, y') of real images x and generated ones y (Szekely and Rizzo, 2013).

    d is the Euclidean distance of the images averaged down to `sizes` pixels, divided by the square root of their
    number and averaged over the sizes; images of two classes are `class_distance` apart besides. It is zero only where
    the two distributions of images and classes agree, and its last term rewards variety within a class (cf. Cramer GAN,
    Bellemare et al., 2017; generative moment matching, Li et al., 2015). Pairs of an image with itself are left out, so
    that its gradient is unbiased in any batch of two or more. `num_real` more real images than those of the batch are
    drawn for it, which makes the gradient less noisy. `weight`, beside the loss, is a number or a schedule over images
    shown.
    """

    def __init__(
        self, weight: Any = 1.0, sizes: Sequence[int] = (4, 8), class_distance: float = 1.0, num_real: int = 0
    ):  # fmt: skip
        if not sizes or min(sizes) < 1:
            raise ValueError(f"matching.sizes={list(sizes)}: give at least one side in pixels, such as [4, 8]")
        if class_distance < 0:
            raise ValueError(f"matching.class_distance must not be negative, as {class_distance} is")
        if num_real < 0:
            raise ValueError(f"matching.num_real must not be negative, as {num_real} is: it counts images")
        self.weight, self.num_real = weight, num_real
        self.sizes, self.class_distance = tuple(sizes), class_distance

    def __call__(
        self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> Tensor:  # fmt: skip
        """real (M, C, H, W), fake (N, C, H, W) in [-1, 1], their labels or None -> a scalar, in units of the images.

        Of several processes it is that of all their images. Half precision is widened, inside autocast too: the
        distance of two images that are alike would be lost in it.
        """
        wide = torch.promote_types(torch.promote_types(real.dtype, fake.dtype), torch.float32)
        kind = "cpu" if fake.is_meta else fake.device.type
        distances = by_differences if torch.is_autocast_enabled(kind) else by_products
        with torch.autocast(kind, enabled=False):
            return self.of_wide(real.to(wide), fake.to(wide), real_labels, fake_labels, distances)

    def of_wide(
        self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None, distances: Distances
    ) -> Tensor:  # fmt: skip
        real_labels, fake_labels = (None if each is None else gathered(each) for each in (real_labels, fake_labels))
        images = [(gathered(averaged(real, size)), gathered(averaged(fake, size))) for size in self.sizes]
        if min(map(len, images[0])) < 2:
            return fake.new_zeros(())
        between, within, real_within = (
            self.apart(a, b, fake) for a, b in ((real_labels, fake_labels), (fake_labels,) * 2, (real_labels,) * 2)
        )
        total = fake.new_zeros(())
        for x, y in images:
            each = mean_of_pairs(distances(y, y, within)) + mean_of_pairs(distances(x, x, real_within))
            total = total + 2 * distances(x, y, between).mean() - each
        return total / len(self.sizes)

    def apart(self, a: Tensor | None, b: Tensor | None, like: Tensor) -> Tensor | float:
        """The squared distance between the classes of each pair (N, M)."""
        if a is None or b is None or not self.class_distance:
            return 0.0
        return (a[:, None] != b).to(like.dtype) * self.class_distance**2


def mean_of_pairs(found: Tensor) -> Tensor:
    """Of the distances (N, N) of all pairs of different images."""
    n = len(found)
    return (found.sum() - found.diagonal().sum()) / (n * (n - 1))


def averaged(images: Tensor, size: int) -> Tensor:
    """(N, C, H, W) to (N, D), of images averaged down to at most size x size pixels, scaled to a norm of about 1."""
    if size < images.shape[-1]:
        images = F.adaptive_avg_pool2d(images, size)
    x = images.flatten(1)
    return x / x.shape[1] ** 0.5


def by_products(x: Tensor, y: Tensor, apart: Tensor | float) -> Tensor:
    """sqrt(|x_i - y_j|^2 + apart_ij): (N, D), (M, D) -> (N, M); smooth at 0."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return (squares.clamp(min=0) + apart + 1e-6).sqrt()


def by_differences(x: Tensor, y: Tensor, apart: Tensor | float) -> Tensor:
    """The same, several times as slow: the gradient of a product is half precision under autocast, and cancels."""
    squares = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    return (squares + apart + 1e-6).sqrt()
