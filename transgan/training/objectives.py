"""What the two players minimise in a step, as plain functions of tensors and modules.

So they can be compiled completely, second derivative included.

N batch, C channels, H W image, Z latent, A = augmentation.num_random.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transgan.penalties import AugmentedDiscriminator
from transgan.protocols import Augmentation, Consistency, Loss, Matching, Penalty, Supervision


@dataclass(frozen=True)
class DiscriminatorInputs:
    """The tensors of one discriminator step; images as the supervision gives them to the discriminator."""

    real: Tensor  # (N, C, H, W) in [-1, 1]
    fake: Tensor  # (N, C, H, W), without a gradient
    labels: Tensor | None  # (N,)
    random: Tensor  # (2 + consistency.num_augmentations, N, A) uniform, of the augmentation
    noise: Tensor  # (N, ...), of the penalty
    strength: Tensor  # (), of the augmentation, in [0, 1]
    gamma: Tensor  # (), twice the penalty's weight


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
    random: Tensor  # (2, N, A) uniform, of the augmentation
    noise: Tensor  # (N, ...), of the supervision
    strength: Tensor  # (), of the augmentation, in [0, 1]
    reference: Reference | None = None  # for `matching`


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
        augmented = AugmentedDiscriminator(
            discriminator, augmentation, consistency.strength, inputs.labels, inputs.random[2:]
        )  # fmt: skip
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
    return value + supervision.regulariser(outputs)
