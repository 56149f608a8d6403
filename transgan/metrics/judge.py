"""Judges a generator by numbers: the Frechet distance to all real images, and the score of the extractor's logits."""

import math
import warnings
from contextlib import contextmanager

import torch
import torchmetrics
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore

BLOCK = 1000         # rows added to the sums at a time: fixed, so that the batch size does not change the rounding
STRIDE = 1_000_003   # between the first seeds of two evaluation seeds


class Judge:
    """Compares `num_samples` generated images with every image of a data set (None: as many as it has, up to 10,000).

    Generated image i comes from seed `seed * 1_000_003 + i` and from label i of `labels`, whoever makes it: the
    numbers do not depend on the batch size or the number of processes, and no random state outside is touched.

    The numbers are `fid` and `is` with the standard Inception only; with any other extractor they are
    `fd_<extractor>` and `cs_<extractor>` (the score of a classifier), and compare only with the same weights.
    """

    def __init__(self, extractor, num_samples=None, batch_size=256, seed=0, splits=10):
        self.extractor, self.batch_size, self.seed, self.splits = extractor, batch_size, seed, splits
        self.num_samples = num_samples
        self.labels = None                    # int64 (num_samples,) after prepare(), or None without classes
        self.frechet = None

    @property
    def primary(self):
        """The name of the Frechet distance, the number to choose checkpoints by: lower is better."""
        return "fid" if self.extractor.standard else f"fd_{self.extractor.name}"

    @property
    def score(self):
        """The name of the score of the logits: higher is better, at most the number of classes."""
        return "is" if self.extractor.standard else f"cs_{self.extractor.name}"

    @property
    def seeds(self):
        """The seeds of the generated images, in order."""
        return range(self.seed * STRIDE, self.seed * STRIDE + self.num_samples)

    def prepare(self, dataset, device="cpu", progress=None):
        """Ready the extractor and sum up the features of all real images; `progress(done, total)` after each block."""
        if self.num_samples is None:
            self.num_samples = min(10_000, len(dataset))
        if min(self.num_samples, len(dataset)) < 2:
            raise ValueError(f"A Frechet distance needs at least two images on either side, and there are "
                             f"{len(dataset)} real and {self.num_samples} generated ones.")
        self.device = torch.device(device)
        self.labels = _quotas(dataset.labels, dataset.num_classes, self.num_samples, self.seed)
        self.facts = {"num_real": len(dataset), "resolution": dataset.resolution, "channels": dataset.channels,
                      "dataset": dataset.fingerprint}
        with _isolated():
            self.extractor.prepare(dataset)
            self.extractor.to(self.device)
            # sync_on_compute: the process that computes has everything; the others would never answer
            self.frechet = FrechetInceptionDistance(
                _identity(self.extractor.num_features), reset_real_features=False, sync_on_compute=False)
            for first in range(0, len(dataset), BLOCK):
                block = range(first, min(first + BLOCK, len(dataset)))
                rows = torch.cat([self._rows(dataset.__getitems__(list(part))[0]) for part in self._batches(block)])
                _refuse_non_finite(rows, [f"real image {index}" for index in block])
                self.frechet.update(rows[:, :self.extractor.num_features].double(), real=True)
                if progress is not None:
                    progress(block.stop, len(dataset))
            self.num_columns = rows.shape[1]  # known also to a process that generates nothing

    def __call__(self, generate, rank=0, world_size=1, gather=None):
        """The numbers by name, on rank 0; None on the others.

        `generate(seeds, labels)` takes a list of seeds and int64 labels (or None) and returns uint8 N x C x H x W.
        Rank r makes the images r, r + world_size, ...; then `gather(rows)` is called once on every rank, with a
        float32 matrix of the same shape everywhere, on the device of `prepare`, and returns the list of all ranks'.
        """
        assert self.frechet is not None, "prepare() comes first"
        mine = range(rank, self.num_samples, world_size)
        with _isolated():
            parts = [self._generated(generate, part) for part in self._batches(mine)]
            rows = torch.cat([torch.empty(0, self.num_columns), *parts])
            if world_size > 1:
                share = -(-self.num_samples // world_size)
                padded = nn.functional.pad(rows, (0, 0, 0, share - len(rows))).to(self.device)
                # share x world_size x D, flattened, is the order of the indices: the padding ends up last
                rows = torch.stack([part.cpu() for part in gather(padded)], 1).flatten(0, 1)[:self.num_samples]
            _refuse_non_finite(rows, [f"generated image {i} (seed {seed})" for i, seed in enumerate(self.seeds)])
            return self._numbers(*rows.tensor_split([self.extractor.num_features], 1)) if rank == 0 else None

    def protocol(self, weights="ema", truncation=None):
        """How the numbers are measured, as plain values; without it no two of them compare."""
        assert self.frechet is not None, "prepare() comes first"
        return {
            "extractor": self.extractor.name, "extractor_sha256": self.extractor.hash,
            "comparable_to_published": self.extractor.standard,
            "num_generated": self.num_samples, "split": "train", **self.facts,
            "weights": weights, "truncation": truncation, "seed": self.seed, "splits": self._groups(),
            "torchmetrics": torchmetrics.__version__,
        }

    def _generated(self, generate, part):
        seeds = [self.seeds[index] for index in part]
        labels = None if self.labels is None else self.labels[part.start:part.stop:part.step]
        images = generate(seeds, labels)
        if images.dtype != torch.uint8 or len(images) != len(part):
            raise ValueError(f"Generated image {part[0]} (seed {seeds[0]}) and those after it: expected {len(part)} "
                             f"uint8 images, got {images.dtype} of shape {tuple(images.shape)}.")
        return self._rows(images)

    def _rows(self, images):
        """Features, and logits beside them if there are any: float32 N x (D + K), on the CPU."""
        features, logits = self.extractor(images.to(self.device))
        return (features if logits is None else torch.cat([features, logits], 1)).float().cpu()

    def _batches(self, indices):
        return [indices[first:first + self.batch_size] for first in range(0, len(indices), self.batch_size)]

    def _groups(self):
        """The number of groups that torch.chunk really makes when it is asked for `splits`."""
        return math.ceil(self.num_samples / math.ceil(self.num_samples / self.splits))

    def _numbers(self, features, logits):
        try:
            for block in features.split(BLOCK):
                self.frechet.update(block.double(), real=False)   # never forward(): it loses or doubles the reals
            numbers = {self.primary: self.frechet.compute().item()}
        finally:
            self.frechet.reset()
        if logits.shape[1]:
            logits = logits.double()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")   # that all logits are kept, and that one group has no deviation
                score = InceptionScore(nn.Identity(), splits=self.splits, sync_on_compute=False)
                # Below exp(-700) a probability is 0 even in float64, and 0 * log 0 would make the score NaN.
                score.update((logits - logits.amax(1, keepdim=True)).clamp(min=-700))
                torch.random.default_generator.manual_seed(self.seed)   # it permutes; we are inside _isolated()
                numbers[self.score] = score.compute()[0].item()
        return numbers


@contextmanager
def _isolated():
    """No gradients, and random numbers drawn inside leave no trace outside, also if something fails.

    Inference mode is left, because sums made inside it cannot be added to outside of it.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode(False), torch.no_grad():
        yield


def _identity(num_features):
    """The features themselves, for a metric that wants to call a network."""
    identity = nn.Identity()
    identity.num_features = num_features
    return identity


def _quotas(labels, num_classes, num_samples, seed):
    """`num_samples` labels in the proportions of the data, exact up to rounding (largest remainders), shuffled."""
    if num_classes == 0:
        return None
    counts = torch.bincount(labels.cpu(), minlength=num_classes) * num_samples
    quotas, remainders = counts // len(labels), counts % len(labels)
    largest = remainders.argsort(descending=True, stable=True)[:num_samples - quotas.sum()]
    quotas[largest] += 1
    ordered = torch.repeat_interleave(torch.arange(num_classes), quotas)
    return ordered[torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))]


def _refuse_non_finite(rows, names):
    bad = (~rows.isfinite().all(1)).nonzero()
    if len(bad):
        raise ValueError(f"The features of {names[bad[0]]} are not finite (and so for {len(bad)} of {len(rows)} "
                         f"images): no distance can be computed from them.")
