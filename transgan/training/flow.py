"""A flow: a network that learns the velocity from noise to images (Lipman et al., 2023), sampled in many steps.

One batch is one optimizer step on ||v(x_t, t) - (x - z)||^2, the mean over pixels, with x_t = t x + (1 - t) z. Time is
counted in images shown.
"""

from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from transgan.ode import Pace, check, log_density, paced, runge_kutta
from transgan.sampling import FlowSampler
from transgan.sampling.pixels import checked, to_float
from transgan.sampling.randomness import seeded_uniform
from transgan.training.generative import Batch
from transgan.training.likelihood import LikelihoodModule
from transgan.training.randomness import StepRNG

EXACT_VALUES = 16  # of an image, up to which "auto" computes a divergence exactly


class Flow(LikelihoodModule):
    """Trains `network` to carry noise to images along straight paths.

    Args:
        network: (x_t, times, labels) -> velocity, with the other methods of FlowTransformer.
        time_mean, time_std: of the normal distribution whose sigmoid the times of a batch are (Esser et al., 2024); 0
            is noise alone, 1 the image.
        label_dropout: share of the images whose class is hidden in a step, which guidance needs.
        steps, solver: of sampling, "euler" or "heun", which takes two evaluations a step.
        guidance: 1 for none; above it, velocities go so many times as far away from those without a class as those with
            it do (classifier-free guidance, Ho and Salimans, 2022).
        divergence: for likelihoods, "exact" takes a pass for every value of an image; "hutchinson" one, with random
            signs; "auto" is exact for images of at most 16 values.
        likelihood_steps: for likelihoods, of Heun's method; of Runge's and Kutta's, by another time in which these
            converge, where the network has a `pace`, as one that predicts images does.
        likelihood_count: held-out images, at most, whose likelihood is measured, for each takes long.
        compile: None for eager, or a torch.compile backend such as "inductor".
        others: as in likelihood.py and generative.py.

    A likelihood is that of images whose values lie uniformly within their level (uniform dequantisation, Theis et al.,
    2016): on average a lower bound of the probability of the levels. Images are trained on in the same way.
    """

    main_values = ("loss",)

    def __init__(
        self,
        network: nn.Module,
        *,
        time_mean: float = 0.0,
        time_std: float = 1.0,
        label_dropout: float = 0.0,
        steps: int = 16,
        solver: str = "euler",
        guidance: float = 1.0,
        divergence: str = "auto",
        likelihood_steps: int = 16,
        likelihood_count: int = 512,
        compile: str | None = None,
        **others: Any,
    ):
        super().__init__(network, **others)
        if time_std <= 0:
            raise ValueError(f"algorithm.time_std={time_std:g}: it must be more than 0")
        if not 0 <= label_dropout < 1:
            raise ValueError(f"algorithm.label_dropout={label_dropout:g}: it takes a share from 0 up to below 1")
        if divergence not in ("auto", "exact", "hutchinson"):
            raise ValueError(f"algorithm.divergence={divergence}: it takes auto, exact or hutchinson")
        check(likelihood_steps, "heun")
        self.time_mean, self.time_std, self.label_dropout = time_mean, time_std, label_dropout
        self.steps, self.solver, self.guidance = steps, solver, guidance
        self.sampling()
        values: Any = network.num_values if hasattr(network, "num_values") else EXACT_VALUES + 1
        self.exact = divergence == "exact" or divergence == "auto" and values <= EXACT_VALUES
        self.likelihood_steps, self.likelihood_count = likelihood_steps, likelihood_count
        kind = "exact" if self.exact else "Hutchinson"
        steps_of = "Heun" if self.pace is None else "Runge-Kutta"
        self.likelihood = f"uniform dequantisation, {kind} divergence, {likelihood_steps} {steps_of} steps"
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def sampling(self, steps: int | None = None, solver: str | None = None, guidance: float | None = None) -> None:
        """How images are made from now on; None leaves it. Raises ValueError for what is not possible."""
        self.steps = self.steps if steps is None else steps
        self.solver = self.solver if solver is None else solver
        self.guidance = self.guidance if guidance is None else guidance
        check(self.steps, self.solver)
        if self.guidance != 1 and not (self.num_classes and self.label_dropout):
            raise ValueError(
                f"guidance={self.guidance:g} needs a flow that knows images without a class too: train one with "
                "classes and algorithm.label_dropout=0.1"
            )

    @property
    def sampler(self) -> dict[str, Any]:
        """How images are made, for protocols."""
        return self.sampler_of_images().protocol

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng = self.begin_step(len(images))
        images = self.mirrored(to_float(images), rng)
        images = self.network.dequantised(images, rng.uniform(*images.shape[1:]))  # type: ignore[operator]
        noise, times = rng.normal(*images.shape[1:]), self.times(rng)
        labels = self.with_dropout(labels, rng)

        def own(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            some = None if labels is None else labels[part]
            value = self.objective(self.network, images[part], noise[part], times[part], some)
            return value, {"loss": value}

        self.learn(own, len(images), self.scheduled())

    def times(self, rng: StepRNG) -> Tensor:
        """(n,) in (0, 1), logit-normal."""
        return (self.time_mean + self.time_std * rng.normal()).sigmoid()

    def with_dropout(self, labels: Tensor | None, rng: StepRNG) -> Tensor | None:
        """Labels of which a share is "no class"."""
        if labels is None or not self.label_dropout:
            return labels
        return labels.masked_fill(rng.uniform() < self.label_dropout, self.num_classes)

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """A bound for each uint8 image (N,), by the EMA weights; its random numbers are a function of the image."""
        network: Any = self.network_ema
        images = checked(images)
        shape, seeds = images.shape[1:], [crc32(image.numpy().tobytes()) for image in images.cpu()]
        uniform = seeded_uniform(seeds, 2, *shape).to(self.device, torch.float32)
        values = network.dequantised(to_float(images.to(self.device)), uniform[:, 0])
        probes = None if self.exact else torch.where(uniform[:, 1] < 0.5, -1.0, 1.0).unsqueeze(0)
        labels = self.on_device(labels)

        def velocity(x: Tensor, time: Tensor) -> Tensor:
            found: Tensor = network(x, time, labels)
            return found

        steps = self.likelihood_steps
        if self.pace is None:
            found = log_density(velocity, values, steps, "heun", probes)
        else:
            found = log_density(paced(velocity, self.pace), values, steps, runge_kutta, probes)
        return network.bits_per_dim(found)

    @property
    def pace(self) -> Pace | None:
        """The times that likelihoods are computed at, where they are others than evenly spread ones."""
        return getattr(self.network, "pace", None)

    def sampler_of_images(self) -> FlowSampler:
        return FlowSampler(self.network_ema, self.num_classes, self.steps, self.solver, self.guidance)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The noise (N, C * H * W) of these seeds, as in `generate` with `truncation` 1."""
        return self.sampler_of_images().latents_of(seeds)

    def images_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """uint8 images (N, C, H, W) of noise (N, C * H * W), by the EMA weights."""
        return self.sampler_of_images().images_of(latent, labels)


def objective(network: nn.Module, images: Tensor, noise: Tensor, time: Tensor, labels: Tensor | None) -> Tensor:
    """The mean squared error of the velocity (Lipman et al., 2023, equation 23, without a smallest width)."""
    t = time.view(-1, 1, 1, 1)
    velocity = network(torch.lerp(noise, images, t), time, labels)
    own = getattr(network, "target", None)
    target = images - noise if own is None else own(images, noise, time)
    return (velocity - target).square().mean()
