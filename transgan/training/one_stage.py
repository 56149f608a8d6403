"""Both networks from the same two passes (one-stage GANs, Shen et al., 2021): no pass belongs to the generator alone.

Every logit is a function of its own image. So the gradient of the discriminator's loss at a fake image is a_i g_i and
that of the generator's b_i g_i; g_i is the logit's gradient, and a_i and b_i are what the losses say of the logit. The
backward pass of the discriminator's step finds a_i g_i at the small cost of going on to the images, and b_i / a_i of it
is what the generator follows. Both gradients are those before the step, of one augmentation.

N batch, C channels, H W image.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from transgan.penalties import R1R2JVP, AugmentedDiscriminator
from transgan.protocols import RandomNumbers
from transgan.training.adversarial import Adversarial
from transgan.training.objectives import discriminator_terms


class OneStage(Adversarial):
    """Adversarial training in which the generator's step takes its gradient from the discriminator's.

    Fewer passes for the same images: neither the real images nor the fakes are shown to the discriminator again. It is
    another algorithm, in which both networks move at once; the discriminator's steps are those of Adversarial. At fakes
    with a penalty, which has a gradient of its own there, g_i is what the penalty has measured, or is asked for.

    Args: as in adversarial.py.

    Raises ValueError for a loss that says nothing of some fakes, such as the hinge loss of those that the discriminator
    is sure of (a_i = 0), for penalty=jvp, and for compile.
    """

    objectives = ()

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, compile: str | None = None, **others: Any):
        super().__init__(generator, discriminator, **others | {"share_fakes": True})
        if compile not in (None, "auto"):
            raise ValueError("algorithm=gan_one_stage is not compiled: leave compile at null, or use algorithm=gan")
        fake = torch.linspace(-10, 10, 21).requires_grad_()
        (slope,) = torch.autograd.grad(self.loss.discriminator(fake.detach().flip(0), fake).sum(), fake)
        if not slope.all():
            raise ValueError(
                f"algorithm=gan_one_stage needs a loss with a slope at every fake, and {type(self.loss).__name__} has "
                "none at some; use loss=relativistic, non_saturating or wasserstein, or algorithm=gan"
            )
        part: Any = self.penalty
        while part is not None:
            if isinstance(part, R1R2JVP):
                raise ValueError("penalty=jvp leaves no gradient of the fakes behind; use r1_r2, or algorithm=gan")
            part = getattr(part, "penalty", None)
        self.fake, self.gradient = (
            torch.empty(0),
            torch.empty(0),
        )  # of a step: the discriminator's input; that of loss_g

    def detached(self, outputs: list[Tensor]) -> list[Tensor]:
        return outputs

    def discriminator_step(
        self, real: Tensor, outputs: list[Tensor], labels: Tensor | None, rng: RandomNumbers, now: dict[str, float]
    ) -> tuple[Tensor, Tensor]:
        penalty, inputs = self.discriminator_inputs(real, outputs, labels, rng, now)
        tracked = TrackedDiscriminator(
            self.discriminator, self.augmentation, inputs.strength, inputs.labels, inputs.random[:2]
        )
        value, log, *logits = discriminator_terms(tracked, self.loss, penalty, self.consistency, inputs)
        logits_real, logits_fake = (each.detach() for each in logits)
        self.log_values = {name: each.detach() for name, each in log.items()}
        self.fake, self.gradient = inputs.fake, torch.zeros_like(inputs.fake)

        fake = logits_fake.clone().requires_grad_()
        loss_g = self.loss.generator(logits_real if self.loss.relativistic else None, fake).mean()
        self.log_values["loss_g"] = loss_g.detach()
        (b,) = torch.autograd.grad(loss_g, fake)
        (a,) = torch.autograd.grad(value, logits[1], retain_graph=True)
        for shown in tracked.penalised:
            factor = b[shown.pairs, None, None, None]
            if (slope := shown.slope) is None:
                total = logits[1][shown.pairs].sum()
                (slope,) = torch.autograd.grad(total, shown.images, retain_graph=True, allow_unused=True)
            if slope is not None:
                self.gradient[shown.pairs] += factor * slope[-len(factor) :]  # the fakes come last
        self.step_discriminator(value, now, [shown.images for shown in tracked.plain])
        for shown in tracked.plain:
            assert shown.images.grad is not None
            self.gradient[shown.pairs] = (b / a)[shown.pairs, None, None, None] * shown.images.grad
        return self.supervision.final_logits(logits_real), self.supervision.final_logits(logits_fake)

    def generator_step(
        self,
        real: Tensor,
        outputs: list[Tensor] | None,
        labels: Tensor | None,
        rng: RandomNumbers,
        now: dict[str, float],
    ) -> bool:
        assert outputs is not None
        regulariser = self.supervision.regulariser(outputs)
        self.log_values["loss_g"] = self.log_values["loss_g"] + regulariser.detach()
        value = (self.fake * self.gradient).sum() + regulariser  # its gradient is that of loss_g
        optimizer = self.optimizers()[0]  # type: ignore[index]
        return self.step_optimizer("generator", optimizer, value, self.rates("generator", now), now.get("beta2"))


@dataclass
class Shown:
    """Images that a discriminator was shown, as a leaf of the graph; the fakes come last.

    pairs: that the fakes belong to. slope: the gradient of their logits, where a penalty has asked for it.
    """

    images: Tensor
    pairs: Tensor | slice
    slope: Tensor | None = None

    def keep(self, gradient: Tensor) -> None:
        if self.slope is None:
            self.slope = gradient.detach()


class TrackedDiscriminator(AugmentedDiscriminator):
    """It keeps the fakes that were shown to it: `plain`, what only the loss sees, and `penalised`, what a penalty may
    differentiate."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.pairs: Tensor | slice = slice(None)
        self.plain: list[Shown] = []
        self.penalised: list[Shown] = []

    def subset(self, pairs: Tensor) -> "TrackedDiscriminator":
        whole = super().subset(pairs)
        part = TrackedDiscriminator(whole.discriminator, whole.augmentation, whole.strength, whole.labels, whole.random)
        part.pairs = pairs if isinstance(self.pairs, slice) else self.pairs[pairs]
        part.plain, part.penalised = self.plain, self.penalised
        return part

    def pair(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        fake = fake.detach().requires_grad_()
        self.plain.append(Shown(fake, self.pairs))
        logits_real, logits_fake = super().both(torch.cat([real, fake])).chunk(2)
        return logits_real, logits_fake

    def fake(self, images: Tensor) -> Tensor:
        return super().fake(self.kept(images))

    def both(self, images: Tensor) -> Tensor:
        return super().both(self.kept(images))

    def kept(self, images: Tensor) -> Tensor:
        images = images if images.requires_grad else images.detach().requires_grad_()
        self.penalised.append(Shown(images, self.pairs))
        images.register_hook(self.penalised[-1].keep)  # input_gradient differentiates the sum of the logits by it
        return images
