"""What generated images are compared with: the features of real images, or the moments of a file of statistics."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from transgan.metrics import cache
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import Extracted
from transgan.metrics.moments import Moments, square_root
from transgan.metrics.sampling import ImageData


class Reference:
    """Moments of real images and, unless they come from a file of statistics alone, what was extracted.

    `facts` are plain values for the protocol: split, num_real, dataset, preparation, or the file and its makers.
    """

    def __init__(self, facts: dict[str, Any], extracted: Extracted | None = None, moments: Moments | None = None):
        assert extracted is not None or moments is not None
        self.facts, self.extracted = facts, extracted
        if moments is not None:
            self.moments = moments

    @cached_property
    def moments(self) -> Moments:
        assert self.extracted is not None
        return Moments.of(self.extracted.features)

    @cached_property
    def root(self) -> Tensor:
        """The square root of the covariance, which every Frechet distance to these images needs."""
        return square_root(self.moments.covariance)


def facts_of(dataset: ImageData, split: str) -> dict[str, Any]:
    """What is said of a data set in the protocol and in the cache."""
    return {
        "split": split, "num_real": len(dataset), "dataset": dataset.fingerprint,
        "preparation": getattr(dataset, "preparation", "as they are"), "mirrored": False,
        "resolution": dataset.resolution, "channels": dataset.channels,
    }  # fmt: skip


def names_classes(dataset: ImageData, extractor: FeatureExtractor) -> bool:
    """Whether the columns of the logits are the classes of the data."""
    return dataset.num_classes > 0 and extractor.class_names == list(dataset.class_names)


def reference_of(
    dataset: ImageData,
    extractor: FeatureExtractor,
    split: str,
    extract: Callable[[range], Extracted],
    progress: Callable[[int, int], None] | None = None,
) -> Reference:
    """The reference of all images of `dataset`, from the cache or by `extract(indices)` block by block."""
    facts = facts_of(dataset, split)
    labels = dataset.labels if dataset.num_classes else None
    named = names_classes(dataset, extractor)
    kept = cache.load(facts, extractor)
    if kept is not None:
        features, logits, moments = kept
        return Reference(facts, Extracted(features, logits, labels, named), moments)
    parts = []
    for first in range(0, len(dataset), 1000):
        block = range(first, min(first + 1000, len(dataset)))
        parts.append(extract(block))
        if progress is not None:
            progress(block.stop, len(dataset))
    logits = None if parts[0].logits is None else torch.cat([part.logits for part in parts if part.logits is not None])
    extracted = Extracted(torch.cat([part.features for part in parts]), logits, labels, named)
    reference = Reference(facts, extracted)
    cache.save(facts, extractor, extracted, reference.moments)
    return reference
