"""What the generator and the discriminator minimise, as functions of the logits (N,) of paired real and fake images.

`transgan.protocols.Loss` says what a loss provides. The images of pair i have the same class. A loss returns one value
per pair (N,), of which the mean is minimised.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus

from transgan.gathering import gathered


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau, 2019; R3GAN, 2024, eq. 2): is this real more real than that fake?"""

    relativistic = True
    boundary: float | None = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None, "a relativistic loss compares with real images"
        return softplus(real - fake)


class RelativisticAverage:
    """Is this image more real than the other kind on average (Jolicoeur-Martineau, 2019, RaSGAN)?

    The averages are those of the complete batch, over all processes: there is one value per pair of the complete batch.
    """

    relativistic = True
    boundary: float | None = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = gathered(real), gathered(fake)
        return softplus(fake.mean() - real) + softplus(fake - real.mean())

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None, "a relativistic loss compares with real images"
        return self.discriminator(fake, real)  # the same question with the roles exchanged


class NonSaturating:
    """The loss of the first GAN paper in its non-saturating form (Goodfellow et al., 2014)."""

    relativistic = False
    boundary: float | None = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return softplus(-fake)


class Hinge:
    """The hinge loss, with a margin of 1 (Lim and Ye, 2017; Miyato et al., 2018, eq. 16-17)."""

    relativistic = False
    boundary: float | None = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real) + relu(1 + fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake


class LeastSquares:
    """Half the squared distance of reals from 1 and fakes from 0, or for the generator from 1 (Mao et al., 2017)."""

    relativistic = False
    boundary: float | None = 0.5

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * ((real - 1).square() + fake.square())

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return 0.5 * (fake - 1).square()


class Wasserstein:
    """The Wasserstein distance by a Lipschitz critic (Arjovsky et al., 2017); only a penalty keeps it Lipschitz.

    `drift` times the mean square of the real logits keeps them near 0, which the loss does not (PGGAN, Karras et al.,
    2018, appendix A.1, with 0.001).
    """

    relativistic = False
    boundary: float | None = None

    def __init__(self, drift: float = 0.0):
        if drift < 0:
            raise ValueError(f"loss.drift must not be negative, as {drift} is: it keeps the real logits near 0")
        self.drift = drift

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real + self.drift * real.square()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake
