"""Whether an exported program makes the images that PyTorch makes."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from transgan.errors import UserError
from transgan.exporting.network import ImagesFromLatents, Inputs
from transgan.sampling import LatentSampler

SEEDS = list(range(64))
BATCHES = (1, 7)
ALLOWED = {"fp32": 1e-5, "fp16": 0.05}  # of an image's values in [-1, 1]
ROUNDINGS = 4  # or so many times as far as PyTorch's own images in float32 are from those in float64

Program = Callable[[Inputs], tuple[Tensor, Tensor]]  # inputs -> images as uint8, and as float32


@dataclass(frozen=True)
class Difference:
    """Between two programs: the largest of float images in [-1, 1], the largest of uint8 images in levels, and the
    share of the uint8 values that are not the same."""

    largest: float
    levels: int
    share: float
    allowed: float

    @property
    def said(self) -> str:
        same = "no uint8 value differs" if not self.levels else (
            f"{100 * self.share:.2g} % of the uint8 values differ, by {self.levels} at most"
        )  # fmt: skip
        return f"largest difference {self.largest:.1e} in [-1, 1], allowed {self.allowed:.0e}; {same}"


def checked(
    program: Program, network: ImagesFromLatents, sampler: LatentSampler, name: str, precision: str = "fp32"
) -> Difference:
    """The difference from PyTorch's images on 64 seeds, in batches of 1 and of 7, with psi 1 and 0.7.

    The uint8 images are compared with those of `sampler.images_of`, as `transgan sample` draws them. Raises UserError
    where it is too large.
    """
    latent, labels = sampler.latents_of(SEEDS), sampler.labels_of(SEEDS)
    largest, levels, differing, count = 0.0, 0, 0, 0
    allowed = ALLOWED[precision]
    exact = deepcopy(network).double()
    for psi in (1.0, 0.7) if network.has_psi else (1.0,):
        with torch.no_grad():
            floats = network(**network.arranged(latent, labels, psi))[1]
            wide = exact(**network.arranged(latent.double(), labels, psi))[1]
        allowed = max(allowed, ROUNDINGS * (floats - wide).abs().max().item())
        expected = sampler.images_of(latent, labels, psi)
        for size in BATCHES:
            images, own = in_batches(program, network, latent, labels, psi, size)
            apart = (images.int() - expected.int()).abs()
            if not own.isfinite().all():
                raise UserError(f"{name}: the exported program makes images that are not finite; nothing was written")
            largest = max(largest, (own - floats).abs().max().item())
            levels, differing = max(levels, int(apart.max())), differing + int((apart > 0).sum())
            count += apart.numel()
    found = Difference(largest, levels, differing / count, allowed)
    if found.largest > found.allowed or levels > 1 + 255 * found.allowed:
        raise UserError(f"{name}: the exported program makes other images ({found.said}); nothing was written")
    return found


def in_batches(
    program: Program, network: ImagesFromLatents, latent: Tensor, labels: Tensor | None, psi: float, size: int
) -> tuple[Tensor, Tensor]:
    parts: Sequence[slice] = [slice(i, i + size) for i in range(0, len(latent), size)]
    found = [program(network.arranged(latent[part], None if labels is None else labels[part], psi)) for part in parts]
    images, floats = zip(*found, strict=True)
    return torch.cat(images), torch.cat(floats)
