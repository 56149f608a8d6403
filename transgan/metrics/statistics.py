"""Files of mean and covariance that evaluation programs exchange: npz with `mu` and `sigma`, or `mean` and `cov`.

pytorch-fid, clean-fid, ADM and many repositories write them; what they lack is how they were made. Ours also hold n,
the extractor, its hash and its resize, the data and its resolution, as plain arrays: no pickle is read or written.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transgan import files
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.moments import Moments
from transgan.metrics.reference import Reference

NAMES = (("mu", "sigma"), ("mean", "cov"))
TOLERANCE = 1e-5  # of the largest eigenvalue: more than float32 ever leaves below 0 (measured: 6e-6), or above
TEXTS = ("extractor", "extractor_sha256", "preprocessing", "dataset", "preparation", "split")


def write_statistics(path: str | Path, reference: Reference, extractor: FeatureExtractor) -> None:
    """Writes mu (D,), sigma (D, D) float64, n, and the facts of the reference."""
    moments = reference.moments
    facts = reference.facts | {
        "extractor": extractor.name, "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
    }  # fmt: skip
    arrays: dict[str, Any] = {name: np.array(str(facts[name])) for name in TEXTS if name in facts}
    if "resolution" in facts:
        arrays["resolution"] = np.array(facts["resolution"])
    with files.replacing(path) as file:
        np.savez(file, mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=np.array(moments.n), **arrays)


def read_statistics(
    path: str | Path, extractor: FeatureExtractor, num_real: int | None = None, resolution: int | None = None
) -> Reference:
    """The Reference in an npz of `mu` and `sigma`, or of `mean` and `cov`. `num_real` is how many images it was made
    of, where the file does not say.

    Raises ValueError when it is unreadable, of other features, of another extractor or resolution, when its covariance
    cannot be one, or not one of so many images."""
    path = files.expanded(path)
    try:
        content = path.read_bytes()
        with np.load(path, allow_pickle=False) as file:
            wanted = {"n", "resolution", *TEXTS, *(name for pair in NAMES for name in pair)}
            held, there = {name: file[name] for name in file.files if name in wanted}, list(file.files)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # of many kinds: no zip, cut short, a pickle inside
        raise ValueError(
            f"{path} is not an npz file of plain arrays; write one with np.savez(PATH, mu=mu, sigma=sigma)"
        ) from error
    pairs = [pair for pair in NAMES if set(pair) <= set(held)]
    if len(pairs) == 2 and not all(np.array_equal(held[a], held[b]) for a, b in zip(*pairs, strict=True)):
        raise ValueError(f"{path} holds mu and sigma, and mean and cov, and they differ; leave one pair out")
    if not pairs:
        raise ValueError(
            f"{path} has no arrays mu and sigma, or mean and cov; it holds {', '.join(there) or 'nothing'}"
            "; where that is images, leave num_real= out"
        )
    pair = pairs[0]
    mean, covariance = moments_in(held, pair, path, extractor)
    texts = {name: str(held[name]) for name in TEXTS if name in held}
    if texts.get("extractor_sha256", extractor.hash) != extractor.hash:
        raise ValueError(
            f"{path} was made with other weights of {texts.get('extractor')} "
            f"({texts['extractor_sha256'][:8]} instead of {str(extractor.hash)[:8]}); use the same weights"
        )
    made = whole(held["resolution"], f"resolution in {path} is ", least=1) if "resolution" in held else None
    if None not in (made, resolution) and made != resolution:
        raise ValueError(
            f"{path} was made of images of {made} px and the generated ones have {resolution} px: "
            "a distance between them measures the resizing; give statistics of the same resolution"
        )
    n = number_of(held, num_real, path)
    facts = {
        "split": texts.get("split", "not stated"), "num_real": n, "file": path.name,
        "file_sha256": files.hash_of(content), "resolution": made,
        "dataset": texts.get("dataset", "not stated"), "preparation": texts.get("preparation", "not stated"),
        "resize": texts.get("preprocessing", "not stated"),
    }  # fmt: skip
    return Reference(facts, moments=Moments(n, mean, possible(covariance, n, f"{pair[1]} in {path}")))


def moments_in(
    held: dict[str, Any], pair: tuple[str, str], path: Path, extractor: FeatureExtractor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (D,) and covariance (D, D) in float64. Raises ValueError where they are not of the extractor's D."""
    given = [held[name] for name in pair]
    for name, array in zip(pair, given, strict=True):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name} in {path} is {array.dtype} and holds no real numbers; make the statistics again")
    mean, covariance = (torch.from_numpy(np.asarray(array, dtype=np.float64)) for array in given)
    width = extractor.num_features
    assert width is not None, "prepare() comes first"
    if mean.shape != (width,) or covariance.shape != (width, width):
        raise ValueError(
            f"{path} holds {pair[0]} {tuple(mean.shape)} and {pair[1]} {tuple(covariance.shape)}, and "
            f"{extractor.name} has {width} features: the statistics are of another extractor; give "
            "extractor="
        )
    if not (mean.isfinite().all() and covariance.isfinite().all()):
        raise ValueError(f"{path} holds numbers that are not finite; make the statistics again")
    return mean, covariance


def number_of(held: dict[str, Any], num_real: int | None, path: Path) -> int:
    """How many images the statistics are of: what the file says, or `num_real`. Raises ValueError if neither does."""
    given = None if num_real is None else whole(num_real, "num_real=")
    if "n" not in held:
        if given is None:
            raise ValueError(f"{path} does not say how many images it was made of; give it: num_real=N")
        return given
    n = whole(held["n"], f"n in {path} is ")
    if given not in (None, n):
        raise ValueError(f"num_real={given}: {path} itself says that it was made of {n:,} images; leave num_real= out")
    return n


def whole(value: Any, what: str, least: int = 2) -> int:
    """A whole number of at least `least`, of any type. `what` comes before it in the ValueError there is otherwise."""
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "iuf":
        number = array.reshape(-1)[0].item()
        if math.isfinite(number) and number == int(number) and number >= least:
            return int(number)
    shown = value if array.size == 1 else f"an array of shape {array.shape}"
    kind = "a whole number of images" if least > 1 else "a whole number"
    raise ValueError(f"{what}{shown}: it takes {kind}, {least} or more")


def possible(covariance: torch.Tensor, n: int, what: str) -> torch.Tensor:
    """The covariance (D, D), with what float32 has rounded to below 0 put back to 0.

    Raises ValueError unless it is symmetric, not negative in any direction, and of a rank that n images can have.
    """
    if (covariance - covariance.T).abs().max() > 1e-6 * covariance.abs().max():
        raise ValueError(f"{what} is not symmetric, so it is no covariance; make the statistics again")
    values = torch.linalg.eigvalsh(covariance)
    largest = values[-1].clamp_min(0)
    if values[0] < -TOLERANCE * largest or values[-1] < 0:
        raise ValueError(
            f"{what} is not positive semi-definite (its eigenvalues are {values[0]:.3g} to "
            f"{values[-1]:.3g}), so it is no covariance; make the statistics again"
        )
    rank = int((values > TOLERANCE * largest).sum())
    if rank > n - 1:
        raise ValueError(
            f"{what} has a rank of {rank:,} or more, and that of {n:,} images is {n - 1:,} at most: they "
            "were more images"
        )
    if values[0] >= -1e-12 * largest:
        return covariance
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0)) @ vectors.T
