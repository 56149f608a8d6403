"""Penalties on the exact gradient: at real and at fake images, or between the two."""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .critic import Critic, Discriminate, Judged, Penalty


class AtImages(Penalty):
    """The squared norm of the gradient at real images (r1), at fake ones (r2), or at both in one pass.

    Subclasses have `measure(judge, images, directions)` -> logits (n,) and the squared norm at each image (n,), or an
    estimate of it, summed over the pixels and not averaged.
    """

    directed = False  # whether `measure` needs directions, standard normal of the images' shape

    def __init__(self, real: bool, fake: bool):
        if not real and not fake:
            raise ValueError("a penalty on neither real nor fake images is none: use penalty=none")
        self.real, self.fake = real, fake
        self.names = ("r1",) * real + ("r2",) * fake

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return draws.normal(len(self.names), *shape) if self.directed else draws.uniform(0)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        real, fake = real.detach(), fake.detach()
        directions = numbers.transpose(0, 1).flatten(0, 1) if self.directed else None
        if self.real and self.fake:
            logits, penalty = self.measure(critic.both, torch.cat([real, fake]), directions)
            return *logits.chunk(2), dict(zip(self.names, penalty.chunk(2), strict=True))
        if self.real:
            logits, penalty = self.measure(critic.real, real, directions)
            return logits, critic.fake(fake), {"r1": penalty}
        logits, penalty = self.measure(critic.fake, fake, directions)
        return critic.real(real), logits, {"r2": penalty}

    def measure(self, judge: Discriminate, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError  # for subclasses


class ZeroCentered(AtImages):
    """R1 and R2: the squared norm of the critic's gradient at real and at fake images, exact.

    R1 is Mescheder et al. (2018, eq. 9), R2 its twin at the fakes; both together are what makes the relativistic
    pairing loss converge (R3GAN, 2024, section 2).
    """

    def measure(self, judge: Discriminate, images: Tensor, directions: None) -> tuple[Tensor, Tensor]:
        gradient, logits = slope(judge, images)
        return logits, gradient.float().square().sum((1, 2, 3))


class Interpolated(Penalty):
    """(|g| / target - 1)^2 at a random point between the two images of a pair (WGAN-GP, Gulrajani et al., 2017, eq. 3).

    Their lambda of 10 is gamma = 20, as is TransGAN's 10 / phi^2 on (|g| - phi)^2 with a target of phi. The points
    are augmented as the real images of their pairs are.
    """

    names = ("gp",)

    def __init__(self, target: float):
        if not target > 0:
            raise ValueError(f"penalty.target must be above 0, not {target}: it is the norm gradients are drawn to")
        self.target = target

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return draws.uniform(1, 1, 1)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        gradient, _ = slope(critic.real, real + numbers * (fake - real))
        norm = torch.linalg.vector_norm(gradient.float(), dim=(1, 2, 3))  # unlike sqrt, it has a slope at 0
        return *critic.both(torch.cat([real, fake])).chunk(2), {"gp": (norm / self.target - 1).square()}


def slope(judge: Discriminate, images: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of each logit by its own image (n, C, H, W), differentiable, and the logits (n,).

    A logit depends on its own image alone, so the gradient of their sum holds each one's own. torch.func.grad, because
    a compiled graph can contain it; MATH, because fused attention has no second derivative on any backend.
    """

    def total(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = judge(images)
        return logits.sum(), logits

    with sdpa_kernel(SDPBackend.MATH):
        return torch.func.grad(total, has_aux=True)(images.detach())
