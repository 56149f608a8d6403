"""What the generator's step leaves in the gradient of the discriminator: nothing, or what TransGAN's code left there.

Called with the discriminator it answers a context for the generator's step. A network's gradient is cleared after its
own steps alone, so what the other's step leaves is part of its next one.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn


class NoLeak:
    """The discriminator is frozen while the generator takes its step."""

    @contextmanager
    def __call__(self, discriminator: nn.Module) -> Iterator[None]:
        trained = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
        for parameter in trained:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)


class GradientLeak:
    """The gradient of the generator's loss stays in the discriminator, whose next step follows the sum of both.

    So it is in TransGAN's released code (2021), by oversight: one of n_critic discriminator steps partly undoes what it
    learns of the fakes. For repeating what was published; it costs the gradient by the discriminator's weights.
    """

    def __call__(self, discriminator: nn.Module) -> AbstractContextManager:
        return nullcontext()
