"""What generated images are compared with: the features of real images, extracted once and kept by content.

A cache entry is a folder $TRANSGAN_CACHE/reference/<extractor>-<key>/ with about.json (every fact in the key),
statistics.npz (mu, sigma, n) and features.npy. It appears by one rename, so that several writers leave one whole
entry, and nothing in it is a pickle. The key covers the images as the networks see them and the extractor's weights:
touching a picture, another filter, size or split, or other weights is another entry.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from transgan import files
from transgan.metrics.frechet import Moments, square_root

SCHEMA = 1  # of an entry and of the code that makes features: counts up when either changes

log = logging.getLogger(__name__)


@dataclass
class Features:
    """What an extractor made of N images: rows (N, D) float32; logits (N, K) or None; labels (N,) int64 or None.

    `names_classes`: whether column k of the logits is class k of the labels.
    """

    rows: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None
    names_classes: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Tensor) -> "Features":
        """The images of these indices, or of this mask."""
        pick = lambda each: None if each is None else each[chosen]  # noqa: E731
        return Features(self.rows[chosen], pick(self.logits), pick(self.labels), self.names_classes)


class Reference:
    """Moments of real images and, unless they come from a file of statistics alone, their features.

    `facts` are plain values for the protocol: split, num_real, dataset, preparation, or the file and its makers.
    """

    def __init__(self, facts: dict, features: Features | None = None, moments: Moments | None = None):
        assert features is not None or moments is not None
        self.facts, self.features = facts, features
        if moments is not None:
            self.moments = moments

    @cached_property
    def moments(self) -> Moments:
        return Moments.of(self.features.rows)

    @cached_property
    def root(self) -> Tensor:
        """The square root of the covariance, which every Frechet distance to these images needs."""
        return square_root(self.moments.covariance)


def reference_of(dataset, extractor, split: str, extract, progress=None) -> Reference:
    """The reference of all images of `dataset`, from the cache or by `extract(range) -> Features` block by block."""
    facts = {
        "split": split, "num_real": len(dataset), "dataset": dataset.fingerprint,
        "preparation": getattr(dataset, "preparation", "as they are"), "mirrored": False,
        "resolution": dataset.resolution, "channels": dataset.channels,
    }  # fmt: skip
    key = entry_key(facts, extractor)
    entry = cache_folder() / f"{extractor.name}-{key[:16]}"
    kept = load(entry, key, extractor)
    labels = dataset.labels if dataset.num_classes else None
    names_classes = dataset.num_classes > 0 and extractor.class_names == list(dataset.class_names)
    if kept is not None:
        features, moments = kept
        return Reference(facts, Features(features.rows, features.logits, labels, names_classes), moments)
    parts = []
    for first in range(0, len(dataset), 1000):
        block = range(first, min(first + 1000, len(dataset)))
        parts.append(extract(block))
        if progress is not None:
            progress(block.stop, len(dataset))
    logits = None if parts[0].logits is None else torch.cat([part.logits for part in parts])
    reference = Reference(facts, Features(torch.cat([part.rows for part in parts]), logits, labels, names_classes))
    save(entry, key, facts, extractor, reference)
    return reference


def entry_key(facts: dict, extractor) -> str:
    """Hex SHA-256 over everything that changes the features."""
    named = {
        **facts, "schema": SCHEMA, "extractor": extractor.name, "extractor_sha256": extractor.hash,
        "preprocessing": extractor.preprocessing,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def cache_folder() -> Path:
    return files.cache_folder("reference")


def load(entry: Path, key: str, extractor) -> tuple[Features, Moments] | None:
    """A whole and valid entry, or None; an invalid one is reported and taken away."""
    if not entry.is_dir():
        return None
    try:
        about = json.loads((entry / "about.json").read_text())
        kept = np.load(entry / "features.npy", allow_pickle=False)
        sums = np.load(entry / "statistics.npz", allow_pickle=False)
        moments = Moments(int(sums["n"]), torch.from_numpy(sums["mu"]), torch.from_numpy(sums["sigma"]))
        if about["key"] != key:
            raise ValueError("it was made for other images or another extractor")
        width = extractor.num_features
        if kept.dtype != np.float32 or kept.shape != (about["num_real"], width + about["num_logits"]):
            raise ValueError("its features have another shape")
        if moments.n != len(kept) or moments.mean.shape != (width,) or moments.covariance.shape != (width, width):
            raise ValueError("its statistics have another shape")
        if not (np.isfinite(kept).all() and moments.covariance.isfinite().all() and moments.mean.isfinite().all()):
            raise ValueError("its numbers are not finite")
    except Exception as error:  # of many kinds: zip, JSON, missing files and keys
        log.warning("the cached reference %s is not valid (%s) and is made again", entry, error)
        discard(entry)
        return None
    rows = torch.from_numpy(kept)
    features = Features(rows[:, :width].contiguous(), rows[:, width:] if about["num_logits"] else None)
    return features, moments


def save(entry: Path, key: str, facts: dict, extractor, reference: Reference) -> None:
    """Writes beside and renames; a cache that cannot be written costs time, not the run."""
    features, moments = reference.features, reference.moments
    # logits are kept where they are classes of the data: the accuracy on real images stands beside the generator's
    logits = features.logits if extractor.class_names is not None else None
    beside = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
        rows = features.rows if logits is None else torch.cat([features.rows, logits], 1)
        np.save(beside / "features.npy", rows.numpy(), allow_pickle=False)
        np.savez(beside / "statistics.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=moments.n)
        about = facts | {
            "key": key, "num_logits": 0 if logits is None else logits.shape[1], "extractor": extractor.name,
            "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
        }  # fmt: skip
        (beside / "about.json").write_text(json.dumps(about, indent=1))
        os.chmod(beside, 0o755)  # mkdtemp makes folders that only their owner can read
        os.rename(beside, entry)  # fails where another writer was faster: theirs is as good
    except OSError as error:
        if not entry.is_dir():
            log.warning("the features of real images could not be kept in %s: %s", entry, error)
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def discard(entry: Path) -> None:
    """Takes an entry away in one step, so that nobody reads half of it."""
    try:
        aside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
        os.rename(entry, aside / "broken")
        shutil.rmtree(aside, ignore_errors=True)
    except OSError:  # another process was faster, or may not write here
        pass
