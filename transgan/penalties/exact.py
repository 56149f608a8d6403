"""Penalties on the exact input gradient: at real and at fake images, or between the two."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.penalties.base import paired_logits
from transgan.protocols import PairedDiscriminator, Penalty, PenaltyOutput, RandomNumbers

LogitFunction = Callable[[Tensor], Tensor]  # images (n, C, H, W) -> logits (n,)


class PointwisePenalty(Penalty):
    """The squared norm of the input gradient at real images (r1), at fake ones (r2), or at both in one pass.

    Subclasses implement `measure`.
    """

    directed = False  # whether `measure` needs directions, standard normal of the images' shape

    def __init__(self, real: bool = True, fake: bool = True):
        if not real and not fake:
            raise ValueError("a penalty on neither real nor fake images is none: use penalty=none")
        self.real, self.fake = real, fake
        self.names = ("r1",) * real + ("r2",) * fake

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return rng.normal(len(self.names), *shape) if self.directed else rng.uniform(0)

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        real, fake = real.detach(), fake.detach()
        directions = noise.transpose(0, 1).flatten(0, 1) if self.directed else None
        if self.real and self.fake:
            logits, penalty = self.measure(discriminator.both, torch.cat([real, fake]), directions)
            logits_real, logits_fake = logits.chunk(2)
            return logits_real, logits_fake, dict(zip(self.names, penalty.chunk(2), strict=True))
        if self.real:
            logits, penalty = self.measure(discriminator.real, real, directions)
            return logits, discriminator.fake(fake), {"r1": penalty}
        logits, penalty = self.measure(discriminator.fake, fake, directions)
        return discriminator.real(real), logits, {"r2": penalty}

    def measure(self, logits_of: LogitFunction, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        """-> logits (n,) and the squared norm at each image (n,), or an estimate: summed over pixels, not averaged."""
        raise NotImplementedError


class R1R2(PointwisePenalty):
    """R1 and R2: the squared norm of the input gradient at real and at fake images, exact.

    R1 is Mescheder et al. (2018, eq. 9), R2 its counterpart at the fakes; both together are what makes the relativistic
    pairing loss converge (R3GAN, 2024, section 2).
    """

    def measure(self, logits_of: LogitFunction, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        gradient, logits = input_gradient(logits_of, images)
        return logits, gradient.float().square().sum((1, 2, 3))


class WGANGP(Penalty):
    """(|g| / target - 1)^2 at a random point between the two images of a pair (WGAN-GP, Gulrajani et al., 2017, eq. 3).

    Their lambda of 10 is gamma = 20, as is TransGAN's 10 / phi^2 on (|g| - phi)^2 with a target of phi. The points
    are augmented as the real images of their pairs are.
    """

    names = ("gp",)

    def __init__(self, target: float = 1.0):
        if not target > 0:
            raise ValueError(f"penalty.target must be above 0, not {target}: it is the norm gradients are drawn to")
        self.target = target

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return rng.uniform(1, 1, 1)

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        gradient, _ = input_gradient(discriminator.real, real + noise * (fake - real))
        norm = torch.linalg.vector_norm(gradient.float(), dim=(1, 2, 3))  # unlike sqrt, it has a gradient at 0
        return *paired_logits(discriminator, real, fake), {"gp": (norm / self.target - 1).square()}


def input_gradient(logits_of: LogitFunction, images: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of each logit by its own image (n, C, H, W), differentiable, and the logits (n,).

    A logit depends on its own image alone, so the gradient of their sum holds each one's own. MATH, because fused
    attention has no second derivative on any backend; torch.func.grad where it is compiled, because a graph can contain
    it, and torch.autograd.grad where it is not, because it has less to do for every operation.
    """

    def total(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits_of(images)
        return logits.sum(), logits

    with sdpa_kernel(SDPBackend.MATH):
        if torch.compiler.is_compiling():
            return torch.func.grad(total, has_aux=True)(images.detach())
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            value, logits = total(images)
            (gradient,) = torch.autograd.grad(value, images, create_graph=True)
            return gradient, logits
