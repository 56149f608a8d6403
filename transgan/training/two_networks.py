"""Two networks that are trained against each other: their optimizers and schedules, and what comes out of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from transgan.schedules import Schedule, Share, schedule
from transgan.training.generative import Generative
from transgan.training.latents import FromLatents, latent_dim_of
from transgan.training.own_options import with_own_options
from transgan.training.pretrained import Pretrained


class TwoNetworks(FromLatents, Generative):
    """Base of what trains `generator` against `discriminator` and keeps an EMA of the generator to sample from.

    Args:
        generator, discriminator: as in adversarial.py.
        optimizer: makes an optimizer from parameters and `lr`; by default Adam with betas (0, 0.99).
        generator_lr, discriminator_lr, beta2, ema_halflife: numbers or schedules over images shown. ema_halflife is in
            kimg, by default a tenth of what has been shown, at most 500. beta2 of None leaves the optimizer's own.
        schedules: more of them, by name.
        generator_pretrained, discriminator_pretrained: how pretrained weights are trained (pretrained.py).
        others: as in generative.py.
    """

    networks = ("generator", "discriminator")
    in_turn = True

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        generator_lr: float | Schedule = 2e-4,
        discriminator_lr: float | Schedule = 2e-4,
        beta2: float | Schedule | None = None,
        ema_halflife: float | Schedule | None = None,
        schedules: Mapping[str, float | Schedule] | None = None,
        generator_pretrained: Pretrained | None = None,
        discriminator_pretrained: Pretrained | None = None,
        **others: Any,
    ):
        super().__init__(**others)
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = deepcopy(generator).eval().requires_grad_(False)
        self.latent_dim = latent_dim_of(generator)
        self.optimizer = optimizer or partial(torch.optim.Adam, betas=(0.0, 0.99))
        every = {
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr,
            "beta2": beta2,
            **(schedules or {}),
            "ema_halflife": Share(0.1, 500.0) if ema_halflife is None else ema_halflife,
        }
        self.schedules = {name: schedule(value) for name, value in every.items() if value is not None}
        pretrained = {"generator": generator_pretrained, "discriminator": discriminator_pretrained}
        self.pretrained = {name: part for name, part in pretrained.items() if part is not None}
        for name, part in self.pretrained.items():
            part.copied(getattr(self, name))

    def scheduled(self) -> dict[str, float]:
        """What the schedules say for this step."""
        for name, part in self.pretrained.items():
            part.freeze_until_due(getattr(self, name), self.images_seen)
        return {name: value(self.images_seen) for name, value in self.schedules.items()}

    def rates(self, name: str, now: dict[str, float]) -> list[float]:
        """The learning rate of each group of parameters."""
        lr = now[f"{name}_lr"]
        return self.pretrained[name].learning_rates(lr) if name in self.pretrained else [lr]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers = []
        for name in self.networks:
            network, part = getattr(self, name), self.pretrained.get(name)
            groups = [{"params": list(network.parameters())}] if part is None else part.parameter_groups(network)
            optimizers.append(with_own_options(self.optimizer(groups, lr=self.schedules[f"{name}_lr"](0))))
        return optimizers

    def setup(self, stage: str) -> None:
        require_trainer(self.trainer)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's parameters get no gradient."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def require_trainer(trainer: Trainer) -> None:
    """Raises ValueError for a Trainer in which two networks with an optimizer each cannot be trained."""
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise ValueError(
            "each step of a GAN trains one of its two networks, and this strategy expects gradients for both: "
            "give Trainer(strategy='ddp_find_unused_parameters_true')"
        )
    if trainer.precision == "16-mixed":
        raise ValueError("precision 16-mixed has one loss scale for two networks: give 'bf16-mixed' or '32-true'")
