"""The generator's side of a step: what it makes images of, what it minimises on parts of them, and its loss."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from transgan.protocols import RandomNumbers
from transgan.training.fakes import Fakes, fakes_of
from transgan.training.microbatches import total
from transgan.training.objectives import GeneratorInputs, Reference, pull_of


class GeneratorStep:
    """One step of an Adversarial module's generator, with the arguments of its `generator_step`.

    `count` is the number of fakes. `objective` is the mean over some of them, which are consecutive; once it was asked
    for all of them, `value` is the loss of the step.
    """

    def __init__(
        self,
        module: Any,
        real: Tensor,
        fakes: Fakes | None,
        labels: Tensor | None,
        rng: RandomNumbers,
        now: dict[str, float],
        reference: Reference | None,
    ):
        self.module, self.fakes = module, fakes
        self.latent: Tensor = rng.normal(module.latent_dim) if fakes is None else fakes.latent
        self.count = len(self.latent)
        self.inputs = GeneratorInputs(
            real=real,
            latent=self.latent,
            labels=labels,
            noise=module.supervision.sample_noise(rng, real.shape[1:]),
            random=module.augmentation_random(rng, 2),
            strength=module.scalar(now["augment"]),
            reference=reference,
            transport=module.scalar(now["transport"]) if "transport" in now else None,
        )
        self.players = (module.discriminator, module.loss, module.supervision, module.augmenting(now))
        self.values: list[Tensor] = []  # of each part
        self.added: list[Tensor] = []  # by matching, which compares all images of a step

    def objective(self, part: slice) -> Tensor:
        module, whole = self.module, part.stop - part.start == self.count
        if part.start == 0:
            self.values.clear()
        value: Tensor
        if whole and self.fakes is not None and self.fakes.outputs[-1].requires_grad:
            value = module.outputs_objective(self.fakes.outputs, *self.players, self.inputs, module.matching)
        elif whole:
            value = module.generator_objective(module.generator, *self.players, self.inputs, module.matching)
        else:
            self.match()
            value = module.generator_objective(module.generator, *self.players, self.inputs.part(part, self.count))
        share = (part.stop - part.start) / self.count
        self.values.append(value.detach() if whole else value.detach() * share)
        return value

    def match(self) -> None:
        """Sets the pull of `matching` on all images of the step, for objectives of parts of them."""
        module, reference, labels = self.module, self.inputs.reference, self.inputs.labels
        if module.matching is None or reference is None or self.inputs.pull is not None:
            return
        if self.fakes is None:
            self.fakes = fakes_of(module, self.latent, labels, False)
        value, pull = pull_of(module.matching, reference, self.fakes.outputs[-1], labels)
        self.added.append(value)
        self.inputs = replace(self.inputs, pull=pull)

    def forget_graph(self) -> None:
        if self.fakes is not None:
            self.fakes.forget_graph()

    def value(self) -> Tensor:
        return total(self.values + self.added[:1])
