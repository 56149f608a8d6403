"""A one-step student of a flow: it learns where the flow carries each noise, without the steps in between.

One batch is one step on ||G(z) - x(1)||^2, the mean over pixels, where x(1) is the end point of the flow's equation
from z (Luhman and Luhman, 2021; pairs as in rectified flow, Liu et al., 2023). Real images are not looked at; time is
counted in pairs shown, as elsewhere in images.
"""

from typing import Any

from torch import Tensor, nn

from transgan.ode import check
from transgan.sampling.flow import carried
from transgan.schedules import Schedule
from transgan.training.generative import Batch
from transgan.training.latents import FromLatents, latent_dim_of
from transgan.training.one_network import OneNetwork
from transgan.training.pairs import Pairs
from transgan.training.pretrained import Pretrained


class Student(OneNetwork, FromLatents):
    """Trains `generator` to make in one step what `teacher` makes in many.

    Args:
        generator: (latent (N, Z), labels (N,) or None) -> images (N, C, H, W); its latent is noise in the shape of an
            image, such as OneStep's.
        teacher: a flow's network, (x_t, times, labels) -> velocity; it is not trained.
        teacher_steps, teacher_solver: of its equation, "euler" or "heun". teacher_guidance: that of its velocities
            (sampling/flow.py); None or 1 for none.
        reuse: how often a pair is trained on. delay: after how many further pairs of its place in the batch it comes up
            again (pairs.py).
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
        teacher_guidance: float | None = None,
        reuse: int = 4,
        delay: int = 8,
        lr: float | Schedule = 1e-3,
        compile: str | None = None,
        generator_pretrained: Pretrained | None = None,
        **others: Any,
    ):
        super().__init__(generator, lr=lr, pretrained=generator_pretrained, **others)
        check(teacher_steps, teacher_solver)
        for name, number in (("reuse", reuse), ("delay", delay)):
            if number < 1:
                raise ValueError(f"algorithm.{name}={number}: it takes a whole number, 1 or more")
        self.latent_dim, values = latent_dim_of(generator), getattr(teacher, "num_values", None)
        if self.latent_dim != values:
            raise ValueError(
                f"the generator takes latents of {self.latent_dim} numbers, and the flow's noise has {values}; give "
                "generator=from_flow"
            )
        self.teacher = teacher.eval().requires_grad_(False)
        self.teacher_steps, self.teacher_solver = teacher_steps, teacher_solver
        self.teacher_guidance = 1.0 if teacher_guidance is None else teacher_guidance
        self.pairs = Pairs(self.flowed, self.latent_dim, self.num_classes, self.seed, reuse, delay)
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        count = len(self.images_and_labels(batch)[0])
        self.begin_step(count)
        world = self.trainer.world_size
        latent, images, labels = self.pairs.at(self.step, count, self.global_rank, world, self.device)

        def part_of_loss(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            value = self.objective(self.generator, latent[part], images[part], some)
            return value, {"loss": value}

        self.learn(part_of_loss, count, self.scheduled())

    def flowed(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """Where the flow carries noise (N, Z)."""
        teacher: Any = self.teacher
        noise = latent.unflatten(1, (teacher.in_chans, teacher.img_size, teacher.img_size))
        return carried(teacher, noise, labels, self.teacher_steps, self.teacher_solver, self.teacher_guidance)

    def train(self, mode: bool = True) -> "Student":
        """Leaves the teacher in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def objective(generator: nn.Module, latent: Tensor, images: Tensor, labels: Tensor | None) -> Tensor:
    """The mean squared error of the images."""
    return (generator(latent, labels) - images).square().mean()
