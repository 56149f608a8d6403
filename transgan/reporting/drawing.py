"""Images that a checkpoint makes for the report: a row for each class, and ways from one latent to another."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from transgan.callbacks.samples import grid_of
from transgan.callbacks.samples import layout as layout_of
from transgan.numerals import number
from transgan.reporting.album import Album, Embedded, size_of
from transgan.reporting.material import Gap, Material
from transgan.runs.run import how_of
from transgan.sampling.walk import slerp

LONG = 30.0  # seconds, after which a section ends with what it has
CLASSES, ACROSS = 20, 10  # rows and columns of the sheet of classes
SMALLEST = 40  # pixels a side, to which training enlarges the images of a grid
MOST_IMAGES = 100  # of a grid that is made for the report
STEPS, WALKS = 9, 4  # images of a way from one latent to another, and ways


@runtime_checkable
class WithLatents(Protocol):
    """A module whose images are functions of a latent and a class."""

    def latents_of(self, seeds: list[int]) -> Tensor: ...

    def images_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Strip:
    """A row of images, what it shows, and the text for those who do not see it."""

    title: str
    image: Embedded
    alt: str


@dataclass
class Sheet:
    """Rows of images and a sentence about them; or the reason why there are none."""

    strips: list[Strip] = field(default_factory=list)
    said: str = ""
    gap: Gap | None = None


def no_checkpoint(material: Material) -> Gap:
    return Gap(f"There is no checkpoint to make images with: {material.broken}.")


def classes(material: Material, album: Album) -> Sheet:
    """The same seeds for every class: a row for each, or without classes rows of further seeds."""
    if material.run is None:
        return Sheet(gap=no_checkpoint(material))
    module, names = material.run.module, material.class_names
    count = module.num_classes or 3
    rows = chosen(count, CLASSES)
    strips, start = [], time.monotonic()
    for i, k in enumerate(rows):
        seeds = list(range(ACROSS)) if module.num_classes else list(range(i * ACROSS, (i + 1) * ACROSS))
        labels = torch.full((ACROSS,), k) if module.num_classes else None
        images = module.generate(seeds, labels)
        title = (names[k] if k < len(names) else str(k)) if module.num_classes else f"seeds {seeds[0]} to {seeds[-1]}"
        alt = f"{ACROSS} generated images of {f'class {title}' if module.num_classes else title}"
        strips.append(Strip(title, album.strip(images), alt))
        if time.monotonic() - start > LONG:
            break
    seconds = time.monotonic() - start
    said = f"{ACROSS * len(strips)} images took {number(seconds, 2)} s here, on {material.run.device}."
    about = f"The same {ACROSS} seeds for every class." if module.num_classes else "The run has no classes."
    said = f"{about} {said}"
    if len(strips) < count and module.num_classes:
        said += f" These are {len(strips)} of {count:,} classes; class=NAME of `transgan sample` makes the others."
    return Sheet(strips, said)


def walks(material: Material, album: Album) -> Sheet:
    """Ways between the latents of two seeds, each within one class."""
    if material.run is None:
        return Sheet(gap=no_checkpoint(material))
    module = material.run.module
    if not isinstance(module, WithLatents):
        return Sheet(gap=Gap(
            f"A walk needs images that are functions of a latent, and this run makes its images {how_of(module)}."
        ))  # fmt: skip
    strips, start = [], time.monotonic()
    for i, k in enumerate(chosen(module.num_classes or WALKS, WALKS)):
        first, last = module.latents_of([2 * i, 2 * i + 1])
        latent = torch.stack([slerp(first, last, step / (STEPS - 1)) for step in range(STEPS)])
        labels = torch.full((STEPS,), k) if module.num_classes else None
        images = module.images_of(latent, labels)
        name = material.class_names[k] if module.num_classes and k < len(material.class_names) else ""
        title = f"{name}: seeds {2 * i} to {2 * i + 1}" if name else f"seeds {2 * i} to {2 * i + 1}"
        strips.append(Strip(title, album.strip(images), f"{STEPS} generated images on the way, {title}"))
        if time.monotonic() - start > LONG:
            break
    return Sheet(strips)


def chosen(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 0 to count - 1, evenly spaced."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def grids(material: Material, album: Album, most: int = 5) -> Iterator[tuple[float, Embedded]]:
    """(kimg, image) of grids of samples/, evenly over the run, and of the checkpoint where it is later than all of
    them; those that cannot be read are left out."""
    later = latest(material, album)
    for i in chosen(len(material.grids), most - (later is not None)):
        kimg, path = material.grids[i]
        if (image := grid_in(path, material, album)) is not None:
            yield kimg, image
    if later is not None:
        yield later


def latest(material: Material, album: Album) -> tuple[float, Embedded] | None:
    """(kimg, grid) of the checkpoint, as training lays it out, of a run that ended before it wrote one of its last
    images; None where there is one, or there are no images of a checkpoint."""
    run = material.run
    if run is None or material.grids and material.grids[-1][0] >= run.kimg or not run.kimg:
        return None
    seeds = list(range(min(int(material.config.get("grid") or MOST_IMAGES), MOST_IMAGES)))
    columns, labels = layout_of(len(seeds), run.module.num_classes)
    parts, start = [], time.monotonic()
    for i in range(0, len(seeds), columns):
        part = slice(i, i + columns)
        try:
            parts.append(run.module.generate(seeds[part], None if labels is None else labels[part]))
        except ValueError:  # of weights that are not finite: the sheet of classes says so
            return None
        if time.monotonic() - start > LONG:
            break
    canvas = Image.fromarray(grid_of(torch.cat(parts), columns).permute(1, 2, 0).numpy())
    return run.kimg, album.square(canvas, tile_of(material))


def tile_of(material: Material) -> int:
    """Pixels of a side of each image of a grid."""
    resolution = int(material.config.get("resolution") or 1)
    return resolution * max(1, SMALLEST // resolution)


def grid_in(path: Path | None, material: Material, album: Album) -> Embedded | None:
    """A grid in a file of samples/; None where there is none that can be read."""
    try:
        return None if path is None else album.grid(path, tile_of(material))
    except OSError:
        return None


def layout(material: Material) -> str:
    """A sentence on where the classes of a grid are, where each has columns of its own."""
    names = material.class_names
    if not material.config.get("num_classes") or not 0 < len(names) <= 20 or not material.grids:
        return ""
    columns, rows = size_of(material.grids[-1][1], tile_of(material))
    if columns % len(names) or not columns:
        return ""
    share = columns // len(names)
    said = "Each column is a class" if share == 1 else f"Each {share} columns are a class"
    return f"{said}, from the left: {', '.join(names)}" + (", and again." if rows >= 2 * columns else ".")
