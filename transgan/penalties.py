"""Gradient penalties on the discriminator.

A penalty runs the critic itself, since it decides which images need a gradient: called with (critic, real, fake) it
returns the logits of both and a dict of penalties per image, each (N,), to be weighted by gamma / 2. `critic` takes
any number of image batches (N, C, H, W) and returns as many batches of logits (N,); augmentation and labels are
inside it, so the gradient is that of the image before augmentation.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Critic = Callable[..., tuple[Tensor, ...]]
Judged = tuple[Tensor, Tensor, dict[str, Tensor]]


class ZeroCentered:
    """R1 and R2: the squared norm of the critic's gradient at real and at fake images, exact.

    R1 is Mescheder et al. (2018, eq. 9), R2 its twin at the fakes; both together are what makes the relativistic
    pairing loss converge (R3GAN, 2024, section 2). Summed over the pixels of an image, not averaged.
    """

    def __init__(self, real: bool = True, fake: bool = True):
        if not real and not fake:
            raise ValueError("a penalty on neither real nor fake images is none: use penalty=none")
        self.real, self.fake = real, fake

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Judged:
        def total(both: Tensor) -> tuple[Tensor, Tensor]:
            logits = torch.cat(critic(*both.chunk(2)))
            return logits.sum(), logits

        # One pass over both: a logit depends on its own image alone, so the gradient of the sum holds each one's own.
        # torch.func.grad, because a compiled graph can contain it; MATH, because fused attention has no second
        # derivative on any backend.
        with sdpa_kernel(SDPBackend.MATH):
            gradient, logits = torch.func.grad(total, has_aux=True)(torch.cat([real, fake]).detach())
        r1, r2 = gradient.float().square().sum((1, 2, 3)).chunk(2)
        logits_real, logits_fake = logits.chunk(2)
        return logits_real, logits_fake, ({"r1": r1} if self.real else {}) | ({"r2": r2} if self.fake else {})


class NoPenalty:
    """Only the logits."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Judged:
        logits_real, logits_fake = critic(real, fake)
        return logits_real, logits_fake, {}
