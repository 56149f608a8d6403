"""What the generator and the discriminator minimise, as functions of the logits of paired real and fake images.

A loss has two methods, `discriminator(real, fake)` and `generator(real, fake)`: logits (N,) each, pair i of the same
class, to one value per pair (N,).
"""

from torch import Tensor
from torch.nn.functional import softplus


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau, 2019; R3GAN, 2024, eq. 2): is this real more real than that fake?"""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(real - fake)


class NonSaturating:
    """The loss of the first GAN paper in its non-saturating form (Goodfellow et al., 2014)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-fake)
