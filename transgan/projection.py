"""The nearest image that a generator makes to a photo: its latent or its style, found by optimisation.

As the projector of StyleGAN2 (Karras et al., 2020, appendix D) it begins where random latents are nearest, and changes
the style by Adam with a warm-up and a cosine to zero. As in Image2StyleGAN (Abdal et al., 2019) the pixels themselves
count, here at several scales; no perceptual network is needed, and no noise is added. Where D numbers make the image,
Adam alone is slow near the end, for some of them hardly change a pixel, so damped Gauss-Newton steps (Levenberg, 1944;
Marquardt, 1963) end it: D images beside the best one say where each number goes.

N batch, D width of a latent or style, C H W image, P = C H W values.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.sampling import LatentSampler
from transgan.sampling.pixels import to_float, to_uint8
from transgan.sampling.randomness import mix, seeded_normal
from transgan.sampling.truncation import mean_style, truncated

BATCH = 64  # images made at once where nothing is learned from them
NUDGE = 1e-3  # of a number, in units of its spread: how far it is moved to see what it does
DAMPINGS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # tried side by side, over the mean curvature
Said = Callable[[str], None]


class Space(Protocol):
    """Where the nearest image is looked for."""

    def vectors(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """The (N, D) of random latents (N, Z)."""
        ...

    def images(self, vectors: Tensor, labels: Tensor | None, psi: float = 1.0) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of (N, D), truncated by psi."""
        ...

    def pull(self, vectors: Tensor) -> Tensor:
        """How far each of (N, D) is from where training has been (N,); its square is added to the pixel error."""
        ...


class Latents:
    """Z: latents as in training, where nearly all lie near a sphere, to which they are softly pulled."""

    def __init__(self, network: nn.Module, weight: float = 1e-3) -> None:
        self.network, self.weight = network, weight

    def vectors(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        return latent

    def images(self, vectors: Tensor, labels: Tensor | None, psi: float = 1.0) -> Tensor:
        return truncated(self.network, vectors, labels, psi)

    def pull(self, vectors: Tensor) -> Tensor:
        return self.weight**0.5 * (vectors.square().mean(1).sqrt() - 1)


class Styles:
    """W: what the mapping makes of latents, which knows no sphere and reaches more images."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def vectors(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        return self.network.mapping(latent, labels)

    def images(self, vectors: Tensor, labels: Tensor | None, psi: float = 1.0) -> Tensor:
        if psi != 1:
            latent = vectors.new_zeros(len(vectors), self.network.latent_dim)
            vectors = mean_style(self.network, latent, labels).lerp(vectors, psi)
        return self.network.synthesis(vectors)

    def pull(self, vectors: Tensor) -> Tensor:
        return vectors.new_zeros(len(vectors))


def has_styles(network: nn.Module) -> bool:
    return hasattr(network, "mapping") and hasattr(network, "synthesis")


def space_of(network: nn.Module, name: str | None) -> Space:
    """z, w, or w where there is one. Raises ValueError for w without one."""
    if name == "w" and not has_styles(network):
        raise ValueError("space=w: this generator has no mapping to styles; give space=z")
    return Styles(network) if name == "w" or name is None and has_styles(network) else Latents(network)


@dataclass(frozen=True)
class Projected:
    """vector: (1, D) float32. label: None without classes. image, random: uint8 (1, C, H, W), the nearest one and the
    nearest of random latents. rmse, random_rmse: their distances to the photo, in levels of 255. space: z or w."""

    space: str
    vector: Tensor
    label: int | None
    image: Tensor
    rmse: float
    random: Tensor
    random_rmse: float
    mean_rmse: float


@torch.no_grad()
def images_of(sampler: LatentSampler, space: Space, vector: Tensor, label: int | None, psi: float = 1.0) -> Tensor:
    """uint8 images (1, C, H, W) of a vector (1, D)."""
    labels = None if label is None else torch.tensor([label], device=sampler.device)
    return to_uint8(space.images(vector.to(sampler.device), labels, psi)).cpu()


def project(
    sampler: LatentSampler,
    photo: Tensor,
    space: Space,
    label: int | None = None,
    candidates: int = 1000,
    starts: int = 8,
    steps: int = 100,
    lr: float = 0.1,
    newton: int = 30,
    seed: int = 0,
    say: Said = lambda text: None,
) -> Projected:
    """The nearest image to a photo, uint8 (1, C, H, W). The network's weights are frozen.

    label: of all candidates; None: candidate i is of class i mod K. lr: of Adam, in units of the vectors' spread.
    """
    sampler.network.requires_grad_(False)
    count = candidates if label is not None else max(candidates, sampler.num_classes)
    labels = torch.arange(count) % sampler.num_classes if sampler.num_classes else None
    if label is not None and labels is not None:
        labels = torch.full_like(labels, label)
    labels = sampler.on_device(labels)
    latent = seeded_normal([mix(seed, 3, i) for i in range(count)], sampler.network.latent_dim).to(sampler.device)
    photo, target = photo.cpu(), to_float(photo.to(sampler.device))

    vectors, errors, total, nearest = [], [], torch.zeros(photo.shape, dtype=torch.float64), None
    with torch.no_grad():
        for i in range(0, count, BATCH):
            say(f"{i:,} of {count:,} random images")
            own = None if labels is None else labels[i : i + BATCH]
            vectors.append(space.vectors(latent[i : i + BATCH], own))
            made = to_uint8(space.images(vectors[-1], own)).cpu()
            total += made.double().sum(0, keepdim=True)
            errors.append(rmse(made, photo))
            best = int(errors[-1].argmin())
            if nearest is None or errors[-1][best] < nearest[0]:
                nearest = errors[-1][best], made[best : best + 1]
    every, error = torch.cat(vectors), torch.cat(errors)
    assert nearest is not None
    unit = every.std(0, correction=0).square().mean().sqrt().clamp_min(1e-6)

    chosen = error.topk(min(starts, count), largest=False).indices.to(sampler.device)
    own = None if labels is None else labels[chosen]
    found = adam(space, every[chosen], own, target, unit, steps, lr, say)
    with torch.no_grad():
        best = int(rmse(to_uint8(space.images(found, own)).cpu(), photo).argmin())
    found, own = found[best : best + 1], None if own is None else own[best : best + 1]
    found = gauss_newton(space, found, own, target, unit, newton, say).cpu()
    chosen_label = None if own is None else int(own[0])
    image = images_of(sampler, space, found, chosen_label)
    return Projected(
        "w" if isinstance(space, Styles) else "z", found, chosen_label, image, rmse(image, photo).item(), nearest[1],
        float(nearest[0]), rmse((total / count).round(), photo).item(),
    )  # fmt: skip


def rmse(images: Tensor, photo: Tensor) -> Tensor:
    """The root of the mean squared difference of each of (N, C, H, W) to (1, C, H, W), in levels of 255 (N,)."""
    return (images.double() - photo.double()).square().mean((1, 2, 3)).sqrt()


def differences(images: Tensor, target: Tensor) -> Tensor:
    """Images (N, C, H, W) minus the target: none where an image goes beyond black or white and the target is that."""
    beyond = (target >= 1) & (images > 1) | (target <= -1) & (images < -1)
    return (images - target).masked_fill(beyond, 0.0)


def multi_scale(difference: Tensor) -> Tensor:
    """The mean square of each of (N, C, H, W), averaged over its sides halved again and again down to 2 (N,)."""
    found = [difference.square().mean((1, 2, 3))]
    while difference.shape[-1] % 2 == 0 and difference.shape[-1] > 2:
        difference = F.avg_pool2d(difference, 2)
        found.append(difference.square().mean((1, 2, 3)))
    return torch.stack(found).mean(0)


def adam(
    space: Space, vectors: Tensor, labels: Tensor | None, target: Tensor, unit: Tensor, steps: int, lr: float, say: Said
) -> Tensor:
    """Vectors (N, D), each optimised by itself, whose multi-scale pixel error is lower."""
    moved = torch.zeros_like(vectors, requires_grad=True)
    optimizer = torch.optim.Adam([moved], lr)
    for step in range(steps):
        warm = min(1.0, (step + 1) / (0.05 * steps))
        optimizer.param_groups[0]["lr"] = lr * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        now = vectors + unit * moved
        error = multi_scale(differences(space.images(now, labels), target))
        loss = (error + space.pull(now).square()).sum()
        (moved.grad,) = torch.autograd.grad(loss, moved)
        optimizer.step()
        if step % 10 == 0:
            say(f"step {step} of {steps}, pixel error {127.5 * error.min().item() ** 0.5:.1f} of 255")
    return (vectors + unit * moved).detach()


@torch.no_grad()
def gauss_newton(
    space: Space, vector: Tensor, labels: Tensor | None, target: Tensor, unit: Tensor, steps: int, say: Said
) -> Tensor:
    """A vector (1, D) whose squared pixel error is lower: damped Gauss-Newton steps until one gains less than 0.1 %."""

    def residual(vectors: Tensor) -> Tensor:  # (N, P + 1)
        parts = [space.images(each, expanded(labels, len(each))) for each in vectors.split(BATCH)]
        pixels = differences(torch.cat(parts), target).flatten(1)
        return torch.cat([pixels, target.numel() ** 0.5 * space.pull(vectors)[:, None]], 1)

    nudges = NUDGE * unit * torch.eye(vector.shape[1], device=vector.device, dtype=vector.dtype)
    identity = torch.eye(vector.shape[1], device=vector.device, dtype=torch.double)
    now = residual(vector)
    for step in range(steps):
        if now[:, :-1].abs().max() < 1 / 255:  # every value is rounded to the photo's
            break
        error = 127.5 * now[:, :-1].square().mean().item() ** 0.5
        say(f"Gauss-Newton step {step} of {steps}, pixel error {error:.2f} of 255")
        jacobian = (residual(vector + nudges) - now) / NUDGE  # (D, P + 1), per unit
        curvature = (jacobian @ jacobian.T).double()
        mean = curvature.diagonal().mean().clamp_min(1e-12)
        damped = torch.stack([curvature + damping * mean * identity for damping in DAMPINGS])
        moves = torch.linalg.solve(damped, (jacobian @ now.T).double().expand(len(DAMPINGS), -1, -1)).squeeze(2)
        tried = vector - (unit * moves).to(vector.dtype)
        after = residual(tried)
        best = int(after.square().sum(1).nan_to_num(math.inf).argmin())
        if after[best].square().sum() > 0.999 * now.square().sum():
            break
        vector, now = tried[best : best + 1], after[best : best + 1]
    return vector


def expanded(labels: Tensor | None, count: int) -> Tensor | None:
    return None if labels is None else labels.expand(count)
