"""The cache of real images' features: extracted once and kept by content.

A cache entry is a folder $TRANSGAN_CACHE/reference/<extractor>-<key>/ with about.json (every fact in the key),
statistics.npz (mu, sigma, n) and features.npy. It appears by one rename, so that several writers leave one complete
entry, and nothing in it is a pickle. The key covers the images as the networks see them and the extractor's weights:
changing an image, another filter, size or split, or other weights is another entry.
"""

import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transgan import files
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import Extracted
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
    """Writes beside and renames; a cache that cannot be written costs time, not the run."""
    entry, key = entry_of(facts, extractor)
    # logits are kept where they are classes of the data: the accuracy on real images stands beside the generator's
    logits = extracted.logits if extractor.class_names is not None else None
    beside = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
        matrix = extracted.features if logits is None else torch.cat([extracted.features, logits], 1)
        np.save(beside / "features.npy", matrix.numpy(), allow_pickle=False)
        np.savez(
            beside / "statistics.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=np.array(moments.n)
        )
        about = facts | {
            "key": key, "num_logits": 0 if logits is None else logits.shape[1], "extractor": extractor.name,
            "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
        }  # fmt: skip
        files.write_json(beside / "about.json", about)
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
