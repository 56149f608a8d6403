"""Files of mean and covariance that evaluation programs exchange: npz with `mu` and `sigma`.

pytorch-fid, clean-fid, ADM and many repositories write them; what they lack is how they were made. Ours also hold n,
the extractor, its hash and its resize, the data and its resolution, as plain arrays: no pickle is read or written.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from transgan import files
from transgan.metrics.frechet import Moments
from transgan.metrics.reference import Reference

TEXTS = ("extractor", "extractor_sha256", "preprocessing", "dataset", "preparation", "split")


def write_statistics(path: str | Path, reference: Reference, extractor) -> None:
    """Writes mu (D,), sigma (D, D) float64, n, and the facts of the reference; beside, then renamed."""
    path, moments = Path(path), reference.moments
    facts = reference.facts | {
        "extractor": extractor.name, "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
    }  # fmt: skip
    arrays = {name: np.array(str(facts[name])) for name in TEXTS if name in facts}
    if "resolution" in facts:
        arrays["resolution"] = np.array(facts["resolution"])
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            np.savez(file, mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=np.array(moments.n), **arrays)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_statistics(path: str | Path, extractor, num_real: int | None = None, resolution: int | None = None):
    """The Reference in an npz of `mu` and `sigma`. `num_real` is how many images it was made of, where the file does
    not say. Raises ValueError when it is unreadable, of other features, of another extractor or resolution."""
    path = files.expanded(path)
    try:
        content = path.read_bytes()
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files if name in ("mu", "sigma", "n", "resolution", *TEXTS)}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:                # of many kinds: no zip, cut short, a pickle inside
        raise ValueError(f"{path} is not an npz file of plain arrays; write one with np.savez(PATH, mu=mu, sigma=sigma)"
                         ) from error
    if not {"mu", "sigma"} <= set(held):
        raise ValueError(f"{path} has no arrays mu and sigma; it holds {', '.join(sorted(held)) or 'nothing of use'}")
    mean, covariance = (torch.from_numpy(np.asarray(held[name], dtype=np.float64)) for name in ("mu", "sigma"))
    width = extractor.num_features
    if mean.shape != (width,) or covariance.shape != (width, width):
        raise ValueError(f"{path} holds mu {tuple(mean.shape)} and sigma {tuple(covariance.shape)}, and "
                         f"{extractor.name} has {width} features: the statistics are of another extractor; give "
                         "extractor=")
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise ValueError(f"{path} holds numbers that are not finite; make the statistics again")
    if (covariance - covariance.T).abs().max() > 1e-6 * covariance.abs().max():
        raise ValueError(f"sigma in {path} is not symmetric, so it is no covariance; make the statistics again")
    texts = {name: str(held[name]) for name in TEXTS if name in held}
    if texts.get("extractor_sha256", extractor.hash) != extractor.hash:
        raise ValueError(f"{path} was made with other weights of {texts.get('extractor')} "
                         f"({texts['extractor_sha256'][:8]}, and here are {extractor.hash[:8]}); use the same weights")
    made = int(held["resolution"]) if "resolution" in held else None
    if None not in (made, resolution) and made != resolution:
        raise ValueError(f"{path} was made of images of {made} px and the generated ones have {resolution} px: "
                         "a distance between them measures the resizing; give statistics of the same resolution")
    n = int(held["n"]) if "n" in held else num_real
    if n is None:
        raise ValueError(f"{path} does not say how many images it was made of; give it: num_real=N")
    facts = {
        "split": texts.get("split", "not stated"), "num_real": n, "file": path.name,
        "file_sha256": hashlib.sha256(content).hexdigest(), "resolution": made,
        "dataset": texts.get("dataset", "not stated"), "preparation": texts.get("preparation", "not stated"),
        "resize": texts.get("preprocessing", "not stated"),
    }  # fmt: skip
    return Reference(facts, moments=Moments(n, mean, covariance))
