"""What can be trained in a trial: a system makes a generative model of a task's images within a clock's time.

`Ours` is any configuration of `transgan train`. Those that nobody here wrote are in foreign.py.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from benchmarks.recipes.clock import Clock
from benchmarks.recipes.task import Task, composed
from transgan import checkpoint
from transgan.data.sampler import EndlessSampler
from transgan.instantiation import container


class System(Protocol):
    """Made anew for each trial: SYSTEMS[name](task, seed, kimg, settings); `kimg` is the length of its schedules."""

    batch_size: int

    def fit(self, clock: Clock) -> None:
        """Trains; calls `clock.start()` once, then `clock.tick(images_seen)` after every step until it says False."""

    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor:
        """uint8 images (N, C, H, W), image i a function of seeds[i] and labels[i]."""

    def parameters(self) -> dict[str, int]:
        """The number of parameters of each network."""

    def steps(self) -> int:
        """Of the generator so far."""


def batches(task: Task, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless shuffled batches: uint8 (N, C, H, W) and labels (N,)."""
    for indices in EndlessSampler(len(task.dataset), batch_size, seed):
        yield task.images(indices)


class Batches(torch.utils.data.IterableDataset):
    def __init__(self, task: Task, batch_size: int, seed: int):
        self.arguments = task, batch_size, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return batches(*self.arguments)


class Ticking(pl.Callback):
    reads_log_values = True  # nothing is logged

    def __init__(self, clock: Clock):
        self.clock = clock

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.clock.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *others: Any) -> None:
        if not self.clock.tick(module.images_seen):
            trainer.should_stop = True


class Ours:
    """`settings` are overrides of `transgan train`."""

    def __init__(self, task: Task, seed: int, kimg: float, settings: list[str]):
        self.task, self.seed = task, seed
        config = composed([*settings, *task.overrides, f"kimg={kimg:.6g}", f"seed={seed}"])
        config.num_classes = task.num_classes if config.conditional in ("auto", True) else 0
        self.batch_size = config.batch_size
        torch.manual_seed(seed)
        self.module: Any = checkpoint.build(container(config))
        self.module.attach(task.dataset, None)

    def fit(self, clock: Clock) -> None:
        loader = torch.utils.data.DataLoader(Batches(self.task, self.batch_size, self.seed), batch_size=None)
        trainer = pl.Trainer(
            accelerator="cpu", devices=1, logger=False, max_epochs=-1, max_steps=-1, use_distributed_sampler=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[Ticking(clock)],
        )  # fmt: skip
        trainer.fit(self.module, loader)

    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor:
        return self.module.generate(seeds, labels)

    def parameters(self) -> dict[str, int]:
        networks = {name: getattr(self.module, name) for name in self.module.networks}
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}

    def steps(self) -> int:
        return self.module.images_seen // self.batch_size // getattr(self.module, "n_critic", 1)


def imported(place: str) -> Any:
    """A system whose module is imported when it is first made: its package need not be installed for the others."""

    def make(*arguments: Any) -> System:
        module, _, name = place.rpartition(".")
        return getattr(import_module(f"benchmarks.recipes.{module}"), name)(*arguments)

    return make


SYSTEMS: dict[str, Any] = {
    "ours": Ours,
    "mimicry": imported("mimicry.Mimicry"),
    "denoising": imported("denoising.Denoising"),
    "diffusers": imported("diffusers_unet.Diffusers"),
}
