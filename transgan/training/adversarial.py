"""A generator against a discriminator.

One batch is one discriminator step; every `n_critic` batches the generator takes one. Time is counted in images shown.
`Adversarial.training_step` is the algorithm.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from transgan.augmentation import DiffAugment
from transgan.ema import decay, update_ema
from transgan.losses import Relativistic
from transgan.penalties import R1R2, AugmentedDiscriminator
from transgan.protocols import (
    Augmentation,
    Consistency,
    Loss,
    Matching,
    Penalty,
    RandomNumbers,
    StrengthController,
    Supervision,
)
from transgan.schedules import Schedule, Share, schedule
from transgan.supervision import FinalImage
from transgan.training.generative import Batch, Generative, to_float, to_uint8
from transgan.training.objectives import (
    DiscriminatorInputs,
    GeneratorInputs,
    discriminator_objective,
    generator_objective,
)
from transgan.training.pretrained import Pretrained
from transgan.training.randomness import StepRNG, mix, seeded_normal
from transgan.training.truncation import truncated
from transgan.training.two_networks import frozen, latent_dim_of, require_trainer


class Adversarial(Generative):
    """Trains `generator` against `discriminator`, and keeps an EMA of the generator to sample from.

    The defaults are those of conf/algorithm/gan.yaml, with constants in place of its schedules: a relativistic loss,
    exact R1 and R2 in every step, and Adam without a first moment, as in R3GAN (2024).

    Args:
        generator: (latent (N, Z), labels (N,) or None) -> images (N, C, H, W) in [-1, 1]; has `latent_dim`, Z.
        discriminator: (images, labels) -> logits (N,), each a function of its own image alone: no batch norm.
        loss, penalty, consistency, augmentation, supervision: as in transgan/protocols.py. By default Relativistic(),
            R1R2(), none, DiffAugment() and FinalImage().
        adaptive: None, or how the strength of augmentation follows the discriminator's overfitting (AdaptiveStrength).
            If it `needs_heldout`, `attach` must be given held-out images.
        optimizer: makes an optimizer from parameters and `lr`; by default Adam with betas (0, 0.99).
        generator_lr, discriminator_lr, beta2, gamma, augment, ema_halflife: numbers or schedules over images shown.
            gamma / 2 weights the penalty; augment is the strength of augmentation in [0, 1], or the largest if it
            adapts; ema_halflife is in kimg, by default a tenth of what has been shown, at most 500. beta2 of None
            leaves the optimizer's own.
        n_critic: discriminator steps per generator step.
        generator_pretrained, discriminator_pretrained: how pretrained weights are trained (pretrained.py).
        compile: None for eager, or a torch.compile backend such as "inductor".
        others: as in generative.py.

    Raises ValueError for parts that do not go together.
    """

    networks = ("generator", "discriminator")
    remedy = "a lower algorithm.generator_lr.start or a larger algorithm.gamma.start"
    main_values = ("loss_g", "loss_d")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: Loss | None = None,
        penalty: Penalty | None = None,
        consistency: Consistency | None = None,
        augmentation: Augmentation | None = None,
        adaptive: StrengthController | None = None,
        supervision: Supervision | None = None,
        matching: Matching | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        generator_lr: float | Schedule = 2e-4,
        discriminator_lr: float | Schedule = 2e-4,
        beta2: float | Schedule | None = None,
        gamma: float | Schedule = 0.1,
        augment: float | Schedule = 1.0,
        matching_weight: float | Schedule | None = None,
        ema_halflife: float | Schedule | None = None,
        n_critic: int = 1,
        generator_pretrained: Pretrained | None = None,
        discriminator_pretrained: Pretrained | None = None,
        compile: str | None = None,
        **others: Any,
    ):
        super().__init__(**others)
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = deepcopy(generator).eval().requires_grad_(False)
        self.latent_dim = latent_dim_of(generator)
        augmentation = DiffAugment() if augmentation is None else augmentation
        self.loss: Loss = loss or Relativistic()
        self.penalty: Penalty = penalty or R1R2()
        self.supervision: Supervision = supervision or FinalImage()
        self.augmentation = self.supervision.wrap(augmentation)  # of the discriminator's inputs
        self.consistency, self.adaptive, self.heldout = consistency, adaptive, None
        self.matching = matching
        self.optimizer = optimizer or partial(torch.optim.Adam, betas=(0.0, 0.99))
        self.n_critic = n_critic
        schedules = {
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr,
            "beta2": beta2,
            "gamma": gamma,
            "augment": augment,
            "matching_weight": matching_weight if matching is not None else None,
            "ema_halflife": Share(0.1, 500.0) if ema_halflife is None else ema_halflife,
        }
        self.schedules = {name: schedule(value) for name, value in schedules.items() if value is not None}
        pretrained = {"generator": generator_pretrained, "discriminator": discriminator_pretrained}
        self.pretrained = {name: part for name, part in pretrained.items() if part is not None}
        self.check(augmentation.num_random)
        self.discriminator_objective, self.generator_objective = discriminator_objective, generator_objective
        if compile:
            self.discriminator_objective = torch.compile(discriminator_objective, backend=compile)
            self.generator_objective = torch.compile(generator_objective, backend=compile)
        self.images_before = 0  # in the steps since the generator's last one

    def check(self, num_random: int) -> None:
        """Raises ValueError for parts that do not go together."""
        if self.n_critic < 1:
            raise ValueError(f"algorithm.n_critic must be at least 1, not {self.n_critic}")
        for name, part in self.pretrained.items():
            part.copied(getattr(self, name))
        if self.batch_size:
            self.penalty.check(self.batch_size, self.discriminator)
        if self.consistency is not None:
            self.consistency.check(num_random)
        if self.adaptive is not None:
            self.adaptive.check(self.loss, num_random)
        self.supervision.check(self.generator)

    # Training.

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng, now = self.begin_step(len(images)), self.scheduled()
        logits_heldout = self.heldout_logits(len(images), now) if self.needs_heldout else None

        real = self.mirrored(to_float(images), rng)
        logits = self.discriminator_step(real, labels, rng, now)
        if self.adaptive is not None:
            largest = self.schedules["augment"](self.images_seen)
            self.log_values |= self.adaptive.update(*logits, logits_heldout, largest, self.all_reduce)

        self.images_before += self.images_in_step
        if (self.step + 1) % self.n_critic == 0:
            if self.generator_step(real, labels, rng, now):
                keep = decay(self.images_before, 1000 * now["ema_halflife"])
                update_ema(self.generator_ema, self.generator, keep)
            self.images_before = 0

        self.log_values |= now
        self.end_step()

    def discriminator_step(
        self, real: Tensor, labels: Tensor | None, rng: RandomNumbers, now: dict[str, float]
    ) -> tuple[Tensor, Tensor]:
        """One step of the discriminator on real images (n, C, H, W) and as many fakes -> the logits (n,) of both."""
        supervision = self.supervision
        with torch.no_grad():
            outputs = supervision.generate(self.generator, rng.normal(self.latent_dim), labels)
            noise = supervision.sample_noise(rng, real.shape[1:])
            fake = supervision.fake_input(outputs, noise).float()
            real = supervision.real_input(real, noise)
        num_augmentations = 2 if self.consistency is None else 2 + self.consistency.num_augmentations
        random = self.augmentation_random(rng, num_augmentations)
        penalty = self.penalty.at_step(self.step)
        inputs = DiscriminatorInputs(
            real=real,
            fake=fake,
            labels=None if labels is None else supervision.repeat(labels),
            random=supervision.repeat(random, 1),
            noise=supervision.repeat(penalty.sample_noise(rng, real.shape[1:])),
            strength=self.scalar(now["augment"]),
            gamma=self.scalar(now["gamma"]),
        )
        value, log, logits = self.discriminator_objective(
            self.discriminator, self.loss, penalty, self.consistency, self.augmentation, inputs
        )
        self.log_values = dict(log)
        # The raw optimizer: Lightning counts only its own steps, so that global_step is generator updates.
        optimizer = self.optimizers()[1].optimizer  # type: ignore[index]
        self.step_optimizer("discriminator", optimizer, value, self.rates("discriminator", now), now.get("beta2"))
        return supervision.final_logits(logits[0]), supervision.final_logits(logits[1])

    def generator_step(self, real: Tensor, labels: Tensor | None, rng: RandomNumbers, now: dict[str, float]) -> bool:
        """One step of the generator; False if it was skipped. Real images (n, C, H, W) are for relativistic losses."""
        inputs = GeneratorInputs(
            real=real,
            latent=rng.normal(self.latent_dim),
            labels=labels,
            noise=self.supervision.sample_noise(rng, real.shape[1:]),
            random=self.augmentation_random(rng, 2),
            strength=self.scalar(now["augment"]),
            matching=self.scalar(now.get("matching_weight", 0.0)),
        )
        with self.holding_discriminator():
            value = self.generator_objective(
                self.generator, self.discriminator, self.loss, self.supervision, self.augmentation, inputs,
                self.matching,
            )  # fmt: skip
            self.log_values["loss_g"] = value.detach()
            optimizer = self.optimizers()[0]  # type: ignore[index]
            return self.step_optimizer("generator", optimizer, value, self.rates("generator", now), now.get("beta2"))

    def scheduled(self) -> dict[str, float]:
        """What the schedules say for this step, with the strength of augmentation as it has adapted."""
        for name, part in self.pretrained.items():
            part.freeze_until_due(getattr(self, name), self.images_seen)
        now = {name: value(self.images_seen) for name, value in self.schedules.items()}
        if self.adaptive is not None:
            now["augment"] = self.adaptive.current(now["augment"])
        return now

    def augmentation_random(self, rng: RandomNumbers, count: int) -> Tensor:
        """(count, n, num_random) uniform numbers: for the real images, for the fakes, and again."""
        return torch.stack([rng.uniform(self.augmentation.num_random) for _ in range(count)])

    def scalar(self, value: float) -> Tensor:
        """As a tensor: a compiled graph would be rebuilt for every new Python number."""
        return torch.tensor(value, device=self.device)

    def rates(self, name: str, now: dict[str, float]) -> list[float]:
        """The learning rate of each group of parameters."""
        lr = now[f"{name}_lr"]
        return self.pretrained[name].learning_rates(lr) if name in self.pretrained else [lr]

    def holding_discriminator(self) -> AbstractContextManager[None]:
        """A context for the generator's step."""
        return frozen(self.discriminator)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers = []
        for name in self.networks:
            network, part = getattr(self, name), self.pretrained.get(name)
            groups = [{"params": list(network.parameters())}] if part is None else part.parameter_groups(network)
            optimizers.append(self.optimizer(groups, lr=self.schedules[f"{name}_lr"](0)))
        return optimizers

    def setup(self, stage: str) -> None:
        require_trainer(self.trainer)

    # Held-out images.

    @property
    def needs_heldout(self) -> bool:
        return self.adaptive is not None and self.adaptive.needs_heldout

    def attach(self, dataset: Any, heldout: Any) -> None:
        super().attach(dataset, heldout)
        if not self.needs_heldout:
            return
        if heldout is None:
            raise ValueError(
                "this adaptive strength compares with held-out images, and there are none: give holdout=0.1, or "
                "adaptive=pair_signs, which needs none"
            )
        self.heldout = heldout

    @torch.no_grad()
    def heldout_logits(self, n: int, now: dict[str, float]) -> Tensor:
        """The logits of n held-out images, prepared as training images are; other random numbers than the step's."""
        if self.heldout is None:
            raise ValueError("this adaptive strength needs held-out images: call module.attach(dataset, heldout) first")
        rng = StepRNG(mix(self.seed, 1), self.step, n, self.global_rank, self.trainer.world_size, self.device)
        positions = (rng.uniform().double() * len(self.heldout)).long().tolist()
        images, labels = (part.to(self.device) for part in self.heldout.__getitems__(positions))
        real = self.mirrored(to_float(images), rng)
        supervision = self.supervision
        random = supervision.repeat(self.augmentation_random(rng, 2), 1)
        labels = supervision.repeat(labels) if self.num_classes else None
        augmented = AugmentedDiscriminator(
            self.discriminator, self.augmentation, self.scalar(now["augment"]), labels, random
        )
        noise = supervision.sample_noise(rng, real.shape[1:])
        return supervision.final_logits(augmented.real(supervision.real_input(real, noise)))

    def all_reduce(self, sums: Tensor) -> Tensor:
        """The sums over all processes."""
        return self.trainer.strategy.reduce(sums, reduce_op="sum")

    # Sampling.

    @torch.no_grad()
    def generate(self, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) by the EMA weights, image i a function of seeds[i] and labels[i].

        `truncation` is psi of StyleGAN: below 1, images are more typical and less varied (truncation.py).
        """
        labels = self.labels_of(seeds) if labels is None else labels
        labels = labels.to(self.device) if labels is not None and self.num_classes else None
        latent = seeded_normal(seeds, self.latent_dim).to(self.device)
        return to_uint8(truncated(self.generator_ema, latent, labels, truncation))

    # Checkpoints.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["adaptive"] = {} if self.adaptive is None else self.adaptive.state_dict()
        checkpoint["images_before"] = self.images_before

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if self.adaptive is not None and checkpoint.get("adaptive"):
            self.adaptive.load_state_dict(checkpoint["adaptive"])
        whole = self.step % self.n_critic * (self.batch_size or 0)  # earlier versions wrote none, and complete batches
        self.images_before = checkpoint.get("images_before", whole)
