"""samples/: images of the same seeds all along the run, and real images beside them."""

import logging
import time
from pathlib import Path
from typing import Any

import torch
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from pytorch_lightning import Callback, Trainer
from torch import Tensor
from torchvision.utils import make_grid

from transgan.callbacks.interval import Alarm, Interval, moment
from transgan.callbacks.session import Session, Trained
from transgan.files import replacing

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {  # suffix: (Pillow's name, options); what loses nothing comes first
    ".png": ("PNG", {}), ".webp": ("WEBP", {"lossless": True}), ".bmp": ("BMP", {}), ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}), ".ppm": ("PPM", {}), ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}  # fmt: skip

log = logging.getLogger(__name__)


def save_grid(images: Tensor, path: str | Path, columns: int) -> None:
    """Writes uint8 images (N, C, H, W) as one grid; small ones enlarged by a whole factor.

    Raises ValueError for images that are not uint8, and for a path whose suffix is not one of FORMATS.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"a grid is made of uint8 images N x C x H x W, not {images.dtype} of shape {tuple(images.shape)}"
        )
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a grid of images has a name that ends in {', '.join(FORMATS)}")
    kind, options = FORMATS[path.suffix.lower()]
    factor = max(1, 40 // images.shape[-1])
    images = images.cpu().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    grid = make_grid(images, nrow=columns, padding=2, pad_value=128)  # (3, H, W)
    text = "transgan, many images in one picture"  # transgan/data refuses to train on these
    if kind == "PNG":
        chunks = PngInfo()
        chunks.add_text("Software", text)
        options = {"pnginfo": chunks}
    elif kind in ("JPEG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = text
        options = options | {"exif": exif}
    with replacing(path) as file:
        Image.fromarray(grid.permute(1, 2, 0).numpy()).save(file, format=kind, **options)


def layout(count: int, num_classes: int) -> tuple[int, Tensor | None]:
    """Columns of a grid and the class of each of `count` images: a column per class where they fit."""
    if not num_classes:
        return max(1, round(count**0.5)), None
    columns = num_classes if num_classes <= 20 else max(1, round(count**0.5))
    return columns, torch.arange(count) % num_classes


class Samples(Callback):
    """A grid of `count` images at the start and at every interval, and once one of real images in the same layout."""

    def __init__(self, every_kimg: float, count: int = 100, every_minutes: float | None = None) -> None:
        self.interval, self.alarm = Interval(every_kimg), Alarm(every_minutes)
        self.seeds = list(range(count))

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        session = Session.of(trainer)
        self.folder, self.dataset = session.folder / "samples", session.dataset
        self.interval = Interval(self.interval.kimg, session.kimg)
        self.alarm = session.alarm(self.alarm.minutes)
        self.columns, self.labels = layout(len(self.seeds), module.num_classes)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero and module.images_seen == 0:
            if self.dataset is not None:
                save_grid(self.reals(), self.folder / "reals.png", self.columns)
            self.write(module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.interval.due_after(module) or self.alarm.due:
            self.alarm.wind(time.monotonic())
            if trainer.is_global_zero:
                self.write(module)

    def write(self, module: Trained) -> None:
        try:
            images = torch.cat(
                [
                    module.generate(self.seeds[i : i + 64], None if self.labels is None else self.labels[i : i + 64])
                    for i in range(0, len(self.seeds), 64)
                ]
            )
        except ValueError as error:  # images that are not finite: the steps will say so too
            log.warning("no grid of samples at %g kimg: %s", module.images_seen / 1000, error)
            return
        save_grid(images, self.folder / f"{moment(module.images_seen)}.png", self.columns)

    def reals(self) -> Tensor:
        return real_images(self.dataset, self.labels, self.columns, len(self.seeds))


def real_images(dataset: Any, labels: Tensor | None, columns: int, count: int) -> Tensor:
    """Real images in a grid's layout, evenly spaced over the data set or, with labels, row by row over each class."""
    if labels is None:
        chosen = torch.linspace(0, len(dataset) - 1, count).long().tolist()
    else:
        members = {int(k): (dataset.labels == k).nonzero().flatten().tolist() for k in labels.unique()}
        of_class = [members[int(k)] for k in labels]
        chosen = [each[i // columns % len(each)] for i, each in enumerate(of_class)]
    return dataset.__getitems__(chosen)[0]
