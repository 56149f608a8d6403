"""What the modules share that train a single network: its EMA, its optimizer, and a step of both."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from transgan.ema import decay, update_ema
from transgan.schedules import Schedule, Share, schedule
from transgan.training.generative import Generative
from transgan.training.microbatches import total
from transgan.training.own_options import with_own_options
from transgan.training.pretrained import Pretrained

DECAYING = (nn.Linear, nn.RNNBase, nn.Conv1d, nn.Conv2d)


class OneNetwork(Generative):
    """Base of the modules that train one network, the first of `networks`, and keep an EMA of it to sample from.

    Args:
        network: what is trained.
        optimizer: makes an optimizer from groups of parameters and `lr`; by default AdamW with betas (0.9, 0.98) and a
            weight decay of 0.1. Weight decay is for the weights of linear, recurrent and convolutional layers alone.
        lr, ema_halflife: numbers or schedules over images shown; ema_halflife is in kimg, by default a twentieth of
            what has been shown, at most 500. schedules: more of them.
        clip: largest gradient norm, None for any. pretrained: how pretrained weights are trained (pretrained.py).
        others: as in generative.py.
    """

    networks = ("network",)
    objectives = ("objective",)

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        lr: float | Schedule = 2e-3,
        ema_halflife: float | Schedule | None = None,
        clip: float | None = 1.0,
        schedules: dict[str, float | Schedule] | None = None,
        pretrained: Pretrained | None = None,
        **others: Any,
    ):
        super().__init__(clip=clip, **others)
        setattr(self, self.networks[0], network)
        setattr(self, f"{self.networks[0]}_ema", deepcopy(network).eval().requires_grad_(False))
        self.optimizer = optimizer or partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.1)
        ema_halflife = Share(0.05, 500.0) if ema_halflife is None else ema_halflife
        values = {"lr": lr, "ema_halflife": ema_halflife} | (schedules or {})
        self.schedules = {name: schedule(value) for name, value in values.items()}
        self.pretrained = {} if pretrained is None else {self.networks[0]: pretrained}
        for part in self.pretrained.values():
            part.copied(network)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        network = getattr(self, self.networks[0])
        matrices = {
            id(weight)
            for module in network.modules() if isinstance(module, DECAYING)
            for name, weight in module.named_parameters(recurse=False) if name.startswith("weight")
        }  # fmt: skip
        groups: list[dict[str, Any]] = [
            {"params": [p for p in network.parameters() if id(p) in matrices]},
            {"params": [p for p in network.parameters() if id(p) not in matrices], "weight_decay": 0.0},
        ]
        for part in self.pretrained.values():
            copied = {id(parameter) for parameter in part.copied(network).values()}
            groups = [
                group | {"params": [p for p in group["params"] if (id(p) in copied) == own]}
                for own in (False, True) for group in groups
            ]  # fmt: skip
        return with_own_options(self.optimizer(groups, lr=self.schedules["lr"](0)))

    def scheduled(self) -> dict[str, float]:
        """What the schedules say for this step."""
        for name, part in self.pretrained.items():
            part.freeze_until_due(getattr(self, name), self.images_seen)
        return {name: value(self.images_seen) for name, value in self.schedules.items()}

    def rates(self, lr: float) -> list[float]:
        """The learning rate of each group of parameters."""
        for part in self.pretrained.values():
            return [rate for rate in part.learning_rates(lr) for _ in range(2)]
        return [lr] * 2

    def learn(
        self, objective: Callable[[slice], tuple[Tensor, dict[str, Tensor]]], count: int, now: dict[str, float]
    ) -> None:
        """The rest of a training step: one step of the optimizer on the mean of `objective` over `count` images, and
        of the EMA. For some of them, consecutive ones, it returns what to minimise and what to log."""
        logs: list[dict[str, Tensor]] = []

        def logged(part: slice) -> Tensor:
            if part.start == 0:
                logs.clear()
            value, log = objective(part)
            share = (part.stop - part.start) / count
            logs.append({name: each.detach() * share if share < 1 else each.detach() for name, each in log.items()})
            return value

        optimizer: Any = self.optimizers()
        self.log_values = {}
        taken = self.step_optimizer(self.networks[0], optimizer, logged, count, self.rates(now["lr"]))
        self.log_values |= {name: total([log[name] for log in logs]) for name in logs[0]}
        if taken:
            update_ema(
                self.ema, getattr(self, self.networks[0]), decay(self.images_in_step, 1000 * now["ema_halflife"])
            )
        self.log_values |= now
        self.end_step()

    def on_device(self, labels: Tensor | None) -> Tensor | None:
        """Labels where the network is, or None if there are no classes."""
        return labels.to(self.device) if labels is not None and self.num_classes else None
