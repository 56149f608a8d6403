"""One pass over generated images, many numbers: images -> uint8 -> extractor -> features once -> every metric."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from transgan.metrics import bounds
from transgan.metrics.collection import collection, takes
from transgan.metrics.context import Alone, Context
from transgan.metrics.extraction import Extraction, Generate, Watch
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import Extracted
from transgan.metrics.frechet import FrechetDistance
from transgan.metrics.images import ImageMetrics
from transgan.metrics.protocol import EARLIER, protocol_of
from transgan.metrics.reference import Reference, names_classes, reference_of
from transgan.metrics.report import named, refuse_too_few, refuse_twice, report_of
from transgan.metrics.sampling import ImageData, isolated, quotas

STRIDE = 1_000_003  # between the first seeds of two blocks
SMALL = 2048  # fewer images than this are called few (Heusel et al., 2017, recommend 10,000)

Progress = Callable[[int, int], None]  # done, total


@dataclass
class Result:
    """numbers by name, means over the blocks of seeds; spread: name -> {std, min, max} with several blocks;
    details and flags (name -> sentence) of the first block."""

    numbers: dict[str, float]
    spread: dict[str, dict[str, float]]
    details: dict[str, Any]
    flags: dict[str, str]


class Evaluator:
    """Compares generated images with all images of a data set, and with held-out ones where there are any.

    Generated image i of block b comes from seed `(seed + b) * 1_000_003 + i` and from label i of `labels`, whichever
    process makes it: the numbers do not depend on the batch size or the number of processes, and no random state
    outside is touched.

    Args:
        extractor: makes features of uint8 images, see metrics/extractors.
        measures: name -> torchmetrics Metric. Its `update` is called with those of features, logits, class_logits,
            labels, real and heldout that it names, for all real images and then for all generated ones, and of one
            that names images with each batch of them; see FeatureMetric, ImageMetrics and `report_of`.
        num_samples: generated images per block; None: as many as there are real ones, up to 10,000.
        batch_size: images at a time, made up to a multiple of 8. seed: of the first block. blocks: of other seeds each.
        with_heldout: whether held-out images are wanted; whoever calls `prepare` hands them in.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        measures: dict[str, Metric],
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
        self.extractor, self.metrics, self.num_samples = extractor, collection(measures), num_samples
        self.images = ImageMetrics(measures)
        self.of_features = {name: metric for name, metric in measures.items() if name not in self.images.metrics}
        self.batch_size, self.seed, self.blocks, self.with_heldout = batch_size, seed, blocks, with_heldout
        self.labels: Tensor | None = None  # int64 (num_samples,) after prepare(), or None without classes
        self.reference: Reference | None = None
        self.heldout: Reference | None = None

    @property
    def primary(self) -> str:
        """The name of the Frechet distance, the number to choose checkpoints by: lower is better."""
        return named("fd", self.extractor)

    @property
    def identity(self) -> list[Any]:
        """What the primary number depends on beside the generator; known to every process after `prepare`."""
        return [self.primary, self.extractor.hash, self.num_samples, self.seed, self.blocks]

    def seeds(self, block: int = 0) -> range:
        """The seeds of a block's images, in order."""
        assert self.num_samples is not None, "prepare() comes first"
        first = (self.seed + block) * STRIDE
        return range(first, first + self.num_samples)

    def prepare(
        self,
        dataset: ImageData,
        heldout: ImageData | None = None,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
        main: bool = True,
        conditional: bool = True,
        reference: Callable[[FeatureExtractor], Reference] | None = None,
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
            refuse_too_few(dict(self.metrics.items()), min(self.num_samples, len(dataset)))
        device = torch.device(device)
        for metric in self.metrics.values():
            if getattr(metric, "uses_device", False):
                metric.to(device)
        num_classes = dataset.num_classes if conditional else 0
        self.labels = quotas(dataset.labels, num_classes, self.num_samples, self.seed)
        self.facts = {"resolution": dataset.resolution, "channels": dataset.channels}
        with isolated():
            self.extractor.prepare(dataset)
            self.extractor.to(device)
            self.names_classes = num_classes > 0 and names_classes(dataset, self.extractor)
            self.extraction = Extraction(self.extractor, device, self.batch_size, dataset.__getitems__([0, 1])[0])
            self.images.forget()
            if main:
                self.reference = (
                    self.features_of(dataset, "train", progress) if reference is None else reference(self.extractor)
                )
                self.heldout = None if heldout is None else self.features_of(heldout, "heldout", progress)

    def features_of(self, dataset: ImageData, split: str, progress: Progress | None = None) -> Reference:
        watch = self.images.of_real(dataset, split)
        extract = partial(self.extraction.real, dataset, watch=watch.show if watch.metrics else None)
        reference = reference_of(dataset, self.extractor, split, extract, progress)
        watch.complete(reference, self.extraction.batches(range(len(dataset))))
        return reference

    def __call__(self, generate: Generate, context: Context | None = None) -> Result | None:
        """The numbers, on rank 0 of the `context` (one process where there is none); None on the others.

        `generate(seeds, labels)` takes a list of seeds and int64 labels (or None) and returns uint8 N x C x H x W.
        """
        context = Alone() if context is None else context
        results = []
        with isolated():
            for block in range(self.blocks):
                self.images.reset()
                fake = self.generated(generate, self.seeds(block), context, self.watch)
                self.images.gather(context, self.extraction.device)
                with context.together():
                    if fake is not None:
                        results.append(self.measure(fake))
        return self.summary(results) if context.rank == 0 else None

    def watch(self, images: Tensor, extracted: Extracted) -> None:
        """Shows a batch of generated images to the metrics that want them."""
        extracted.names_classes = self.names_classes
        self.images.update(images, extracted)

    def generated(
        self, generate: Generate, seeds: range, context: Context, watch: Watch | None = None
    ) -> Extracted | None:
        """What is extracted from a block's images, on rank 0."""
        matrix = self.extraction.generated(generate, seeds, self.labels, context, watch)
        return None if matrix is None else self.extraction.split(matrix, self.labels, self.names_classes)

    def measure(self, fake: Extracted) -> Result:
        """Every metric of one block. Only this process updates and computes: it has the features of all of them."""
        assert self.reference is not None, "prepare() comes first, and on this process"
        of_features = collection(self.of_features)
        of_features.reset()
        self.update_real(self.reference, self.heldout)
        of_features.update(**fake.arguments(), real=False, heldout=False)
        result = Result({}, {}, {}, {})
        if few := self.few():
            result.flags["small_sample"] = few
        for name, metric in self.metrics.items():
            if self.reference.extracted is None and getattr(metric, "needs_features", takes(metric, "real")):
                flag = f"no_{EARLIER.get(name, name)}"
                result.flags[flag] = f"{name} is left out: it needs the real images, not their statistics alone"
                continue
            report = report_of(name, metric)
            result.numbers |= {named(key, self.extractor): value for key, value in report.numbers.items()}
            result.numbers |= report.of_images
            result.details |= {
                named(key, self.extractor) if key.startswith("fd") else key: value
                for key, value in report.details.items()
            }
            result.flags |= report.flags
        self.metrics.reset()  # or the features would be held until the next evaluation
        return result

    def update_real(self, reference: Reference, heldout: Reference | None) -> None:
        """Real images for all metrics that name them: moments, where these are enough and known, or features."""
        sides = [(reference, False)] if heldout is None else [(reference, False), (heldout, True)]
        for real, is_heldout in sides:
            metrics = {}
            for name, metric in self.of_features.items():
                if isinstance(metric, FrechetDistance):
                    extracted = real.extracted
                    given = {} if extracted is None else {"features": extracted.features, "labels": extracted.labels}
                    metric.set_real(real.moments, real.root, heldout=is_heldout, **given)
                elif takes(metric, "heldout" if is_heldout else "real"):
                    metrics[name] = metric
            if real.extracted is not None:
                collection(metrics).update(**real.extracted.arguments(), real=True, heldout=is_heldout)

    def bounds(self, untrained: Generate) -> dict[str, Any]:
        """What the primary number is for real images, and for `untrained(seeds, labels)`, at most as many as generated.

        The floor is held-out images against the reference, or without held-out ones two halves of the real images.
        """
        assert self.reference is not None and self.num_samples is not None, "prepare() comes first"
        with isolated():
            fake = self.generated(untrained, self.seeds(), Alone())
            assert fake is not None
            ceiling = bounds.ceiling(fake.features, self.reference)
            return ceiling | bounds.floor(self.reference, self.heldout, self.num_samples)

    def floor(self) -> dict[str, Any]:
        """The floor alone, which needs no generated image; empty where real images have no features."""
        assert self.reference is not None and self.num_samples is not None, "prepare() comes first"
        with isolated():
            return bounds.floor(self.reference, self.heldout, self.num_samples)

    def protocol(self, weights: str = "ema", truncation: float | None = None) -> dict[str, Any]:
        """How the numbers are measured; without it no two of them compare."""
        return protocol_of(self, weights, truncation)

    def few(self) -> str | None:
        """What must be said of a number that so few images give; None where there are enough."""
        assert self.reference is not None and self.num_samples is not None, "prepare() comes first"
        count = min(self.num_samples, self.reference.moments.n or SMALL)
        few = f"{count:,} images are few: Frechet distances below {SMALL:,} are dominated by bias"
        return few if count < SMALL else None

    def summary(self, results: list[Result]) -> Result:
        if len(results) == 1:
            return results[0]
        numbers, spread = {}, {}
        for name in results[0].numbers:
            values = [result.numbers[name] for result in results]
            numbers[name] = statistics.fmean(values)
            spread[name] = {"std": statistics.stdev(values), "min": min(values), "max": max(values)}
        return Result(numbers, spread, results[0].details, results[0].flags)
