"""What the modules share whose network gives images a likelihood: one network, its EMA, and one optimizer."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from transgan.ema import decay, update_ema
from transgan.schedules import Schedule, Share, schedule
from transgan.training.generative import Generative, checked, with_own_options
from transgan.training.microbatches import total

DECAYING = (nn.Linear, nn.RNNBase, nn.Conv1d, nn.Conv2d)


class LikelihoodModule(Generative):
    """Base of the modules that train `network`, and keep an EMA of it to sample from.

    `likelihood` says what its bits per dimension are, for protocols.

    Args:
        network: with `prepare(images)`, which refuses pixel values it does not know.
        optimizer: makes an optimizer from groups of parameters and `lr`; by default AdamW with betas (0.9, 0.98) and a
            weight decay of 0.1. Weight decay is for the weights of linear, recurrent and convolutional layers alone.
        lr, ema_halflife: numbers or schedules over images shown; ema_halflife is in kimg, by default a twentieth of
            what has been shown, at most 500. schedules: more of them.
        clip: largest gradient norm, None for any. others: as in generative.py.
    """

    networks = ("network",)
    remedy = "a lower algorithm.lr.start"
    likelihood = "exact"
    main_values = ("bits_per_dim",)
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
        **others: Any,
    ):
        super().__init__(clip=clip, **others)
        self.network = network
        self.network_ema = deepcopy(network).eval().requires_grad_(False)
        self.optimizer = optimizer or partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.1)
        ema_halflife = Share(0.05, 500.0) if ema_halflife is None else ema_halflife
        values = {"lr": lr, "ema_halflife": ema_halflife} | (schedules or {})
        self.schedules = {name: schedule(value) for name, value in values.items()}
        self.attached = False

    def attach(self, dataset: Any, heldout: Any) -> None:
        """Lets the network see the images. Raises ValueError if they have pixel values that it does not know."""
        if dataset.in_memory:
            images = dataset.images
        else:
            positions = torch.linspace(0, len(dataset) - 1, min(1024, len(dataset))).long().tolist()
            images = dataset.__getitems__(positions)[0]
        self.prepare(images)

    def prepare(self, images: Tensor) -> None:
        """Lets the network see uint8 images. Raises ValueError if they have pixel values that it does not know."""
        self.network.prepare(checked(images))  # type: ignore[operator]
        for ours, theirs in zip(self.network_ema.buffers(), self.network.buffers(), strict=True):
            ours.copy_(theirs)
        self.attached = True

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self.attached and hasattr(self.network, "prepare"):
            self.prepare(torch.cat(list(self.sample_batches(1024)))[:1024])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        matrices = {
            id(weight)
            for module in self.network.modules() if isinstance(module, DECAYING)
            for name, weight in module.named_parameters(recurse=False) if name.startswith("weight")
        }  # fmt: skip
        groups = [
            {"params": [p for p in self.network.parameters() if id(p) in matrices]},
            {"params": [p for p in self.network.parameters() if id(p) not in matrices], "weight_decay": 0.0},
        ]
        return with_own_options(self.optimizer(groups, lr=self.schedules["lr"](0)))

    def scheduled(self) -> dict[str, float]:
        """What the schedules say for this step."""
        return {name: value(self.images_seen) for name, value in self.schedules.items()}

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
        taken = self.step_optimizer("network", optimizer, logged, count, [now["lr"]] * 2)
        self.log_values |= {name: total([log[name] for log in logs]) for name in logs[0]}
        if taken:
            update_ema(self.network_ema, self.network, decay(self.images_in_step, 1000 * now["ema_halflife"]))
        self.log_values |= now
        self.end_step()

    def on_device(self, labels: Tensor | None) -> Tensor | None:
        """Labels where the network is, or None if there are no classes."""
        return labels.to(self.device) if labels is not None and self.num_classes else None

    def ema_in_float64(self) -> Any:
        """The network with the EMA weights in float64, to make images with.

        In float32 an image would depend on the batch it is made in: sums are rounded in another order there, now and
        then that chooses another value, and all that follow differ.
        """
        return deepcopy(self.network_ema).double()
