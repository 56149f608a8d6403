"""The discriminator's side of a step: what it sees, what it minimises on parts of that, and what these come to."""

from typing import Any

import torch
from torch import Tensor

from transgan.protocols import Penalty, RandomNumbers, Supervision
from transgan.training.fakes import Fakes
from transgan.training.microbatches import total
from transgan.training.objectives import DiscriminatorInputs


class DiscriminatorStep:
    """One step of an Adversarial module's discriminator on real images (n, C, H, W) and as many fakes.

    `count` is n. `objective` is the mean over some of these images, which are consecutive; once it was asked for all
    of them, `log` and `logits` are those of the step.
    """

    def __init__(
        self,
        module: Any,
        real: Tensor,
        fakes: Fakes,
        labels: Tensor | None,
        rng: RandomNumbers,
        now: dict[str, float],
    ):
        supervision: Supervision = module.supervision
        self.module, self.count = module, len(real)
        with torch.no_grad():
            noise = supervision.sample_noise(rng, real.shape[1:])
            fake = supervision.fake_input(fakes.outputs, noise).float()
            real = supervision.real_input(real, noise)
        num_augmentations = 2 if module.consistency is None else 2 + module.consistency.num_augmentations
        random = module.augmentation_random(rng, num_augmentations)
        self.penalty: Penalty = module.penalty.at_step(module.step)
        self.augmentation = module.augmenting(now)
        self.inputs = DiscriminatorInputs(
            real=real,
            fake=fake,
            labels=None if labels is None else supervision.repeat(labels),
            random=supervision.repeat(random, 1),
            noise=supervision.repeat(self.penalty.sample_noise(rng, real.shape[1:])),
            strength=module.scalar(now["augment"]),
            gamma=module.scalar(now["gamma"]),
        )
        self.logs: list[dict[str, Tensor]] = []  # of each part
        self.both: list[tuple[Tensor, Tensor]] = []  # logits of each part

    def objective(self, part: slice) -> Tensor:
        if part.start == 0:
            self.logs.clear()
            self.both.clear()
        module, inputs, penalty = self.module, self.inputs, self.penalty
        share = (part.stop - part.start) / self.count
        if share < 1:
            each = len(inputs.real) // self.count  # inputs of an image
            penalty = penalty.of_part(slice(each * part.start, each * part.stop), len(inputs.real))
            inputs = inputs.part(part, self.count)
        value, log, both = module.discriminator_objective(
            module.discriminator, module.loss, penalty, module.consistency, self.augmentation, inputs
        )
        self.logs.append({name: share * number for name, number in log.items()} if share < 1 else log)
        self.both.append(both)
        return value

    def log(self) -> dict[str, Tensor]:
        return {name: total([log[name] for log in self.logs]) for name in self.logs[0]}

    def logits(self) -> tuple[Tensor, Tensor]:
        """Those (n,) of the real images and of the fakes."""
        real, fake = (torch.cat(each) if len(each) > 1 else each[0] for each in zip(*self.both, strict=True))
        supervision: Supervision = self.module.supervision
        return supervision.final_logits(real), supervision.final_logits(fake)
