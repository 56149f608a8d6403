"""Systems that nobody here wrote, from their own packages: what a trial needs around them, and nothing more.

A subclass wraps the package's own networks, losses and steps. Data, clock, learning rates by budget and EMA are as for
our own systems; a package that has no EMA or schedule of its own can be tried with and without.
"""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from benchmarks.recipes.clock import Clock
from benchmarks.recipes.systems import batches
from benchmarks.recipes.task import Task
from transgan.ema import decay, update_ema
from transgan.sampling.pixels import to_float, to_uint8
from transgan.sampling.randomness import seeded_normal
from transgan.schedules import Cosine, Linear


class Foreign:
    """settings: `key=value` for each of `defaults` that shall differ; an unknown key is an error.

    Common to all: batch_size; ema, the half-life of the average of weights as a share of
    the images seen, 0 for none; schedule, of all learning rates over the budget: linear or cosine (to 0) or none.
    """

    defaults: ClassVar[dict[str, Any]] = {}
    common: ClassVar[dict[str, Any]] = {"batch_size": 64, "ema": 0.0, "schedule": "none"}

    def __init__(self, task: Task, seed: int, kimg: float, settings: list[str]):
        self.task, self.seed, self.kimg = task, seed, kimg
        allowed = OmegaConf.create(self.common | self.defaults)
        OmegaConf.set_struct(allowed, True)
        self.options: DictConfig = OmegaConf.merge(allowed, OmegaConf.from_dotlist(settings))  # type: ignore[assignment]
        self.batch_size: int = self.options.batch_size
        self.images_seen = self.updates = 0
        torch.manual_seed(seed)
        self.networks = self.build()
        self.sampled = self.networks[self.sampler]
        self.average = copy.deepcopy(self.sampled).requires_grad_(False).eval() if self.options.ema else None
        self.optimizers = self.optimizers_of()
        self.rates = [[group["lr"] for group in each.param_groups] for each in self.optimizers]

    sampler: ClassVar[str]  # the network that makes images

    def build(self) -> dict[str, nn.Module]:
        """The networks by name."""
        raise NotImplementedError

    def optimizers_of(self) -> list[torch.optim.Optimizer]:
        raise NotImplementedError

    def step(self, images: Tensor, labels: Tensor) -> bool:
        """One step on images (N, C, H, W) in [-1, 1] and labels (N,) -> whether what makes images has changed."""
        raise NotImplementedError

    def images_of(self, network: nn.Module, noise: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]."""
        raise NotImplementedError

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Of what one image is made from."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        return max(1, self.task.num_classes)

    def fit(self, clock: Clock) -> None:
        torch.manual_seed(self.seed)
        clock.start()
        for pixels, labels in batches(self.task, self.batch_size, self.seed):
            images = to_float(pixels)
            if self.task.mirrored:
                images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
            self.set_rates()
            changed = self.step(images, labels)
            self.images_seen += len(images)
            if changed:
                self.updates += 1
                self.update_average()
            with torch.random.fork_rng(devices=[]):  # measuring along the way changes nothing
                going_on = clock.tick(self.images_seen)
            if not going_on:
                return

    def set_rates(self) -> None:
        kinds: dict[str, Callable[..., Any]] = {"linear": Linear, "cosine": Cosine}
        if self.options.schedule == "none":
            return
        factor = kinds[self.options.schedule](1.0, 0.0, self.kimg)(self.images_seen)
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = factor * rate

    def update_average(self) -> None:
        if self.average is not None:
            since = round(self.images_seen / self.updates)  # images between two updates
            update_ema(self.average, self.sampled, decay(since, self.options.ema * self.images_seen))

    def ready(self, network: nn.Module) -> None:
        """What has to be done before a network makes images."""

    @torch.no_grad()
    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor:
        network = self.sampled if self.average is None else self.average
        training = network.training
        self.ready(network)
        network.eval()
        if labels is None:
            labels = torch.tensor(seeds) % self.num_classes
        parts = torch.arange(len(seeds)).split(250)
        noise = seeded_normal(seeds, *self.noise_shape)
        images = torch.cat([self.images_of(network, noise[part], labels[part]) for part in parts])
        network.train(training)
        return to_uint8(images)

    def parameters(self) -> dict[str, int]:
        return {name: sum(p.numel() for p in each.parameters()) for name, each in self.networks.items()}

    def steps(self) -> int:
        return self.updates
