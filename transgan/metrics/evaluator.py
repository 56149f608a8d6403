"""One pass over generated images, many numbers: images -> uint8 -> extractor -> features once -> every measure."""

import statistics
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transgan.metrics.frechet import Moments, frechet_distance
from transgan.metrics.measures import named, refuse_too_few, refuse_twice
from transgan.metrics.protocol import protocol_id
from transgan.metrics.reference import Features, Reference, reference_of
from transgan.metrics.samples import filled, isolated, quotas, refuse_non_finite, shuffled

VERSION = 1  # of the way numbers are made: counts up when the same images would give others
STRIDE = 1_000_003  # between the first seeds of two blocks
SMALL = 2048  # fewer images than this are called few (Heusel et al., 2017, recommend 10,000)


@dataclass
class Result:
    """numbers by name, means over the blocks of seeds; spread: name -> {std, min, max} with several blocks;
    details and flags (name -> sentence) of the first block."""

    numbers: dict[str, float]
    spread: dict[str, dict[str, float]]
    details: dict
    flags: dict[str, str]


class Evaluator:
    """Compares generated images with all images of a data set, and with held-out ones where there are any.

    Generated image i of block b comes from seed `(seed + b) * 1_000_003 + i` and from label i of `labels`, whoever
    makes it: the numbers do not depend on the batch size or the number of processes, and no random state outside is
    touched.

    Args:
        extractor: makes features of uint8 images, see metrics/extractors. measures: name -> measure (measures.py).
        num_samples: generated images per block; None: as many as there are real ones, up to 10,000.
        batch_size: images at a time, made up to a multiple of 8. seed: of the first block. blocks: of other seeds each.
        with_heldout: whether images kept out of training are wanted; whoever calls `prepare` hands them in.
    """

    def __init__(
        self,
        extractor,
        measures: dict,
        num_samples: int | None,
        batch_size: int,
        seed: int,
        blocks: int,
        with_heldout: bool,
    ):
        if blocks < 1 or batch_size < 1:
            raise ValueError(f"metrics.blocks and metrics.batch_size must be 1 or more, not {blocks} and {batch_size}")
        if num_samples is not None and not 2 <= num_samples <= STRIDE:
            raise ValueError(f"metrics.num_samples must be 2 to {STRIDE:,}, not {num_samples}")
        refuse_twice(measures)
        self.extractor, self.measures, self.num_samples = extractor, measures, num_samples
        self.batch_size, self.seed, self.blocks, self.with_heldout = batch_size, seed, blocks, with_heldout
        self.labels: Tensor | None = None  # int64 (num_samples,) after prepare(), or None without classes
        self.reference: Reference | None = None
        self.heldout: Reference | None = None

    @property
    def primary(self) -> str:
        """The name of the Frechet distance, the number to choose checkpoints by: lower is better."""
        return named("fd", self.extractor)

    @property
    def identity(self) -> list:
        """What the primary number depends on beside the generator; known to every process after `prepare`."""
        return [self.primary, self.extractor.hash, self.num_samples, self.seed, self.blocks]

    def seeds(self, block: int = 0) -> range:
        """The seeds of a block's images, in order."""
        first = (self.seed + block) * STRIDE
        return range(first, first + self.num_samples)

    def prepare(
        self, dataset, heldout=None, device="cpu", progress=None, main=True, conditional=True, reference=None
    ) -> None:
        """Ready the extractor and the features of real images; `progress(done, total)` after each 1,000 of them.

        `heldout` is a data set of real images that were not trained on. `reference` (a function of the extractor)
        takes the place of `dataset`'s own features. Processes other than the `main` one need none of either.
        `conditional` says that the generator takes the classes of the data.
        """
        if self.num_samples is None:
            self.num_samples = min(10_000, len(dataset))
        if min(self.num_samples, len(dataset)) < 2:
            raise ValueError(
                f"A Frechet distance needs at least two images on either side, and there are "
                f"{len(dataset)} real and {self.num_samples} generated ones."
            )
        if reference is None:
            refuse_too_few(self.measures, min(self.num_samples, len(dataset)))
        self.device = torch.device(device)
        for measure in self.measures.values():
            if hasattr(measure, "device"):  # it has much to compute
                measure.device = self.device
        num_classes = dataset.num_classes if conditional else 0
        self.labels = quotas(dataset.labels, num_classes, self.num_samples, self.seed)
        self.facts = {"resolution": dataset.resolution, "channels": dataset.channels}
        with isolated():
            self.extractor.prepare(dataset)
            self.extractor.to(self.device)
            self.names_classes = num_classes > 0 and self.extractor.class_names == list(dataset.class_names)
            # columns known also to a process that generates nothing
            self.columns = self.join(self.extract(dataset.__getitems__([0, 1])[0])).shape[1]
            if main:
                self.reference = (
                    self.features_of(dataset, "train", progress) if reference is None else reference(self.extractor)
                )
                self.heldout = None if heldout is None else self.features_of(heldout, "heldout", progress)

    def __call__(
        self, generate, rank: int = 0, world_size: int = 1, gather=None, together=nullcontext
    ) -> Result | None:
        """The numbers, on rank 0; None on the others.

        `generate(seeds, labels)` takes a list of seeds and int64 labels (or None) and returns uint8 N x C x H x W.
        Rank r makes the images r, r + world_size, ... of each block; then `gather(rows)` is called once on every rank,
        with a float32 matrix of the same shape everywhere, on the device of `prepare`, and returns all ranks' in a
        list or a stack. Inside of `together()` an error on one rank must become one on every rank, before any of them
        goes on: else the others would wait in `gather` for ever.
        """
        outcomes = []
        with isolated():
            for block in range(self.blocks):
                fake = self.collect(generate, self.seeds(block), rank, world_size, gather, together)
                with together():
                    if fake is not None:
                        outcomes.append(self.measure(fake))
        return self.summary(outcomes) if rank == 0 else None

    def bounds(self, untrained) -> dict:
        """What the primary number is for real images, and for `untrained(seeds, labels)`, at most as many as generated.

        The floor is held-out images against the reference, or without held-out ones two halves of the real images.
        """
        bounds = {}
        with isolated():
            fake = self.collect(untrained, self.seeds(), 0, 1, None)
            bounds["ceiling"] = self.frechet(fake.rows, self.reference.moments, self.reference.root)
            bounds["ceiling_num"] = len(fake)
            if self.heldout is not None:
                chosen = shuffled(len(self.heldout.features))[: self.num_samples]
                rows, reference = self.heldout.features.rows[chosen], self.reference.moments
                bounds["floor_of"] = "held-out real images"
            elif self.reference.features is not None and len(self.reference.features) >= 4:
                order = shuffled(len(self.reference.features))
                half = len(order) // 2
                rows = self.reference.features.rows[order[:half]][: self.num_samples]
                reference = Moments.of(self.reference.features.rows[order[half:]])
                bounds["floor_of"] = "two halves of the real images"
            else:
                return bounds
            bounds["floor"], bounds["floor_num"] = self.frechet(rows, reference), len(rows)
        return bounds

    def protocol(self, weights: str = "ema", truncation: float | None = None) -> dict:
        """How the numbers are measured, as plain values; without it no two of them compare. `id` is short for all of
        it but the seed."""
        assert self.reference is not None, "prepare() comes first"
        stated = self.reference.facts
        protocol = {
            "extractor": self.extractor.name, "extractor_sha256": self.extractor.hash,
            "preprocessing": self.extractor.preprocessing, "comparable_to_published": self.extractor.standard,
            "num_generated": self.num_samples, "blocks": self.blocks, **self.facts, "reference": stated,
            "num_real": stated["num_real"], "split": stated["split"],
            "num_heldout": None if self.heldout is None else self.heldout.facts["num_real"],
            "heldout": None if self.heldout is None else self.heldout.facts["dataset"],
            "weights": weights, "truncation": truncation, "measures": {n: m.facts() for n, m in self.measures.items()},
            "version": VERSION,
        }  # fmt: skip
        return protocol | {"seed": self.seed, "id": protocol_id(protocol)}

    def measure(self, fake: Features):
        numbers, details, flags = {}, {}, {}
        if few := self.few():
            flags["small_sample"] = few
        for name, measure in self.measures.items():
            if measure.needs_features and self.reference.features is None:
                flags[f"no_{name}"] = f"{name} is left out: it needs the real images, not their statistics alone"
                continue
            outcome = measure(fake, self.reference, self.heldout)
            numbers |= {named(key, self.extractor): value for key, value in outcome.numbers.items()}
            details |= {
                named(key, self.extractor) if key.startswith("fd") else key: value
                for key, value in outcome.details.items()
            }
            flags |= outcome.flags
        return Result(numbers, {}, details, flags)

    def few(self) -> str | None:
        """What must be said of a number that so few images give; None where there are enough."""
        count = min(self.num_samples, self.reference.moments.n or SMALL)
        if count >= SMALL:
            return None
        return f"{count:,} images are few: Frechet distances below {SMALL:,} are dominated by bias"

    def summary(self, outcomes: list[Result]) -> Result:
        if len(outcomes) == 1:
            return outcomes[0]
        numbers, spread = {}, {}
        for name in outcomes[0].numbers:
            values = [outcome.numbers[name] for outcome in outcomes]
            numbers[name] = statistics.fmean(values)
            spread[name] = {"std": statistics.stdev(values), "min": min(values), "max": max(values)}
        return Result(numbers, spread, outcomes[0].details, outcomes[0].flags)

    def collect(
        self, generate, seeds: range, rank: int, world_size: int, gather, together=nullcontext
    ) -> Features | None:
        """The features of one block on rank 0, in the order of its seeds; None elsewhere."""
        mine = range(rank, self.num_samples, world_size)
        with together():
            parts = [self.join(self.generated(generate, part, seeds)) for part in self.batches(mine)]
            rows = torch.cat([torch.empty(0, self.columns), *parts])
        if world_size > 1:
            share = -(-self.num_samples // world_size)
            padded = nn.functional.pad(rows, (0, 0, 0, share - len(rows))).to(self.device)
            # share x world_size x D, flattened, is the order of the indices: the padding ends up last
            rows = torch.stack([part.cpu() for part in gather(padded)], 1).flatten(0, 1)[: self.num_samples]
        refuse_non_finite(rows, lambda i: f"generated image {i} (seed {seeds[i]})")
        if rank != 0:
            return None
        width = self.extractor.num_features
        return Features(
            rows[:, :width], rows[:, width:] if self.columns > width else None, self.labels, self.names_classes
        )

    def generated(self, generate, part: range, seeds: range) -> Features:
        labels = None if self.labels is None else self.labels[part.start : part.stop : part.step]
        wanted = [seeds[index] for index in part]
        images = generate(filled(wanted), None if labels is None else filled(labels))
        if images.dtype != torch.uint8 or len(images) != len(filled(wanted)):
            raise ValueError(
                f"Generated image {part[0]} (seed {seeds[part[0]]}) and those after it: expected "
                f"{len(filled(wanted))} uint8 images, got {images.dtype} of shape {tuple(images.shape)}."
            )
        return self.extract(images[: len(part)])

    def features_of(self, dataset, split: str, progress=None) -> Reference:
        def extract(block: range) -> Features:
            rows = torch.cat(
                [self.join(self.extract(dataset.__getitems__(list(part))[0])) for part in self.batches(block)]
            )
            refuse_non_finite(rows, lambda i: f"real image {block[i]}")
            width = self.extractor.num_features
            return Features(rows[:, :width], rows[:, width:] if self.columns > width else None)

        return reference_of(dataset, self.extractor, split, extract, progress)

    def extract(self, images: Tensor) -> Features:
        features, logits = self.extractor(filled(images).to(self.device))
        return Features(features[: len(images)], None if logits is None else logits[: len(images)])

    def join(self, features: Features) -> Tensor:
        """Features, and logits beside them if there are any: float32 N x (D + K), on the CPU."""
        parts = [features.rows] if features.logits is None else [features.rows, features.logits]
        return torch.cat([part.float() for part in parts], 1).cpu()

    def batches(self, indices: range) -> list[range]:
        return [indices[first : first + self.batch_size] for first in range(0, len(indices), self.batch_size)]

    def frechet(self, rows: Tensor, moments: Moments, root: Tensor | None = None) -> float:
        return frechet_distance(Moments.of(rows), moments, root=root)
