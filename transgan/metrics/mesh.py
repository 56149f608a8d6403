"""The grid that a generator prints: how far the frequencies of its patches stand out of the spectrum of its images."""

from typing import Any

import torch
from torch import Tensor

from transgan.metrics.image_metric import ImageMetric
from transgan.metrics.report import Report

CHUNK = 2**17  # pixels that are transformed at a time
FLOOR = 1.0  # deviation of white noise that is added, in grey levels: nobody sees a fainter grid, not in smooth images


def autocorrelation(images: Tensor) -> Tensor:
    """Sums of the products of all pixels with those (i, j) further on, cyclically: uint8 N x C x H x W -> float64 H x W

    By the Fourier transform (Wiener and Khinchin), and yet whole numbers, exactly: its rounding is undone.
    """
    height, width = images.shape[-2:]
    total = torch.zeros(height, width, dtype=torch.float64, device=images.device)
    for chunk in images.flatten(0, 1).split(max(1, CHUNK // (height * width))) if len(images) else ():
        parts = torch.view_as_real(torch.fft.rfft2(chunk.double()))
        power = parts.mul_(parts).sum(0).sum(-1)  # in this order: five times as fast as both at once
        total += torch.fft.irfft2(power, s=(height, width)).round()
    return total


def excess(power: Tensor) -> Tensor:
    """log of a power spectrum H x W over what the frequencies next to each let expect, their geometric mean.

    On the axes, where the edges of images leak to, those next to it are on the same axis.
    """
    log = power.log()
    along_y, along_x = ((log.roll(1, dim) + log.roll(-1, dim)) / 2 for dim in (0, 1))
    expected = (along_x + along_y) / 2
    expected[0], expected[:, 0] = along_x[0], along_y[:, 0]
    return log - expected


def periods(height: int, width: int) -> list[int]:
    """The sizes that patches of such images can have: 2 or more pixels, and twice or more in either side."""
    return [p for p in range(2, min(height, width) // 2 + 1) if height % p == 0 and width % p == 0]


def mesh(fake: Tensor, real: Tensor) -> dict[int, float]:
    """period -> how much further its frequencies stand out of mean power spectra `fake` than of `real`, both H x W.

    The frequencies of a period p are the multiples of 1 / p in both directions, harmonics included; of the ratios there
    the geometric mean is taken. So a grid of period 8 shows at 4 and 2 as well, and most where images have least power.
    """
    height, width = real.shape
    floor = height * width * FLOOR**2
    ratios = excess(fake + floor) - excess(real + floor)
    return {p: ratios[:: height // p, :: width // p].flatten()[1:].mean().exp().item() for p in periods(height, width)}


class Mesh(ImageMetric):
    """`mesh` of generated images, the largest of all periods: 1 is as in real images, from 4 on a grid is visible.

    Blur, noise and compression leave it near 1, and so does a grid that the real images have as well. Reported as mesh,
    with every period among the details, and for held-out real images as mesh_heldout.

    Raises ValueError at compute() without images on a side, and for images of a size that no period divides.
    """

    higher_is_better = False
    version = 1

    def __init__(self, reset_real_features: bool = True, **kwargs: Any):
        super().__init__(reset_real_features=reset_real_features, **kwargs)
        for name in ("real", "heldout", "fake"):  # H x W once there are images
            self.add_state(f"{name}_products", torch.zeros(1, 0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images: Tensor, real: bool, heldout: bool = False) -> None:
        """images uint8 N x C x H x W; `heldout`: of real ones that were not trained on"""
        name, images = self.begin(images, real, heldout)
        state = f"{name}_products"
        before, products = getattr(self, state), autocorrelation(images).to(self.device)
        setattr(self, state, before + products if before.numel() else products)

    def compute(self) -> Tensor:
        """The largest of all periods."""
        return self.scalar(max(self.by_period("fake").values()))

    def by_period(self, name: str) -> dict[int, float]:
        """Of the images of a side against the real ones."""
        _, height, width = self.alike(name)
        if not periods(height, width):
            raise ValueError(f"images of {width} x {height} px have no mesh: no period divides both sides")
        return mesh(self.spectrum(name), self.spectrum("real"))

    def spectrum(self, name: str) -> Tensor:
        """Mean power spectrum of the images of a side, float64 H x W."""
        channels = getattr(self, f"{name}_shape")[0]
        products = getattr(self, f"{name}_products") / (getattr(self, f"{name}_count") * channels)
        return torch.fft.fft2(products).real.clamp_min(0)

    def report(self) -> Report:
        report = Report({})
        _, height, width = self.alike("fake")
        if not periods(height, width):
            report.flags["no_mesh"] = f"mesh is left out: no period divides images of {width} x {height} px"
            return report
        for name, ending in self.compared().items():
            found = self.by_period(name)
            report.of_images[f"mesh{ending}"] = max(found.values())
            report.details[f"mesh{ending}_by_period"] = found
        return report
