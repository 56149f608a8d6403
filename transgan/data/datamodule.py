"""The data module: endless batches of any image data set, shared among processes, continued where a run stopped."""

import signal
from typing import TypeVar

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from transgan.data.dataset import ImageDataset
from transgan.data.sampler import EndlessSampler

Batch = TypeVar("Batch")


def as_is(batch: Batch) -> Batch:
    """`dataset.__getitems__` already returns a batch. A named function, because worker processes pickle it."""
    return batch


def undisturbed(worker: int) -> None:
    """Ignores signals in a worker process. Ctrl-C reaches every process of a terminal and a scheduler's signals every
    process of a job, but the main process decides when its workers end."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class ImageData(pl.LightningDataModule):
    """Batches are uint8 (N, C, H, W) and int64 (N,); N = batch_size / number of processes.

    Continues at the `images_seen` of the LightningModule (0 if it has none); a module's `images_per_class` puts so many
    images of a class beside each other. Use it with Trainer(use_distributed_sampler=False): the sampler itself divides
    the images among processes.
    """

    def __init__(self, dataset: ImageDataset, batch_size: int, seed: int, num_workers: int = 0) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed, self.num_workers = dataset, batch_size, seed, num_workers

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None, "a Trainer asks for the loader"
        module = self.trainer.lightning_module
        sampler = EndlessSampler(
            len(self.dataset),
            self.batch_size,
            self.seed,
            start=int(getattr(module, "images_seen", 0)),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            images_per_class=getattr(module, "images_per_class", None),
            labels=self.dataset.labels,
        )
        return DataLoader(
            self.dataset,
            batch_sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=as_is,
            worker_init_fn=undisturbed,
        )
