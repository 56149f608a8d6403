"""samples/: images of the same seeds all along the run, and real images beside them."""

import logging
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import Callback, Trainer
from torch import Tensor
from torchvision.utils import make_grid

from transgan import provenance
from transgan.callbacks.interval import Alarm, Interval, moment
from transgan.callbacks.session import Session, Trained, find
from transgan.callbacks.stopping import Stop
from transgan.callbacks.tracking import log_grid
from transgan.errors import is_out_of_memory, one_line
from transgan.files import replacing

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {  # suffix: (Pillow's name, options); what loses nothing comes first
    ".png": ("PNG", {}), ".webp": ("WEBP", {"lossless": True}), ".bmp": ("BMP", {}), ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}), ".ppm": ("PPM", {}), ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}  # fmt: skip

BATCH = 64  # images made at once
SOON = 10.0  # seconds that a grid may take where a signal has ended the run: what sends it may wait no longer
MOST_OBLONG = 2.0  # the longer side of a grid over the shorter one, where each class is to have its own columns

log = logging.getLogger(__name__)


def grid_of(images: Tensor, columns: int) -> Tensor:
    """uint8 images (N, C, H, W) as one grid, uint8 (3, H, W); small ones enlarged by a whole factor.

    Raises ValueError for images that are not uint8.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"a grid is made of uint8 images N x C x H x W, not {images.dtype} of shape {tuple(images.shape)}"
        )
    factor = max(1, 40 // images.shape[-1])
    images = images.cpu().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return make_grid(images, nrow=columns, padding=2, pad_value=128)


def save_grid(images: Tensor, path: str | Path, columns: int, facts: provenance.Facts | None = None) -> None:
    """Writes uint8 images (N, C, H, W) as one grid; small ones enlarged by a whole factor. facts: as in write_grid.

    Raises ValueError for images that are not uint8, and for a path whose suffix is not one of FORMATS.
    """
    write_grid(grid_of(images, columns), Path(path), facts)


def write_grid(grid: Tensor, path: Path, facts: provenance.Facts | None = None) -> None:
    """Writes a grid, uint8 (3, H, W), and in it how its images were generated, where that is to be said.

    Raises ValueError for a path whose suffix is not one of FORMATS.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a grid of images has a name that ends in {', '.join(FORMATS)}")
    kind, options = FORMATS[path.suffix.lower()]
    with replacing(path) as file:
        canvas = Image.fromarray(grid.permute(1, 2, 0).numpy())
        canvas.save(file, format=kind, **options | provenance.options(kind, facts, provenance.GRID))


def layout(count: int, num_classes: int) -> tuple[int, Tensor | None]:
    """Columns of a near-square grid, and the class of each of `count` images, int64 (count,), None without classes.

    Every class has columns of its own, equally many, where the grid is at most twice as wide as high, or as high as
    wide. With more classes, or fewer images than classes, it is square, and the classes are spread over it.
    """
    square = max(1, round(count**0.5))
    if not num_classes:
        return square, None
    if num_classes > count:
        return square, torch.arange(count) * num_classes // count
    columns = min(range(num_classes, count + 1, num_classes), key=lambda columns: oblong(count, columns))
    if oblong(count, columns) > MOST_OBLONG:
        return square, torch.arange(count) % num_classes
    return columns, torch.arange(count) % columns // (columns // num_classes)


def oblong(count: int, columns: int) -> float:
    """The longer side of a grid over the shorter one, of images of one size."""
    rows = -(-count // columns)
    return max(columns / rows, rows / columns)


class Samples(Callback):
    """A grid of `count` images at the start, at every interval and where the run stops, and once one of real images in
    the same layout.

    They go to samples/, and to every logger that takes images, at the step of its numbers: the images shown so far.
    """

    def __init__(
        self, every_kimg: float, count: int = 100, every_minutes: float | None = None, provenance: bool = True
    ) -> None:
        self.interval, self.alarm = Interval(every_kimg), Alarm(every_minutes)
        self.seeds, self.tells = list(range(count)), provenance
        self.took: float | None = None  # seconds of this session's latest grid

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        session = Session.of(trainer)
        self.folder, self.dataset, self.failures = session.folder / "samples", session.dataset, session.failures
        self.name = (session.facts.get("config") or {}).get("name", session.folder.name)
        self.class_names = list(session.facts.get("class_names") or [])
        self.interval = Interval(self.interval.kimg, session.kimg, spaced=True)
        self.alarm = session.alarm(self.alarm.minutes)
        self.columns, self.labels = layout(len(self.seeds), module.num_classes)
        path = self.folder / "reals.png"
        waits = session.evaluator is not None  # which may prepare for minutes before the first step
        if trainer.is_global_zero and waits and self.dataset is not None and not path.exists():
            write_grid(grid_of(self.reals(), self.columns), path)
            session.console.print(f"look    {path}: real images as the networks see them")
        if trainer.is_global_zero and not self.tells:
            session.console.print("note    provenance=false: nothing in the grids says that a model made them")

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero and module.images_seen == 0:
            if self.dataset is not None:
                grid = grid_of(self.reals(), self.columns)
                write_grid(grid, self.folder / "reals.png")
                log_grid(trainer, "real", grid, 0, self.failures)
            self.write(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.interval.due_after(module) or self.alarm.due:
            self.alarm.wind(time.monotonic())
            if trainer.is_global_zero:
                self.write(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Where a run stops between two grids, the last checkpoint has one as well: it is written by then."""
        path = self.folder / f"{moment(module.images_seen)}.png"
        if not trainer.is_global_zero or not module.images_seen or path.exists():
            return
        stop = find(trainer, Stop)
        reason = None if stop is None else stop.reason
        unknown = 0.0 if reason in (None, signal.SIGINT) else float("inf")  # a further Ctrl-C leaves the grid out
        if reason is None or (unknown if self.took is None else self.took) <= SOON:
            with nullcontext() if stop is None else stop.skippable():
                self.write(trainer, module)

    def write(self, trainer: Trainer, module: Trained) -> None:
        """Writes the grid. What cannot be made of images is reported, and training continues."""
        began = time.monotonic()
        try:
            grid = grid_of(self.images(module), self.columns)
        except ValueError as error:  # images that are not finite: the steps will say so too
            log.warning("no grid of samples at %g kimg: %s", module.images_seen / 1000, error)
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.warning(
                "no grid of samples at %g kimg, and training goes on: memory is lacking for its images (%s)",
                module.images_seen / 1000, one_line(error)[:120],
            )  # fmt: skip
            return
        write_grid(grid, self.folder / f"{moment(module.images_seen)}.png", self.facts(module))
        self.took = time.monotonic() - began
        log_grid(trainer, "generated", grid, module.images_seen, self.failures)

    def images(self, module: Trained) -> Tensor:
        """uint8 (count, C, H, W)."""
        parts = [slice(i, i + BATCH) for i in range(0, len(self.seeds), BATCH)]
        labels = self.labels
        return torch.cat([module.generate(self.seeds[i], None if labels is None else labels[i]) for i in parts])

    def facts(self, module: Any) -> provenance.Facts | None:
        """What `transgan sample like=` needs to make the grid again; None where it is not to be said, or not known."""
        if not self.tells or not hasattr(module, "ema"):
            return None
        made_by = {
            "run": self.name, "kimg": module.images_seen / 1000, "weights": "ema",
            "weights_sha256": provenance.weights_hash(module.ema.state_dict()), **getattr(module, "sampler", {}),
        }  # fmt: skip
        return grid_facts(made_by, module, self.seeds, self.labels, self.class_names, self.columns, BATCH)

    def reals(self) -> Tensor:
        return real_images(self.dataset, self.labels, len(self.seeds))


def grid_facts(
    made_by: provenance.Facts, generator: Any, seeds: list[int], labels: Tensor | None, class_names: list[str],
    columns: int, batch_size: int,
) -> provenance.Facts:  # fmt: skip
    """What `transgan sample like=` needs to make a grid again.

    made_by: run, kimg, weights, weights_sha256 and more. generator: a module or a sampler. labels: the class of each,
    None for the seeds' own. class_names: may be empty. batch_size: images made at once.
    """
    labels = generator.labels_of(seeds) if labels is None else labels
    own = [None] * len(seeds) if labels is None else [int(label) for label in labels]
    names = class_names or [str(i) for i in range(generator.num_classes)]
    return {
        "software": provenance.SOFTWARE, "psi": 1.0, **made_by, "seeds": seeds, "labels": own,
        "classes": [None if label is None else names[label] for label in own], "batch_size": batch_size,
        "columns": columns,
    }  # fmt: skip


def real_images(dataset: Any, labels: Tensor | None, count: int) -> Tensor:
    """Real images in a grid's layout, uint8 (count, C, H, W), evenly spaced over the data set or, with labels, over
    each class; a class without images is grey."""
    if labels is None:
        return dataset.__getitems__(evenly(range(len(dataset)), count))[0]
    chosen = [-1] * count
    for label in labels.unique():
        positions = (labels == label).nonzero().flatten().tolist()
        members = (dataset.labels == label).nonzero().flatten().tolist()
        for position, index in zip(positions, evenly(members, len(positions)), strict=False):
            chosen[position] = index
    images = dataset.__getitems__([max(0, index) for index in chosen])[0]
    images[torch.tensor(chosen) < 0] = 128
    return images


def evenly(members: Sequence[int], count: int) -> list[int]:
    """`count` of the members, evenly spaced and the middle of its stretch each; some twice where there are fewer, none
    where there are none."""
    return [members[(2 * i + 1) * len(members) // (2 * count)] for i in range(count)] if members else []
