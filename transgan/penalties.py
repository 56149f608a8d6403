"""Penalties on the discriminator's slope: exact, along random directions, by differences, between real and fake.

A penalty runs the critic itself, since it decides which images need a gradient: called with (critic, real, fake,
numbers) it returns the logits of both and a dict of penalties, each of some images (n,). Their means are weighted by
gamma / 2, so that a weight of lambda is gamma = 2 lambda. `numbers` (N, ...) is what its `draw` took from the random
numbers of the step: the rest is a pure function, which a compiled graph can contain whole.

N batch, C channels, H W image.
"""

from collections.abc import Callable
from math import ceil, floor

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Judge = Callable[[Tensor], Tensor]                          # images (n, C, H, W) to logits (n,)
Judged = tuple[Tensor, Tensor, dict[str, Tensor]]


class Critic:
    """The discriminator as a function of images before augmentation: how each is augmented, and its label, are inside.

    So a penalty is of the slope at the image before augmentation, and an image moved a little is augmented as it was.

    Args:
        discriminator: (images, labels) -> logits (N,), each a function of its own image and label alone.
        augment, strength: as in augmentation.py. labels: (N,) of the pairs, or None.
        draws: (2, N, augment.num_draws) uniform numbers, for the real and the fake image of each pair.
    """

    def __init__(self, discriminator, augment, strength: Tensor | float, labels: Tensor | None, draws: Tensor):
        self.discriminator, self.augment, self.strength = discriminator, augment, strength
        self.labels, self.draws = labels, draws

    def real(self, images: Tensor) -> Tensor:
        return self.discriminator(self.augment(images, self.draws[0], self.strength), self.labels)

    def fake(self, images: Tensor) -> Tensor:
        return self.discriminator(self.augment(images, self.draws[1], self.strength), self.labels)

    def both(self, images: Tensor) -> Tensor:
        """(2 N, C, H, W), the real ones first."""
        labels = None if self.labels is None else self.labels.repeat(2)
        return self.discriminator(self.augment(images, self.draws.flatten(0, 1), self.strength), labels)

    def of(self, pairs: Tensor) -> "Critic":
        """The critic of some of the pairs, by their places."""
        labels = None if self.labels is None else self.labels[pairs]
        return Critic(self.discriminator, self.augment, self.strength, labels, self.draws[:, pairs])


class Penalty:
    """What every penalty has. `names` are the keys of the penalties it returns, under which they are logged."""

    names: tuple[str, ...] = ()

    def at(self, step: int) -> "Penalty":
        """The penalty of one discriminator step."""
        return self

    def check(self, batch_size: int) -> None:
        """Raises ValueError if nothing of a batch of this size would be penalised."""

    def draw(self, draws, shape: torch.Size) -> Tensor:
        """Its random numbers (N, ...) out of training.randomness.Draws, for images of `shape` (C, H, W)."""
        return draws.uniform(0)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        raise NotImplementedError  # for subclasses


class NoPenalty(Penalty):
    """Only the logits."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        return *critic.both(torch.cat([real, fake])).chunk(2), {}


class AtImages(Penalty):
    """The squared norm of the gradient at real images (r1), at fake ones (r2), or at both in one pass.

    Subclasses have `measure(judge, images, directions)` -> logits (n,) and the squared norm at each image (n,), or an
    estimate of it, summed over the pixels and not averaged.
    """

    directed = False            # whether `measure` needs directions, standard normal of the images' shape

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

    def measure(self, judge: Judge, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError  # for subclasses


class ZeroCentered(AtImages):
    """R1 and R2: the squared norm of the critic's gradient at real and at fake images, exact.

    R1 is Mescheder et al. (2018, eq. 9), R2 its twin at the fakes; both together are what makes the relativistic
    pairing loss converge (R3GAN, 2024, section 2).
    """

    def measure(self, judge: Judge, images: Tensor, directions: None) -> tuple[Tensor, Tensor]:
        gradient, logits = slope(judge, images)
        return logits, gradient.float().square().sum((1, 2, 3))


class JacobianVector(AtImages):
    """R1 and R2 by forward differentiation along one random direction e: E (g e)^2 = |g|^2 (Hutchinson, 1989).

    Unbiased and without a step size, with a variance of 2 |g|^4.
    """

    directed = True

    def measure(self, judge: Judge, images: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        with sdpa_kernel(SDPBackend.MATH):
            logits, along = torch.func.jvp(judge, (images,), (directions,))
        return logits, along.square()


class FiniteDifference(AtImages):
    """R1 and R2 by ((D(x + sigma e) - D(x)) / sigma)^2 along one random direction e (APT, 2025; GAT, 2025).

    APT's weight lambda on the squared difference is gamma = 2 lambda sigma^2. Its bias grows with sigma and the
    critic's curvature, and below sigma of about 0.02 rounding in bfloat16 is larger than the difference: these passes
    are in float32 whatever the precision. They need no second derivative, so attention may be fused. Noise inside the
    discriminator (TransGAN's, DropPath) would be another in the second pass, and the difference would be of that.
    """

    directed = True

    def __init__(self, sigma: float, real: bool, fake: bool):
        super().__init__(real, fake)
        if not sigma > 0:
            raise ValueError(f"penalty.sigma must be above 0, not {sigma}: it is how far the images are moved")
        self.sigma = sigma

    def measure(self, judge: Judge, images: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            logits, moved = judge(images), judge(images + self.sigma * directions)
        return logits, ((moved - logits) / self.sigma).square()


class CentralDifference(FiniteDifference):
    """R1 and R2 by ((D(x + sigma e) - D(x - sigma e)) / (2 sigma))^2, whose bias is of a higher order in sigma.

    The logits are the means of the two, D(x) but for the curvature, so that it costs no more than FiniteDifference.
    """

    def measure(self, judge: Judge, images: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            ahead, behind = judge(images + self.sigma * directions), judge(images - self.sigma * directions)
        return (ahead + behind) / 2, ((ahead - behind) / (2 * self.sigma)).square()


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
        norm = torch.linalg.vector_norm(gradient.float(), dim=(1, 2, 3))           # unlike sqrt, it has a slope at 0
        return *critic.both(torch.cat([real, fake])).chunk(2), {"gp": (norm / self.target - 1).square()}


class Lazily(Penalty):
    """A penalty on every `every`-th discriminator step, times `every` (StyleGAN2, 2020, section 3.1).

    In between it is logged as 0, so that its mean is the penalty's. Adam's settings stay as they are.
    """

    def __init__(self, penalty: Penalty, every: int):
        if every < 1:
            raise ValueError(f"penalty.every must be at least 1, not {every}: it counts discriminator steps")
        self.penalty, self.every, self.names = penalty, every, penalty.names

    def at(self, step: int) -> Penalty:
        return Resting(self.names) if step % self.every else Weighted(self.penalty.at(step), self.every)

    def check(self, batch_size: int) -> None:
        self.penalty.check(batch_size)


class Weighted(Penalty):
    """A penalty times `weight`."""

    def __init__(self, penalty: Penalty, weight: float):
        self.penalty, self.weight, self.names = penalty, weight, penalty.names

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return self.penalty.draw(draws, shape)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        logits_real, logits_fake, found = self.penalty(critic, real, fake, numbers)
        return logits_real, logits_fake, {name: self.weight * each for name, each in found.items()}


class Resting(NoPenalty):
    """Only the logits, and zeros under the names of a penalty that rests."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        logits_real, logits_fake, _ = super().__call__(critic, real, fake, numbers)
        return logits_real, logits_fake, dict.fromkeys(self.names, logits_real.new_zeros(1))


class OnPart(Penalty):
    """A penalty on a share of the pairs of a batch, spread evenly over it (a quarter in Adversarial Flow Models, 2025).

    The pairs come in random order, so any of them will do. Two processes penalise what one would where the share of
    their parts of the batch is a whole number.
    """

    def __init__(self, penalty: Penalty, share: float):
        if not 0 < share < 1:
            raise ValueError(f"penalty.share must be between 0 and 1, not {share}: it is a share of the images")
        self.penalty, self.share, self.names = penalty, share, penalty.names

    def at(self, step: int) -> Penalty:
        return OnPart(self.penalty.at(step), self.share)

    def check(self, batch_size: int) -> None:
        if not self.places(batch_size)[0]:
            raise ValueError(
                f"penalty.share={self.share} of a batch of {batch_size} images is not one image; "
                f"make it at least {ceil(10_000 / batch_size) / 10_000}"
            )
        self.penalty.check(len(self.places(batch_size)[0]))

    def places(self, n: int) -> tuple[list[int], list[int]]:
        """Which of n pairs are penalised, and which are not."""
        upto = [floor(i * self.share + 1e-9) for i in range(n + 1)]                # 100 * 0.29 is 28.999...
        chosen = [upto[i + 1] > upto[i] for i in range(n)]
        return [i for i in range(n) if chosen[i]], [i for i in range(n) if not chosen[i]]

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return self.penalty.draw(draws, shape)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        places = self.places(len(real))
        some, rest = (torch.tensor(each, dtype=torch.long, device=real.device) for each in places)
        some_real, some_fake, found = self.penalty(critic.of(some), real[some], fake[some], numbers[some])
        rest_real, rest_fake = critic.of(rest).both(torch.cat([real[rest], fake[rest]])).chunk(2)
        back = torch.cat([some, rest]).argsort()
        return torch.cat([some_real, rest_real])[back], torch.cat([some_fake, rest_fake])[back], found


def slope(judge: Judge, images: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of each logit by its own image (n, C, H, W), differentiable, and the logits (n,).

    A logit depends on its own image alone, so the gradient of their sum holds each one's own. torch.func.grad, because
    a compiled graph can contain it; MATH, because fused attention has no second derivative on any backend.
    """

    def total(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = judge(images)
        return logits.sum(), logits

    with sdpa_kernel(SDPBackend.MATH):
        return torch.func.grad(total, has_aux=True)(images.detach())
