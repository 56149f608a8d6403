"""A one-step student of a flow: it learns where the flow carries each noise, without the steps in between.

One batch is one step on ||G(z) - x(1)||^2, the mean over pixels, where x(1) is the end point of the flow's equation
from z (Luhman and Luhman, 2021; pairs as in rectified flow, Liu et al., 2023). Real images are not looked at; time is
counted in pairs shown, as elsewhere in images.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from transgan.ode import check, solve
from transgan.schedules import Schedule
from transgan.training.generative import Batch
from transgan.training.latents import FromLatents, latent_dim_of
from transgan.training.one_network import OneNetwork
from transgan.training.pretrained import Pretrained
from transgan.training.randomness import StepRNG, mix


@dataclass(frozen=True)
class Pairs:
    """Noise and where the flow carries it, of a block of S steps: P pairs for each of n places in a batch."""

    block: int
    latent: Tensor  # (n, P, Z)
    images: Tensor  # (n, P, C, H, W)
    labels: Tensor | None  # (n, P)
    order: Tensor  # (n, S), which pair comes up at each step: all of them once, and again in another order

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latents (n, Z), images (n, C, H, W) and labels (n,) of a step of the block."""
        own = torch.arange(len(self.order), device=self.order.device), self.order[:, step]
        return self.latent[own], self.images[own], None if self.labels is None else self.labels[own]


class Student(OneNetwork, FromLatents):
    """Trains `generator` to make in one step what `teacher` makes in many.

    Args:
        generator: (latent (N, Z), labels (N,) or None) -> images (N, C, H, W); its latent is noise in the shape of an
            image, such as OneStep's.
        teacher: a flow's network, (x_t, times, labels) -> velocity; it is not trained.
        teacher_steps, teacher_solver: of its equation, "euler" or "heun".
        reuse: how often a pair is trained on. Pairs are made for `block` steps at a time, in which each of them comes
            up so often, in random order; a run that goes on makes those of its block again.
        block: steps, a multiple of `reuse`.
        compile: None for eager, or a torch.compile backend such as "inductor".
        generator_pretrained: how pretrained weights are trained (pretrained.py).
        others: as in one_network.py and generative.py.

    Raises ValueError for a generator with other latents, and numbers out of range.
    """

    networks = ("generator",)
    main_values = ("loss",)
    generator: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        teacher: nn.Module,
        *,
        teacher_steps: int = 16,
        teacher_solver: str = "heun",
        reuse: int = 4,
        block: int = 64,
        lr: float | Schedule = 1e-3,
        compile: str | None = None,
        generator_pretrained: Pretrained | None = None,
        **others: Any,
    ):
        super().__init__(generator, lr=lr, pretrained=generator_pretrained, **others)
        check(teacher_steps, teacher_solver)
        if reuse < 1 or block < 1 or block % reuse:
            raise ValueError(
                f"algorithm.reuse={reuse} and algorithm.block={block}: give whole numbers, the second a multiple of "
                "the first"
            )
        self.latent_dim, values = latent_dim_of(generator), getattr(teacher, "num_values", None)
        if self.latent_dim != values:
            raise ValueError(
                f"the generator takes latents of {self.latent_dim} numbers, and the flow's noise has {values}; give "
                "generator=from_flow"
            )
        self.teacher = teacher.eval().requires_grad_(False)
        self.teacher_steps, self.teacher_solver = teacher_steps, teacher_solver
        self.reuse, self.block = reuse, block
        self.pairs: Pairs | None = None  # of the present block
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        count = len(self.images_and_labels(batch)[0])
        self.begin_step(count)
        block, step = divmod(self.step, self.block)
        if self.pairs is None or self.pairs.block != block or len(self.pairs.latent) != count:
            self.pairs = self.made(block, count)
        latent, images, labels = self.pairs.at(step)

        def part_of_loss(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            value = self.objective(self.generator, latent[part], images[part], some)
            return value, {"loss": value}

        self.learn(part_of_loss, count, self.scheduled())

    @torch.no_grad()
    def made(self, block: int, count: int) -> "Pairs":
        """The pairs of a block of steps, for the `count` images that a step has in this process.

        Each place in a batch has pairs of its own, so that they are the same whatever the number of processes.
        """
        each = self.block // self.reuse
        rng = StepRNG(mix(self.seed, 3), block, count, self.global_rank, self.trainer.world_size, self.device)
        latent = rng.normal(each, self.latent_dim)
        labels = (rng.uniform(each) * self.num_classes).long() if self.num_classes else None
        order = rng.uniform(self.reuse, each).argsort(2).flatten(1)
        found = [self.flowed(latent[:, i], None if labels is None else labels[:, i]) for i in range(each)]
        return Pairs(block, latent, torch.stack(found, 1), labels, order)

    def flowed(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """Where the flow carries noise (N, Z)."""
        teacher: Any = self.teacher
        noise = latent.unflatten(1, (teacher.in_chans, teacher.img_size, teacher.img_size))

        def field(x: Tensor, time: Tensor) -> Tensor:
            found: Tensor = teacher(x, time, labels)
            return found

        return solve(field, noise, 0.0, 1.0, self.teacher_steps, self.teacher_solver)

    def train(self, mode: bool = True) -> "Student":
        """Leaves the teacher in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def objective(generator: nn.Module, latent: Tensor, images: Tensor, labels: Tensor | None) -> Tensor:
    """The mean squared error of the images."""
    return (generator(latent, labels) - images).square().mean()
