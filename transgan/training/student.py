"""A one-step student of a flow: it learns where the flow carries each noise, without the steps in between.

One batch is one step on ||G(z) - x(1)||^2, the mean over pixels, where x(1) is the end point of the flow's equation
from z (Luhman and Luhman, 2021; pairs as in rectified flow, Liu et al., 2023). Real images are not looked at; time is
counted in pairs shown, as elsewhere in images.
"""

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
        self.pairs: tuple[int, Tensor, Tensor, Tensor | None] | None = None  # of a block: latents, images, labels
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        count = len(self.images_and_labels(batch)[0])
        self.begin_step(count)
        block, step = divmod(self.step, self.block)
        if self.pairs is None or self.pairs[0] != block or len(self.pairs[1]) != self.size(count):
            self.pairs = (block, *self.made(block, count))
        latent, images, labels = self.pairs[1:]
        own = self.order(block, count)[step * count : (step + 1) * count]
        latent, images, labels = latent[own], images[own], None if labels is None else labels[own]

        def part_of_loss(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            value = self.objective(self.generator, latent[part], images[part], some)
            return value, {"loss": value}

        self.learn(part_of_loss, count, self.scheduled())

    def size(self, count: int) -> int:
        """Pairs of a block, in this process."""
        return count * self.block // self.reuse

    def order(self, block: int, count: int) -> Tensor:
        """Which pair comes up at each place of a block: all of them `reuse` times, one round after the other."""
        size = self.size(count)
        generator = torch.Generator().manual_seed(mix(self.seed, 4, block, self.global_rank))
        return torch.cat([torch.randperm(size, generator=generator) for _ in range(self.reuse)]).to(self.device)

    @torch.no_grad()
    def made(self, block: int, count: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """The pairs of a block: latents (P, Z), the images (P, C, H, W) that the flow makes of them, labels (P,)."""
        size, world = self.size(count), self.trainer.world_size
        rng = StepRNG(mix(self.seed, 3), block, size, self.global_rank, world, self.device)
        latent = rng.normal(self.latent_dim)
        labels = (rng.uniform() * self.num_classes).long() if self.num_classes else None
        found = []
        for start in range(0, size, count):
            part = slice(start, start + count)
            own = None if labels is None else labels[part]
            found.append(self.flowed(latent[part], own))
        return latent, torch.cat(found), labels

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
