"""The run that a run begins with: what its images have to do with these, and what it had cost by then."""

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from transgan import checkpoint, files, warm_start
from transgan.data import hold_out
from transgan.data.part import held_out
from transgan.errors import UserError
from transgan.instantiation import make
from transgan.warm_start import Source

CLOCKS = {"wall": "images_per_second", "cpu": "images_per_cpu_second"}  # columns of stats.csv


def settled(
    config: DictConfig, arguments: list[str], previous: dict[str, Any] | None, more: Sequence[str] = ()
) -> Source | None:
    """As `warm_start.settle`; `more` is said together with what that finds."""
    try:
        source = warm_start.settle(config, arguments, previous and previous["config"])
    except UserError as error:
        raise UserError(*more, *error.findings) from error
    if more:
        raise UserError(*more)
    return source


def remarks(source: Source, config: DictConfig, dataset: Any) -> list[str]:
    """Sentences about a source that was trained on other images than these, the ones to train on."""
    said = f"checkpoint={config.checkpoint}: that {source.kind} was trained"
    found = []
    ours = [str(name) for name in dataset.class_names]
    if source.num_classes and source.class_names and source.class_names != ours:
        found.append(f"{said} with classes named {shown(source.class_names)}, and these are {shown(ours)}, by number")
    if source.data is None or dataset.is_same(source.data):
        return found
    seen = None if source.holdout == config.holdout else seen_of_heldout(source, config)
    if seen is None:
        found.append(f"{said} on other images ({source.data[:8]}, and these are {dataset.fingerprint[:8]})")
    elif seen:
        found.append(
            f"{said} with holdout={source.holdout:g} and has seen {seen:,} of the images that holdout="
            f"{config.holdout:g} holds out: what is measured on these flatters; give holdout={source.holdout:g}, or "
            f"begin with one trained with holdout={config.holdout:g}"
        )
    return found


def seen_of_heldout(source: Source, config: DictConfig) -> int | None:
    """How many of the images held out now the source was trained on; None where its images are none of these."""
    whole = make(config.data)
    then = hold_out(whole, source.holdout)[0] if source.holdout else whole
    if not then.is_same(source.data):
        return None
    if not config.holdout:
        return 0
    out = held_out(whole.labels, config.holdout)[0]
    return int((out & ~held_out(whole.labels, source.holdout)[0]).sum() if source.holdout else out.sum())


def shown(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def times(folder: Path, clock: str = "wall") -> tuple[np.ndarray, np.ndarray]:
    """-> (kimg, seconds of training until then, NaN from where they are not known), from the stats.csv of a run."""
    path = folder / "stats.csv"
    if not path.exists():
        return np.zeros(1), np.zeros(1)
    header, *lines = files.read_csv(path) or [[]]
    table = [dict(zip(header, line, strict=False)) for line in lines]
    # none by an earlier version
    rows = [(float(row["kimg"]), float(row.get(CLOCKS[clock]) or "nan")) for row in table]
    kimg = np.array([0.0] + [row[0] for row in rows])
    speed = np.array([row[1] if row[1] > 0 else np.nan for row in rows])  # 0.0: too slow to have been written
    return kimg, np.concatenate([[0.0], np.cumsum(1000 * np.diff(kimg) / speed)])


def facts(source: Source) -> dict[str, Any]:
    """What a checkpoint holds of the run that it began with, which may go on, change or go after that.

    The cost is that of the whole run so far, of which the best checkpoint may be an earlier state.
    """
    folder, images = source.path.parent.parent, round(1000 * source.kimg)
    if (last := source.path.with_name("last.ckpt")).exists() and source.path.name == "best.ckpt":
        images = max(images, checkpoint.read(last)["images_seen"])
    known = (folder / "stats.csv").exists()
    seconds = {clock: float(np.interp(images / 1000, *times(folder, clock))) if known else nan for clock in CLOCKS}
    return {
        "path": str(source.path), "sha256": source.sha256, "seed": source.config.get("seed", 0), "images_seen": images,
        "seconds": seconds, "data": source.data, "holdout": source.holdout, "begun_with": source.begun_with,
    }  # fmt: skip
