"""A generator against a discriminator.

One batch is one discriminator step; every `n_critic` batches the generator takes one. Time is counted in images shown.
`Adversarial.training_step` is the algorithm.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from transgan.augmentation import DiffAugment
from transgan.augmentation.compose import Untouched
from transgan.ema import decay, update_ema
from transgan.losses import Relativistic
from transgan.penalties import R1R2
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
from transgan.sampling.pixels import to_float
from transgan.schedules import Schedule
from transgan.supervision import FinalImage
from transgan.training.generative import Batch
from transgan.training.heldout import heldout_logits, logits_between_steps, required
from transgan.training.microbatches import pairwise, part_of, total
from transgan.training.objectives import (
    DiscriminatorInputs,
    Fakes,
    GeneratorInputs,
    Reference,
    discriminator_objective,
    generator_objective,
    make_outputs,
    outputs_objective,
    pull_of,
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
        if not pairwise(self.loss):
            name = type(self.loss).__name__
            return (
                f"{name} compares with the mean over a batch, which a part of it does not know; use loss=relativistic, "
                "or a smaller batch_size and no micro_batch"
            )
        return super().obstacle()

    # Training.

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng, now = self.begin_step(len(images)), self.scheduled()
        logits_heldout = heldout_logits(self, len(images), now) if self.needs_heldout else None

        real = self.mirrored(to_float(images), rng)
        for_generator = (self.step + 1) % self.n_critic == 0  # this batch is followed by a step of it
        fakes = self.fakes(rng.normal(self.latent_dim), labels, self.share_fakes and for_generator)
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

    def fakes(self, latent: Tensor, labels: Tensor | None, with_graph: bool) -> Fakes:
        """The fakes of latents (n, Z); with their graph only where all are made at once."""
        count = len(latent)

        def make() -> list[Tensor]:
            with torch.set_grad_enabled(with_graph and not self.parts.divides(count)):
                found = []
                for part in self.parts.of(count):
                    some = None if labels is None else part_of(labels, part, count)
                    found.append(
                        self.make_outputs(self.generator, self.supervision, part_of(latent, part, count), some)
                    )
                return found[0] if len(found) == 1 else [torch.cat(each) for each in zip(*found, strict=True)]

        return Fakes(latent, self.parts.fitting(count, make))

    def discriminator_step(
        self, real: Tensor, fakes: Fakes, labels: Tensor | None, rng: RandomNumbers, now: dict[str, float]
    ) -> tuple[Tensor, Tensor]:
        """One step of the discriminator on real images (n, C, H, W) and as many fakes -> the logits (n,) of both."""
        supervision, count = self.supervision, len(real)
        with torch.no_grad():
            noise = supervision.sample_noise(rng, real.shape[1:])
            fake = supervision.fake_input(fakes.outputs, noise).float()
            real = supervision.real_input(real, noise)
        num_augmentations = 2 if self.consistency is None else 2 + self.consistency.num_augmentations
        random = self.augmentation_random(rng, num_augmentations)
        penalty, augmentation = self.penalty.at_step(self.step), self.augmenting(now)
        inputs = DiscriminatorInputs(
            real=real,
            fake=fake,
            labels=None if labels is None else supervision.repeat(labels),
            random=supervision.repeat(random, 1),
            noise=supervision.repeat(penalty.sample_noise(rng, real.shape[1:])),
            strength=self.scalar(now["augment"]),
            gamma=self.scalar(now["gamma"]),
        )
        logs: list[dict[str, Tensor]] = []
        logits: list[tuple[Tensor, Tensor]] = []

        def objective(part: slice) -> Tensor:
            if part.start == 0:
                logs.clear()
                logits.clear()
            some, own, share = inputs, penalty, (part.stop - part.start) / count
            if share < 1:
                each = len(real) // count  # inputs of an image
                some = inputs.part(part, count)
                own = penalty.of_part(slice(each * part.start, each * part.stop), len(real))
            value, log, both = self.discriminator_objective(
                self.discriminator, self.loss, own, self.consistency, augmentation, some
            )
            logs.append({name: share * number for name, number in log.items()} if share < 1 else log)
            logits.append(both)
            return value

        # The raw optimizer: Lightning counts only its own steps, so that global_step is generator updates.
        optimizer = self.optimizers()[1].optimizer  # type: ignore[index]
        trained = [parameter for parameter in self.discriminator.parameters() if parameter.requires_grad]
        rates, beta2 = self.rates("discriminator", now), now.get("beta2")
        self.log_values = {}
        self.step_optimizer("discriminator", optimizer, objective, count, rates, beta2, trained, fakes.forget_graph)
        self.log_values |= {name: total([log[name] for log in logs]) for name in logs[0]}
        logits_real, logits_fake = (torch.cat(each) if len(each) > 1 else each[0] for each in zip(*logits, strict=True))
        return supervision.final_logits(logits_real), supervision.final_logits(logits_fake)

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
        latent = rng.normal(self.latent_dim) if fakes is None else fakes.latent
        inputs = GeneratorInputs(
            real=real,
            latent=latent,
            labels=labels,
            noise=self.supervision.sample_noise(rng, real.shape[1:]),
            random=self.augmentation_random(rng, 2),
            strength=self.scalar(now["augment"]),
            reference=reference,
            transport=self.scalar(now["transport"]) if "transport" in now else None,
        )
        parts = (self.discriminator, self.loss, self.supervision, self.augmenting(now))
        count, known = len(latent), fakes
        values: list[Tensor] = []
        added: list[Tensor] = []  # by matching, which compares all images of a step

        def objective(part: slice) -> Tensor:
            nonlocal known, inputs
            if part.start == 0:
                values.clear()
            whole = part.stop - part.start == count
            if whole and known is not None and known.outputs[-1].requires_grad:
                value = self.outputs_objective(known.outputs, *parts, inputs, self.matching)
            elif whole:
                value = self.generator_objective(self.generator, *parts, inputs, self.matching)
            else:
                if self.matching is not None and reference is not None and inputs.pull is None:
                    known = self.fakes(latent, labels, False) if known is None else known
                    value, pull = pull_of(self.matching, reference, known.outputs[-1], labels)
                    added.append(value)
                    inputs = replace(inputs, pull=pull)
                value = self.generator_objective(self.generator, *parts, inputs.part(part, count))
            values.append(value.detach() if whole else value.detach() * ((part.stop - part.start) / count))
            return value

        def forget() -> None:
            if known is not None:
                known.forget_graph()

        with self.holding_discriminator():
            optimizer, rates = self.optimizers()[0], self.rates("generator", now)  # type: ignore[index]
            taken = self.step_optimizer(
                "generator", optimizer, objective, count, rates, now.get("beta2"), before_again=forget,
                collective=self.matching is not None,
            )  # fmt: skip
        self.log_values["loss_g"] = total(values + added[:1])
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
        """(count, n, num_random) uniform numbers: for the real images, for the fakes, and again."""
        return torch.stack([rng.uniform(self.augmentation.num_random) for _ in range(count)])

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
