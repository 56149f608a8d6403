"""The data module: any image data set, shown endlessly, from where the run stopped, to every process its share."""

import signal

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from .sampler import EndlessSampler


def as_is(batch):
    """`dataset.__getitems__` already returns a batch. A named function, because worker processes pickle it."""
    return batch


def undisturbed(worker):
    """Ctrl-C reaches all processes of a terminal, and a scheduler's signals all of a job: the main one decides when its
    workers end."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class ImageData(pl.LightningDataModule):
    """Batches are uint8 (N, C, H, W) and int64 (N,); N = batch_size / number of processes.

    Continues at the module's `images_seen` (0 if it has none). Train with Trainer(use_distributed_sampler=False):
    the sampler shares the images out itself.
    """

    def __init__(self, dataset, batch_size, seed, num_workers=0):
        super().__init__()
        self.dataset, self.batch_size, self.seed, self.num_workers = dataset, batch_size, seed, num_workers

    def train_dataloader(self):
        sampler = EndlessSampler(
            len(self.dataset),
            self.batch_size,
            self.seed,
            start=int(getattr(self.trainer.lightning_module, "images_seen", 0)),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
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
