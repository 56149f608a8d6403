"""A network that gives every image a likelihood, trained to give those of the data a high one.

One batch is one step of AdamW on the mean of -log p, in bits per dimension. Time is images shown.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from transgan.ema import decay, update_ema
from transgan.schedules import Schedule, schedule
from transgan.training.generative import Generative, to_float, to_uint8
from transgan.training.randomness import seeded_uniform


class Autoregressive(Generative):
    """Trains `network`; keeps an exponential moving average of it to sample from.

    Args:
        network: (images, labels) -> -log p (N,) in nats, with `bits_per_dim`, `sample` and `complete` as ImageGPT has.
        optimizer: makes an optimizer from groups of parameters and `lr`, such as a partial of torch.optim.AdamW. Its
            weight decay is for the matrices of linear layers alone.
        lr, ema_halflife: numbers or schedules over images shown; ema_halflife is in kimg.
        top_k: sample each token from so many likeliest values, None for all.
        compile: None for eager, or a torch.compile backend such as "inductor".
        mirror, clip, max_nonfinite and the rest: as in generative.py.
    """

    networks = ("network",)
    remedy = "a lower algorithm.lr.start"

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float | Schedule,
        ema_halflife: float | Schedule,
        clip: float | None,
        top_k: int | None,
        mirror: bool,
        max_nonfinite: int,
        compile: str | None,
        batch_size: int,
        seed: int,
        num_classes: int,
    ):
        super().__init__(batch_size, seed, num_classes, mirror, clip, max_nonfinite)
        self.network = network
        self.network_ema = deepcopy(network).eval().requires_grad_(False)
        self.optimizer, self.top_k = optimizer, top_k
        self.schedules = {"lr": schedule(lr), "ema_halflife": schedule(ema_halflife)}
        self.objective = torch.compile(objective, backend=compile) if compile else objective

    def attach(self, dataset, heldout) -> None:
        """Lets the tokens see the images. Raises ValueError if they have pixel values that the tokens do not know."""
        if dataset.in_memory:
            images = dataset.images
        else:
            places = torch.linspace(0, len(dataset) - 1, min(1024, len(dataset))).long().tolist()
            images = dataset.__getitems__(places)[0]
        self.network.tokens.prepare(images)
        for ours, theirs in zip(self.network_ema.buffers(), self.network.buffers(), strict=True):
            ours.copy_(theirs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        matrices = {id(module.weight) for module in self.network.modules() if isinstance(module, nn.Linear)}
        groups = [
            {"params": [p for p in self.network.parameters() if id(p) in matrices]},
            {"params": [p for p in self.network.parameters() if id(p) not in matrices], "weight_decay": 0.0},
        ]
        return self.optimizer(groups, lr=self.schedules["lr"](0))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch                                                     # uint8 (n, C, H, W), (n,)
        draws = self.draws(len(images))
        now = {name: value(self.images_seen) for name, value in self.schedules.items()}
        value = self.objective(self.network, self.mirrored(to_float(images), draws), self.known(labels))
        self.log_values = {"bits_per_dim": value.detach()}
        if self.descend("network", self.optimizers(), value, now["lr"]):
            update_ema(self.network_ema, self.network, decay(self.batch_size, 1000 * now["ema_halflife"]))
        self.log_values |= now
        self.images_seen += self.batch_size

    def known(self, labels: Tensor | None) -> Tensor | None:
        return labels.to(self.device) if self.num_classes else None

    @torch.no_grad()
    def bits_per_dim(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each uint8 image (N,), by the averaged network."""
        network = self.network_ema
        return network.bits_per_dim(network(to_float(images.to(self.device)), self.known(labels)))

    @torch.no_grad()
    def generate(self, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) of the averaged network, image i a function of seeds[i] and labels[i].

        `truncation` is the temperature: below 1, images are more typical and less varied, as with a GAN.
        """
        if not truncation > 0:
            raise ValueError(f"psi {truncation:g}: it is the temperature here and must be more than 0; 1 is what was "
                             "learned")
        network, uniform, labels = self.prepared(seeds, labels)
        return to_uint8(network.sample(uniform, labels, truncation, self.top_k))

    @torch.no_grad()
    def complete(
        self, images: Tensor, rows: int, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """uint8 images that keep the upper `rows` rows of `images` and are made up below, image i by seeds[i]."""
        network, uniform, labels = self.prepared(seeds, labels)
        images = to_float(images.to(self.device)).double()
        return to_uint8(network.complete(images, rows, uniform, labels, truncation, self.top_k))

    def prepared(self, seeds: list[int], labels: Tensor | None) -> tuple[nn.Module, Tensor, Tensor | None]:
        """The averaged network in float64, the uniform numbers of the seeds, and the labels.

        In float32 an image would depend on the batch it is made in: sums are rounded in another order there, now and
        then that chooses another token, and all that follow differ.
        """
        network = deepcopy(self.network_ema).double()
        labels = self.labels_of(seeds) if labels is None else labels
        tokens = network.grid_size[0] * network.grid_size[1]
        uniform = seeded_uniform(seeds, tokens, network.tokens.num_draws)
        return network, uniform.to(self.device), self.known(labels)


def objective(network: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """The mean bits per dimension."""
    return network.bits_per_dim(network(images, labels)).mean()
