"""What the modules share whose network gives images a likelihood: one network, its average, and one optimizer."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from transgan.ema import decay, update_ema
from transgan.schedules import Schedule, schedule
from transgan.training.generative import Generative, checked

DECAYING = (nn.Linear, nn.RNNBase, nn.Conv1d, nn.Conv2d)


class LikelihoodModule(Generative):
    """Base of the modules that train `network`; keeps an exponential moving average of it to sample from.

    `likelihood` says what its bits per dimension are, for protocols.

    Args:
        network: with `prepare(images)`, which refuses pixel values it does not know.
        optimizer: makes an optimizer from groups of parameters and `lr`, such as a partial of torch.optim.AdamW. Its
            weight decay is for the weights of linear, recurrent and convolutional layers alone.
        lr, ema_halflife: numbers or schedules over images shown; ema_halflife is in kimg. others: more of them.
        mirror, clip, max_nonfinite and the rest: as in generative.py.
    """

    networks = ("network",)
    remedy = "a lower algorithm.lr.start"
    likelihood = "exact"

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float | Schedule,
        ema_halflife: float | Schedule,
        clip: float | None,
        mirror: bool,
        max_nonfinite: int,
        batch_size: int,
        seed: int,
        num_classes: int,
        **others: float | Schedule,
    ):
        super().__init__(batch_size, seed, num_classes, mirror, clip, max_nonfinite)
        self.network = network
        self.network_ema = deepcopy(network).eval().requires_grad_(False)
        self.optimizer = optimizer
        schedules = {"lr": lr, "ema_halflife": ema_halflife} | others
        self.schedules = {name: schedule(value) for name, value in schedules.items()}

    def attach(self, dataset, heldout) -> None:
        """Lets the network see the images. Raises ValueError if they have pixel values that it does not know."""
        if dataset.in_memory:
            images = dataset.images
        else:
            positions = torch.linspace(0, len(dataset) - 1, min(1024, len(dataset))).long().tolist()
            images = dataset.__getitems__(positions)[0]
        self.network.prepare(checked(images))
        for ours, theirs in zip(self.network_ema.buffers(), self.network.buffers(), strict=True):
            ours.copy_(theirs)

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
        return self.optimizer(groups, lr=self.schedules["lr"](0))

    def now(self) -> dict[str, float]:
        """The schedules' values for this step."""
        return {name: value(self.images_seen) for name, value in self.schedules.items()}

    def learn(self, value: Tensor, log: dict[str, Tensor], now: dict[str, float]) -> None:
        """The rest of a training step: one step of the optimizer on `value`, and of the average."""
        self.log_values = log
        if self.step_optimizer("network", self.optimizers(), value, [now["lr"]] * 2):
            update_ema(self.network_ema, self.network, decay(self.images_in_step, 1000 * now["ema_halflife"]))
        self.log_values |= now
        self.end_step()

    def known(self, labels: Tensor | None) -> Tensor | None:
        return labels.to(self.device) if self.num_classes else None

    def precise(self) -> nn.Module:
        """The averaged network in float64, to make images with.

        In float32 an image would depend on the batch it is made in: sums are rounded in another order there, now and
        then that chooses another value, and all that follow differ.
        """
        return deepcopy(self.network_ema).double()
