"""A generator against a discriminator.

One batch is one discriminator step; every `n_critic` batches the generator takes one. Time is counted in images shown.
`Adversarial.training_step` is the algorithm.
"""

from contextlib import AbstractContextManager
from math import lcm
from typing import Any

import torch
from torch import Tensor, nn

from transgan.augmentation import DiffAugment
from transgan.augmentation.compose import Untouched
from transgan.ema import decay, update_ema
from transgan.losses import Relativistic
from transgan.penalties import R1R2, drawn_by, fewest_of, period_of
from transgan.protocols import (
    Augmentation,
    Consistency,
    Loss,
    Matching,
    Penalty,
    RandomNumbers,
    StrengthController,
    Supervision,
    of_batch,
)
from transgan.sampling.pixels import to_float
from transgan.schedules import Schedule
from transgan.supervision import FinalImage
from transgan.training.discriminator_step import DiscriminatorStep
from transgan.training.fakes import Fakes, fakes_of
from transgan.training.generative import Batch
from transgan.training.generator_step import GeneratorStep
from transgan.training.heldout import heldout_logits, logits_between_steps, required
from transgan.training.microbatches import needs_all
from transgan.training.objectives import (
    Reference,
    discriminator_objective,
    generator_objective,
    make_outputs,
    outputs_objective,
)
from transgan.training.reference import reference_of
from transgan.training.two_networks import TwoNetworks, frozen


class Adversarial(TwoNetworks):
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
        matching: None, or a distance between real and generated images for the generator's step (matching.py).
        gamma, augment: numbers or schedules over images shown. gamma / 2 weights the penalty; augment is the strength
            of augmentation in [0, 1], or the largest if it adapts.
        n_critic: discriminator steps per generator step.
        transport: None, or the weight of ||G(z) - z||^2, the mean over an image's numbers, in the generator's step; a
            number or a schedule. For a generator whose latent is noise in the shape of an image (adversarial flow
            models, Lin et al., 2025, with a weight that falls).
        share_fakes: whether a generator step is about the fakes of the discriminator step before it, made once, and not
            about others. Their graph stays in memory during the discriminator step.
        compile: None for eager, or a torch.compile backend such as "inductor".
        others: as in two_networks.py and generative.py.

    Raises ValueError for parts that do not go together.
    """

    main_values = ("loss_g", "loss_d")
    objectives = ("make_outputs", "discriminator_objective", "generator_objective", "outputs_objective")

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
        gamma: float | Schedule = 0.1,
        augment: float | Schedule = 1.0,
        transport: float | Schedule | None = None,
        n_critic: int = 1,
        share_fakes: bool | None = None,
        compile: str | None = None,
        **others: Any,
    ):
        super().__init__(
            generator,
            discriminator,
            schedules={"gamma": gamma, "augment": augment}
            | ({} if matching is None else {"matching": matching.weight})
            | ({} if transport is None else {"transport": transport}),
            **others,
        )
        augmentation = DiffAugment() if augmentation is None else augmentation
        self.loss: Loss = loss or Relativistic()
        self.penalty: Penalty = penalty or R1R2()
        self.supervision: Supervision = supervision or FinalImage()
        self.augmentation = self.supervision.wrap(augmentation)  # of the discriminator's inputs
        self.consistency, self.adaptive, self.heldout = consistency, adaptive, None
        self.matching, self.dataset = matching, None
        self.n_critic, self.share_fakes = n_critic, bool(share_fakes)
        self.check(augmentation.num_random)
        self.period, self.fewest = lcm(n_critic, period_of(self.penalty)), fewest_of(self.penalty)
        self.discriminator_objective, self.generator_objective = discriminator_objective, generator_objective
        self.make_outputs, self.outputs_objective = make_outputs, outputs_objective
        self.compile_objectives(compile)
        self.take_parts()
        self.images_before = 0  # in the steps since the generator's last one

    def check(self, num_random: int) -> None:
        """Raises ValueError for parts that do not go together."""
        if self.n_critic < 1:
            raise ValueError(f"algorithm.n_critic must be at least 1, not {self.n_critic}")
        if self.batch_size:
            self.penalty.check(self.batch_size, self.discriminator)
        if self.consistency is not None:
            self.consistency.check(num_random)
        if self.adaptive is not None:
            self.adaptive.check(self.loss, num_random)
        self.supervision.check(self.generator)
        if "transport" in self.schedules and getattr(self.generator, "num_values", None) != self.latent_dim:
            raise ValueError(
                "algorithm.transport compares an image with the noise it is made of, and this generator has latents of "
                "another shape; give generator=one_step or generator=from_flow, or algorithm.transport=null"
            )

    def obstacle(self) -> str | None:
        return needs_all(self.loss) or super().obstacle()

    # Training.

    def kind(self, step: int) -> tuple[bool, bool]:
        """Whether a step of the generator follows, and whether there is a penalty."""
        return (step + 1) % self.n_critic == 0, step % period_of(self.penalty) == 0

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng, now = self.begin_step(len(images)), self.scheduled()
        logits_heldout = heldout_logits(self, len(images), now) if self.needs_heldout else None

        real = self.mirrored(to_float(images), rng)
        for_generator, _ = self.kind(self.step)  # this batch is followed by a step of it
        fakes = fakes_of(self, rng.normal(self.latent_dim), labels, self.share_fakes and for_generator)
        logits = self.discriminator_step(real, fakes, labels, rng, now)
        self.log_values["discriminator_accuracy"] = 0.5 + 0.5 * (logits[0] - logits[1]).sign().mean()  # of the pairs
        if self.adaptive is not None:
            largest = self.schedules["augment"](self.images_seen)
            self.log_values |= self.adaptive.update(*logits, logits_heldout, largest, self.all_reduce)

        self.images_before += self.images_in_step
        if for_generator:
            reference = reference_of(self, real, labels, now)
            if self.generator_step(real, fakes if self.share_fakes else None, labels, rng, now, reference):
                keep = decay(self.images_before, 1000 * now["ema_halflife"])
                update_ema(self.generator_ema, self.generator, keep)
            self.images_before = 0

        self.log_values |= now
        self.end_step()

    def discriminator_step(
        self, real: Tensor, fakes: Fakes, labels: Tensor | None, rng: RandomNumbers, now: dict[str, float]
    ) -> tuple[Tensor, Tensor]:
        """One step of the discriminator on real images (n, C, H, W) and as many fakes -> the logits (n,) of both."""
        step = DiscriminatorStep(self, real, fakes, labels, rng, now)
        # The raw optimizer: Lightning counts only its own steps, so that global_step is generator updates.
        optimizer = self.optimizers()[1].optimizer  # type: ignore[index]
        trained = [parameter for parameter in self.discriminator.parameters() if parameter.requires_grad]
        rates, beta2 = self.rates("discriminator", now), now.get("beta2")
        self.log_values = {}
        self.step_optimizer(
            "discriminator", optimizer, step.objective, step.count, rates, beta2, trained, fakes.forget_graph
        )  # fmt: skip
        self.log_values |= step.log()
        return step.logits()

    def generator_step(
        self,
        real: Tensor,
        fakes: Fakes | None,
        labels: Tensor | None,
        rng: RandomNumbers,
        now: dict[str, float],
        reference: Reference | None,
    ) -> bool:
        """One step of the generator; False if it was skipped. Real images (n, C, H, W) are for relativistic losses.

        fakes: those that it is about; None for new ones. reference: the images of `matching`.
        """
        step = GeneratorStep(self, real, fakes, labels, rng, now, reference)
        with self.holding_discriminator():
            optimizer, rates = self.optimizers()[0], self.rates("generator", now)  # type: ignore[index]
            taken = self.step_optimizer(
                "generator", optimizer, step.objective, step.count, rates, now.get("beta2"),
                before_again=step.forget_graph, collective=self.matching is not None,
            )  # fmt: skip
        self.log_values["loss_g"] = step.value()
        return taken

    def scheduled(self) -> dict[str, float]:
        """What the schedules say for this step, with the strength of augmentation as it has adapted."""
        now = super().scheduled()
        if self.adaptive is not None:
            now["augment"] = self.adaptive.current(now["augment"])
        return now

    def augmenting(self, now: dict[str, float]) -> Augmentation:
        """The augmentation of a step: none at strength 0, where an adaptive one begins and often stays.

        A compiled graph has it at every strength, for it would be built anew with the first that is not 0.
        """
        unchanged = now["augment"] == 0 and self.consistency is None and not self.is_compiled
        return Untouched() if unchanged else self.augmentation

    def augmentation_random(self, rng: RandomNumbers, count: int) -> Tensor:
        """(count, n, A) uniform numbers: for the real images, for the fakes, and again.

        What several images share is in them, so that they are those of any part of the batch.
        """
        size = self.augmentation.num_random
        drawn = [rng.uniform(size + drawn_by(self.discriminator)) for _ in range(count)]
        return torch.stack([torch.cat([of_batch(self.augmentation, x[:, :size]), x[:, size:]], 1) for x in drawn])

    def scalar(self, value: float) -> Tensor:
        """As a tensor: a compiled graph would be rebuilt for every new Python number.

        Filled on the device, because a copy to a GPU waits for it.
        """
        return torch.full((), value, device=self.device)

    def holding_discriminator(self) -> AbstractContextManager[None]:
        """A context for the generator's step."""
        return frozen(self.discriminator)

    # Held-out images, for an adaptive strength.

    @property
    def needs_heldout(self) -> bool:
        return self.adaptive is not None and self.adaptive.needs_heldout

    def attach(self, dataset: Any, heldout: Any) -> None:
        super().attach(dataset, heldout)
        self.dataset = dataset
        if self.needs_heldout:
            self.heldout = required(heldout)

    def discriminate(self, images: Tensor, labels: Tensor | None, seed: int = 0) -> Tensor:
        """Logits (N,) of uint8 images (N, C, H, W), augmented as the next step would by random numbers of `seed`.

        Between two steps, on any process alone: nothing that is trained changes.
        """
        return logits_between_steps(self, images, labels if self.num_classes else None, seed)

    def all_reduce(self, sums: Tensor) -> Tensor:
        """The sums over all processes."""
        return self.trainer.strategy.reduce(sums, reduce_op="sum")

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
