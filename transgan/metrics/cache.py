"""The cache of real images' features, and of sums over the images: made once and kept by content.

An entry of features is a folder $TRANSGAN_CACHE/reference/<extractor>-<key>/ with about.json (every fact in the key),
statistics.npz (mu, sigma, n) and features.npy. It appears by one rename, so that several writers leave one complete
entry, and nothing in it is a pickle. The key covers the images as the networks see them and the extractor's weights:
changing an image, another filter, size or split, or other weights is another entry.

An entry of sums is a folder reference/<metric>-<key>/ with about.json and sums.npz, the states that an ImageMetric has
after all real images. Its key covers the images, their labels, and the metric with its settings and version.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transgan import files
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import Extracted
from transgan.metrics.image_metric import ImageMetric, Sums
from transgan.metrics.moments import Moments

SCHEMA = 1  # of an entry and of the code that makes features: counts up when either changes

log = logging.getLogger(__name__)


def entry_key(facts: dict[str, Any], extractor: FeatureExtractor) -> str:
    """Hex SHA-256 over everything that changes the features."""
    named = {
        **facts, "schema": SCHEMA, "extractor": extractor.name, "extractor_sha256": extractor.hash,
        "preprocessing": extractor.preprocessing,
    }  # fmt: skip
    return files.hash_of(json.dumps(named, sort_keys=True))


def cache_folder() -> Path:
    return files.cache_folder("reference")


def entry_of(facts: dict[str, Any], extractor: FeatureExtractor) -> tuple[Path, str]:
    """The folder of an entry, and its complete key."""
    key = entry_key(facts, extractor)
    return cache_folder() / f"{extractor.name}-{key[:16]}", key


def is_kept(facts: dict[str, Any], extractor: FeatureExtractor) -> bool:
    """Whether there is an entry of these images' features, by an extractor that is prepared."""
    return entry_of(facts, extractor)[0].is_dir()


def load(facts: dict[str, Any], extractor: FeatureExtractor) -> tuple[Tensor, Tensor | None, Moments] | None:
    """Features, logits and moments of a complete and valid entry, or None; an invalid one is reported and removed."""
    entry, key = entry_of(facts, extractor)
    if not entry.is_dir():
        return None
    try:
        about = files.read_json(entry / "about.json")
        kept = np.load(entry / "features.npy", allow_pickle=False)
        sums = np.load(entry / "statistics.npz", allow_pickle=False)
        moments = Moments(int(sums["n"]), torch.from_numpy(sums["mu"]), torch.from_numpy(sums["sigma"]))
        if about["key"] != key:
            raise ValueError("it was made for other images or another extractor")
        width = extractor.num_features
        assert width is not None
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
    matrix = torch.from_numpy(kept)
    return matrix[:, :width].contiguous(), matrix[:, width:] if about["num_logits"] else None, moments


def save(facts: dict[str, Any], extractor: FeatureExtractor, extracted: Extracted, moments: Moments) -> None:
    """Keeps what was extracted."""
    entry, key = entry_of(facts, extractor)
    # logits are kept where they are classes of the data: the accuracy on real images stands beside the generator's
    logits = extracted.logits if extractor.class_names is not None else None
    about = facts | {
        "key": key, "num_logits": 0 if logits is None else logits.shape[1], "extractor": extractor.name,
        "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
    }  # fmt: skip

    def fill(folder: Path) -> None:
        matrix = extracted.features if logits is None else torch.cat([extracted.features, logits], 1)
        np.save(folder / "features.npy", matrix.numpy(), allow_pickle=False)
        np.savez(
            folder / "statistics.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=np.array(moments.n)
        )

    write(entry, about, fill, "the features of real images")


def sums_entry(facts: dict[str, Any], labels: Tensor, metric: ImageMetric) -> tuple[Path, dict[str, Any]]:
    """The folder of an entry of sums, and what is in its about.json."""
    name = type(metric).__name__.lower()
    named = facts | {
        "schema": SCHEMA, "metric": f"{type(metric).__module__}.{type(metric).__qualname__}", "version": metric.version,
        "settings": metric.settings(), "labels": files.hash_of(labels.numpy().tobytes()),
    }  # fmt: skip
    key = files.hash_of(json.dumps(named, sort_keys=True))
    return cache_folder() / f"{name}-{key[:16]}", named | {"key": key}


def load_sums(facts: dict[str, Any], labels: Tensor, metric: ImageMetric, side: str) -> bool:
    """Whether there is an entry of what `metric` keeps of these images; it has it afterwards, as that of its `side`."""
    entry, named = sums_entry(facts, labels, metric)
    if not entry.is_dir():
        return False
    try:
        if files.read_json(entry / "about.json")["key"] != named["key"]:
            raise ValueError("it was made for other images or another metric")
        with np.load(entry / "sums.npz", allow_pickle=False) as held:
            sums = {name: torch.from_numpy(held[name]) for name in held.files}
        if int(sums["count"]) != facts["num_real"] or not all(each.isfinite().all() for each in sums.values()):
            raise ValueError("its sums are not of these images")
        metric.put(side, sums)
    except Exception as error:  # of many kinds, as above
        log.warning("the cached reference %s is not valid (%s) and is made again", entry, error)
        discard(entry)
        return False
    return True


def save_sums(facts: dict[str, Any], labels: Tensor, metric: ImageMetric, side: str) -> None:
    """Keeps what `metric` has of all images of its `side`."""
    entry, about = sums_entry(facts, labels, metric)
    sums: Sums = metric.sums(side)

    def fill(folder: Path) -> None:
        arrays: dict[str, Any] = {name: each.cpu().numpy() for name, each in sums.items()}
        np.savez(folder / "sums.npz", **arrays)

    write(entry, about, fill, "the sums of real images")


def write(entry: Path, about: dict[str, Any], fill: Callable[[Path], None], what: str) -> None:
    """Writes beside and renames; a cache that cannot be written costs time, not the run. `fill` writes the arrays."""
    beside = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
        fill(beside)
        files.write_json(beside / "about.json", about)
        os.chmod(beside, 0o755)  # mkdtemp makes folders that only their owner can read
        os.rename(beside, entry)  # fails where another writer was faster: theirs is as good
    except OSError as error:
        if not entry.is_dir():
            log.warning("%s could not be kept in %s: %s", what, entry, error)
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
