"""What the generator and the discriminator minimise, as functions of the logits of paired real and fake images.

A loss has two methods, `discriminator(real, fake)` and `generator(real, fake)`: logits (N,) each, pair i of the same
class, to one value per pair (N,), of which the mean counts. Where `relativistic` is False the generator's loss is of
the fakes alone, and its real logits may be None. `boundary` is the logit that parts real from fake, None where the loss
leaves the level of the logits open.
"""

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.functional import relu, softplus


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau, 2019; R3GAN, 2024, eq. 2): is this real more real than that fake?"""

    relativistic = True
    boundary = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(real - fake)


class RelativisticAverage:
    """Is this image more real than the other kind on average (Jolicoeur-Martineau, 2019, RaSGAN)?

    The averages are those of the whole batch, over all processes: the values are one per pair of the whole batch.
    """

    relativistic = True
    boundary = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = of_all_processes(real), of_all_processes(fake)
        return softplus(fake.mean() - real) + softplus(fake - real.mean())

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.discriminator(fake, real)  # the same question with the parts exchanged


class NonSaturating:
    """The loss of the first GAN paper in its non-saturating form (Goodfellow et al., 2014)."""

    relativistic = False
    boundary = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return softplus(-fake)


class Hinge:
    """No more than a margin of 1 is asked of the discriminator (Lim and Ye, 2017; Miyato et al., 2018, eq. 16-17)."""

    relativistic = False
    boundary = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real) + relu(1 + fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake


class LeastSquares:
    """Half the squared distance of reals from 1 and fakes from 0, or for the generator from 1 (Mao et al., 2017)."""

    relativistic = False
    boundary = 0.5

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * ((real - 1).square() + fake.square())

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return 0.5 * (fake - 1).square()


class Wasserstein:
    """How far apart a Lipschitz critic can hold the two (Arjovsky et al., 2017); only a penalty keeps it Lipschitz.

    `drift` times the mean square of the real logits keeps them near 0, which the rest leaves open (PGGAN, Karras et
    al., 2018, appendix A.1, with 0.001).
    """

    relativistic = False
    boundary = None

    def __init__(self, drift: float):
        if drift < 0:
            raise ValueError(f"loss.drift must not be negative, as {drift} is: it keeps the real logits near 0")
        self.drift = drift

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real + self.drift * real.square()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake


class WassersteinMeanDrift(Wasserstein):
    """Wasserstein with `drift` times the square of the real logits' mean, as in TransGAN's released code (2021).

    The mean is that of the whole batch, over all processes: the values are one per pair of the whole batch.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = of_all_processes(real), of_all_processes(fake)
        return fake - real + self.drift * real.mean().square()


def of_all_processes(logits: Tensor) -> Tensor:
    """The logits (n,) of each of R processes, in their order (R n,); those of one process as they are.

    The gradient of the own part is R times what it would be: every process has the loss of the whole batch, and the
    average that DDP makes of their gradients is then the gradient one process with the whole batch has.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return logits
    own = logits.detach()
    parts = own.new_empty(dist.get_world_size() * len(own))
    dist.all_gather_into_tensor(parts, own)
    parts = list(parts.chunk(dist.get_world_size()))
    parts[dist.get_rank()] = own + len(parts) * (logits - own)
    return torch.cat(parts)
