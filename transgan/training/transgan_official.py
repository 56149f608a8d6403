"""What the released code of TransGAN (2021) does in its training step, and nothing else here.

For repeating what was published, not for use: conf/algorithm/transgan_official.yaml.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from transgan.gathering import gathered
from transgan.losses import Wasserstein
from transgan.protocols import RandomNumbers
from transgan.training.adversarial import Adversarial
from transgan.training.fakes import Fakes
from transgan.training.objectives import Reference


class TransGANOfficial(Adversarial):
    """Adversarial training with a larger batch of fakes for the generator, and with a gradient left behind.

    Args:
        generator_batch_size: fakes in a generator step over all processes, a multiple of batch_size, which None means.
        leak: the gradient of the generator's loss stays in the discriminator, whose next step follows the sum of both.
            So it is in the released code, by oversight: one of n_critic discriminator steps partly undoes what it
            learns of the fakes. It costs the gradient by the discriminator's weights.
        others: as in adversarial.py; batch_size must be given.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        generator_batch_size: int | None = None,
        leak: bool = True,
        **others: Any,
    ):
        super().__init__(generator, discriminator, **others)
        self.leak = leak
        self.in_turn = not leak  # what leaks is averaged too
        self.leaked: dict[str, Tensor] = {}  # of a checkpoint, until training starts
        self.fakes_per_image = self.checked_fakes_per_image(generator_batch_size)  # in a generator step

    def checked_fakes_per_image(self, size: int | None) -> int:
        if size is None:
            return 1
        batch_size = self.batch_size
        if batch_size is None:
            raise ValueError(f"generator_batch_size={size} is a multiple of batch_size: give batch_size too")
        if not isinstance(size, int) or size < 1 or size % batch_size:
            raise ValueError(
                f"algorithm.generator_batch_size={size} must be a multiple of batch_size={batch_size}, "
                "so that processes can share it, or null for the same"
            )
        if self.share_fakes and size != batch_size:
            raise ValueError(
                f"algorithm.generator_batch_size={size} asks for other fakes than the {batch_size} of a discriminator "
                "step, which algorithm.share_fakes=true would use: leave one of the two at null"
            )
        if self.loss.relativistic and size != batch_size:
            raise ValueError(
                f"a relativistic loss pairs every fake with a real image: algorithm.generator_batch_size={size} and "
                f"batch_size={batch_size} must be equal; leave the first at null, or use another loss"
            )
        return size // batch_size

    def generator_step(
        self,
        real: Tensor,
        fakes: Fakes | None,
        labels: Tensor | None,
        rng: RandomNumbers,
        now: dict[str, float],
        reference: Reference | None,
    ) -> bool:
        labels = None if labels is None else labels.repeat_interleave(self.fakes_per_image)
        return super().generator_step(real, fakes, labels, RepeatedRNG(rng, self.fakes_per_image), now, reference)

    def holding_discriminator(self) -> AbstractContextManager[None]:
        return nullcontext() if self.leak else super().holding_discriminator()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        gradients = {name: parameter.grad for name, parameter in self.discriminator.named_parameters()}
        checkpoint["leaked"] = {name: value for name, value in gradients.items() if value is not None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.leaked = dict(checkpoint.get("leaked", {}))  # earlier versions wrote none

    def on_train_start(self) -> None:
        super().on_train_start()
        for name, value in self.leaked.items():  # here, because Lightning clears gradients before it trains
            self.discriminator.get_parameter(name).grad = value.to(self.device, copy=True)
        self.leaked = {}


class RepeatedRNG:
    """Random numbers for `times` samples in place of each one of a step."""

    def __init__(self, rng: RandomNumbers, times: int):
        self.rng, self.times = rng, times

    def uniform(self, *shape: int) -> Tensor:
        return self.rng.uniform(self.times, *shape).flatten(0, 1)

    def normal(self, *shape: int) -> Tensor:
        return self.rng.normal(self.times, *shape).flatten(0, 1)


class WassersteinMeanDrift(Wasserstein):
    """Wasserstein with `drift` times the square of the real logits' mean, as in the released code.

    The mean is that of the complete batch, over all processes: there is one value per pair of the complete batch.
    """

    def __init__(self, drift: float = 0.001):
        super().__init__(drift)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = gathered(real), gathered(fake)
        return fake - real + self.drift * real.mean().square()
