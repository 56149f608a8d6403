"""A walk through the latents of several seeds that ends where it began, as the frames of a film."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from transgan.sampling.pixels import to_uint8
from transgan.sampling.sampler import Sampler
from transgan.sampling.truncation import mean_style


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """From latent a (Z,) to b along the arc between them: normal latents have about one length, and keep it
    (Shoemake, 1985; White, 2016)."""
    cosine = torch.nn.functional.cosine_similarity(a.double(), b.double(), 0).clamp(-1, 1).item()
    angle = math.acos(cosine)
    if math.sin(angle) < 1e-6:
        return a.lerp(b, share)
    return (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)


def closed(points: Tensor, frames: int, space: str) -> Tensor:
    """From each of the points (P, D) to the next, and from the last to the first: (P * frames, D).

    In space "z" along arcs, in "w" along straight lines. The point after the last one is the first again.
    """
    ends = points.roll(-1, 0)
    steps = [i / frames for i in range(frames)]
    if space == "w":
        return torch.cat(
            [torch.stack([a.lerp(b, share) for share in steps]) for a, b in zip(points, ends, strict=True)]
        )
    return torch.cat([torch.stack([slerp(a, b, share) for share in steps]) for a, b in zip(points, ends, strict=True)])


@torch.no_grad()
def walk(
    sampler: Any, seeds: list[int], labels: Tensor | None, frames: int, space: str, strength: float, batch_size: int
) -> Iterator[Tensor]:
    """The uint8 frames (n, C, H, W) of a closed walk, in batches.

    Args:
        sampler: with `latents_of` and `images_of`; for space "w", a network with `mapping` and `synthesis`.
        seeds: what the walk passes. labels: the class at each of them (P,), None without classes. In z the first one
            holds for all frames, since there is nothing between classes; in w each seed has its own.
        frames: from a seed to the next. strength: psi of a GAN, else the factor of the latents.

    Raises ValueError for a sampler that has no latents, or no styles.
    """
    require(sampler, space)
    latent = sampler.latents_of(seeds)
    if space == "z":
        scaled = not hasattr(sampler.network, "latent_dim")  # of a VAE and a flow the strength is of the latents
        path = closed(latent * strength if scaled else latent, frames, "z")
        more = () if scaled else (strength,)
        for i in range(0, len(path), batch_size):
            part = path[i : i + batch_size]
            yield sampler.at_once.of(len(part), partial(of_latents, sampler, part, labels, more))
        return
    network, labels = sampler.network, sampler.on_device(labels)
    latent = latent.to(sampler.device)
    styles = network.mapping(latent, labels)
    if strength != 1:
        styles = mean_style(network, latent, labels).lerp(styles, strength)
    path = closed(styles, frames, "w")
    for i in range(0, len(path), batch_size):
        part = path[i : i + batch_size]
        yield sampler.at_once.of(len(part), partial(of_styles, network, part))


def of_latents(
    sampler: Any, latents: Tensor, labels: Tensor | None, more: tuple[float, ...], part: list[int]
) -> Tensor:
    """The images of some of the latents, all of the first label."""
    images: Tensor = sampler.images_of(latents[part], None if labels is None else labels[:1].expand(len(part)), *more)
    return images


def of_styles(network: Any, styles: Tensor, part: list[int]) -> Tensor:
    """The images of some of the styles."""
    return to_uint8(network.synthesis(styles[part]))


def require(sampler: Sampler, space: str) -> None:
    """Raises ValueError where there is no such walk."""
    if not hasattr(sampler, "latents_of"):
        raise ValueError("a walk needs images that are functions of a latent, and this run makes them token by token")
    if space == "w" and not (hasattr(sampler.network, "mapping") and hasattr(sampler.network, "synthesis")):
        raise ValueError("space=w: this generator has no styles; leave it out")
