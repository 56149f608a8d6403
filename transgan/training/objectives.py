"""What the two players minimise in a step, as plain functions of tensors and modules.

So they can be compiled completely, second derivative included.

N batch, C channels, H W image, Z latent, A uniform numbers of an image: the augmentation's, and the discriminator's.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from transgan.penalties import AugmentedDiscriminator, drawn_by
from transgan.protocols import Augmentation, Consistency, Loss, Matching, Penalty, Supervision
from transgan.training.microbatches import part_of


@dataclass(frozen=True)
class DiscriminatorInputs:
    """The tensors of one discriminator step; images as the supervision gives them to the discriminator."""

    real: Tensor  # (N, C, H, W) in [-1, 1]
    fake: Tensor  # (N, C, H, W), without a gradient
    labels: Tensor | None  # (N,)
    random: Tensor  # (2 + consistency.num_augmentations, N, A) uniform
    noise: Tensor  # (N, ...), of the penalty
    strength: Tensor  # (), of the augmentation, in [0, 1]
    gamma: Tensor  # (), twice the penalty's weight

    def part(self, part: slice, n: int) -> "DiscriminatorInputs":
        """Those of some of the n images of the step."""
        labels = None if self.labels is None else part_of(self.labels, part, n)
        one = {name: part_of(getattr(self, name), part, n) for name in ("real", "fake", "noise")}
        return replace(self, labels=labels, random=part_of(self.random, part, n, 1), **one)


@dataclass(frozen=True)
class Reference:
    """The real images that the generated ones are matched with."""

    images: Tensor  # (M, C, H, W) in [-1, 1]
    labels: Tensor | None  # (M,)
    weight: Tensor  # (), of the distance


@dataclass(frozen=True)
class GeneratorInputs:
    """The tensors of one generator step; images and latents as the generator has them."""

    real: Tensor  # (N, C, H, W) in [-1, 1]
    latent: Tensor | None  # (N, Z), or None for outputs that are there already
    labels: Tensor | None  # (N,)
    random: Tensor  # (2, N, A) uniform
    noise: Tensor  # (N, ...), of the supervision
    strength: Tensor  # (), of the augmentation, in [0, 1]
    reference: Reference | None = None  # for `matching`
    transport: Tensor | None = None  # (), the weight of |G(z) - z|^2
    pull: Tensor | None = None  # (N, C, H, W), in place of it: the gradient of what it adds by the final images

    def part(self, part: slice, n: int) -> "GeneratorInputs":
        """Those of some of the n fakes of the step, of which the real images may be fewer where none are paired."""
        values = {name: getattr(self, name) for name in ("latent", "labels", "noise", "pull")}
        some = {name: None if value is None else part_of(value, part, n) for name, value in values.items()}
        if some["pull"] is not None:
            some["pull"] = some["pull"] * (n / (part.stop - part.start))
        real = part_of(self.real, part, n) if len(self.real) == n else self.real[:0]
        random = part_of(self.random, part, n, 1)
        return replace(self, real=real, random=random, reference=None, **some)  # type: ignore[arg-type]


def discriminator_objective(
    discriminator: nn.Module,
    loss: Loss,
    penalty: Penalty,
    consistency: Consistency | None,
    augmentation: Augmentation,
    inputs: DiscriminatorInputs,
) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor]]:
    """mean(loss) + gamma / 2 * mean(penalty) + weighted consistency; also what to log, and the logits (N,) of both."""
    real, fake = inputs.real, inputs.fake
    augmented = AugmentedDiscriminator(
        discriminator, augmentation, inputs.strength, inputs.labels, inputs.random[:2]
    )  # fmt: skip
    logits_real, logits_fake, penalties = penalty(augmented, real, fake, inputs.noise)
    value = loss.discriminator(logits_real, logits_fake).mean()
    log = {"loss_d": value, "d_real": logits_real.mean(), "d_fake": logits_fake.mean()}
    for name, values in penalties.items():
        log[name] = values.mean()
        value = value + 0.5 * inputs.gamma * log[name]
    if consistency is not None:
        again = inputs.random[2:]
        if own := drawn_by(discriminator):  # another augmentation, and nothing else
            again = torch.cat([again[..., :-own], inputs.random[:2, :, -own:]], 2)
        augmented = AugmentedDiscriminator(discriminator, augmentation, consistency.strength, inputs.labels, again)
        for name, values in consistency(augmented, real, fake, logits_real, logits_fake).items():
            log[name] = values.mean()
            value = value + consistency.weights[name] * log[name]
    return value, {name: each.detach() for name, each in log.items()}, (logits_real.detach(), logits_fake.detach())


def make_outputs(generator: nn.Module, supervision: Supervision, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
    """The generator's outputs, coarse to fine, for latents (N, Z)."""
    return supervision.generate(generator, latent, labels)


def generator_objective(
    generator: nn.Module,
    discriminator: nn.Module,
    loss: Loss,
    supervision: Supervision,
    augmentation: Augmentation,
    inputs: GeneratorInputs,
    matching: Matching | None = None,
) -> Tensor:
    """The generator's mean loss over N fakes, each paired with a real image if the loss is relativistic."""
    assert inputs.latent is not None
    outputs = make_outputs(generator, supervision, inputs.latent, inputs.labels)
    return outputs_objective(outputs, discriminator, loss, supervision, augmentation, inputs, matching)


def pull_of(matching: Matching, reference: Reference, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """What `matching` adds to the loss of all final images (N, C, H, W) of a step, and its gradient by them."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        value = reference.weight * matching(reference.images, images, reference.labels, labels)
        gradient = torch.autograd.grad(value, images)[0] if value.requires_grad else torch.zeros_like(images)
    return value.detach(), gradient


def outputs_objective(
    outputs: list[Tensor],
    discriminator: nn.Module,
    loss: Loss,
    supervision: Supervision,
    augmentation: Augmentation,
    inputs: GeneratorInputs,
    matching: Matching | None = None,
) -> Tensor:
    """The same for outputs that the generator has made."""
    labels = None if inputs.labels is None else supervision.repeat(inputs.labels)
    random = supervision.repeat(inputs.random, 1)
    augmented = AugmentedDiscriminator(discriminator, augmentation, inputs.strength, labels, random)
    logits_real = None
    if loss.relativistic:
        with torch.no_grad():
            logits_real = augmented.real(supervision.real_input(inputs.real, inputs.noise))
    value = loss.generator(logits_real, augmented.fake(supervision.fake_input(outputs, inputs.noise))).mean()
    if matching is not None and (real := inputs.reference) is not None:
        value = value + real.weight * matching(real.images, outputs[-1], real.labels, inputs.labels)
    if inputs.pull is not None:
        pulled = (outputs[-1] * inputs.pull).sum()
        value = value + pulled - pulled.detach()
    if inputs.transport is not None and inputs.latent is not None:
        value = value + inputs.transport * (outputs[-1].flatten(1) - inputs.latent).square().mean()
    return value + supervision.regulariser(outputs)
