"""What the two players minimise in a step, as plain functions of tensors and modules.

So they can be compiled whole, second derivative included.
"""

import torch
from torch import Tensor, nn

from transgan.augmentation import DiffAugment
from transgan.consistency import BalancedConsistency
from transgan.losses import Relativistic
from transgan.penalties import Critic, Penalty
from transgan.supervision import FinalImage


def discriminator_objective(
    discriminator: nn.Module,
    loss: Relativistic,
    penalty: Penalty,
    consistency: BalancedConsistency,
    augment: DiffAugment,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None,
    draws: Tensor,
    numbers: Tensor,
    strength: Tensor,
    gamma: Tensor,
) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor]]:
    """mean(loss) + gamma / 2 * mean(penalty) + the weighted consistencies over N pairs, what to log, and the logits.

    `draws` (2 + consistency.views, N, augment.num_random) are augmentation's, `numbers` (N, ...) the penalty's.
    """
    critic = Critic(discriminator, augment, strength, labels, draws[:2])
    logits_real, logits_fake, penalties = penalty(critic, real, fake, numbers)
    value = loss.discriminator(logits_real, logits_fake).mean()
    log = {"loss_d": value, "d_real": logits_real.mean(), "d_fake": logits_fake.mean()}
    for name, each in penalties.items():
        log[name] = each.mean()
        value = value + 0.5 * gamma * log[name]
    anew = Critic(discriminator, augment, consistency.strength, labels, draws[2:])
    for name, each in consistency(anew, real, fake, logits_real, logits_fake).items():
        log[name] = each.mean()
        value = value + consistency.weights[name] * log[name]
    logits = logits_real.detach(), logits_fake.detach()
    return value, {name: each.detach() for name, each in log.items()}, logits


def generator_objective(
    generator: nn.Module,
    discriminator: nn.Module,
    loss: Relativistic,
    supervision: FinalImage,
    augment: DiffAugment,
    real: Tensor,
    latent: Tensor,
    labels: Tensor | None,
    draws: Tensor,
    noise: Tensor,
    strength: Tensor,
) -> Tensor:
    """The generator's mean loss over M fakes, each against a real one if the loss is relativistic.

    `draws` (2, M, augment.num_random), `noise` (M, ...) is supervision's.
    """
    levels = supervision.generate(generator, latent, labels)
    critic = Critic(discriminator, augment, strength, supervision.labels(labels), supervision.spread(draws, 1))
    logits_real = None
    if loss.relativistic:
        with torch.no_grad():
            logits_real = critic.real(supervision.real(real, noise))
    value = loss.generator(logits_real, critic.fake(supervision.fake(levels, noise))).mean()
    return value + supervision.regulariser(levels)


def fakes_per_image(generator_batch_size: int | None, batch_size: int, loss: Relativistic) -> int:
    """How many fakes of a generator step stand for one real image of a batch. Raises ValueError."""
    size = batch_size if generator_batch_size is None else generator_batch_size
    if not isinstance(size, int) or size < 1 or size % batch_size:
        raise ValueError(
            f"algorithm.generator_batch_size={size} must be a multiple of batch_size={batch_size}, "
            "so that processes can share it, or null for the same"
        )
    if loss.relativistic and size != batch_size:
        raise ValueError(
            f"a relativistic loss pairs every fake with a real image: algorithm.generator_batch_size={size} and "
            f"batch_size={batch_size} must be equal; leave the first at null, or use another loss"
        )
    return size // batch_size
