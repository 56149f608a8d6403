"""The training images that generated ones come nearest to: by the run's own features where they are known, else by
pixels; and what the data is, as far as it is still there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from transgan.errors import UserError, setting_up
from transgan.instantiation import make
from transgan.metrics import cache
from transgan.metrics.distances import nearest
from transgan.metrics.reference import facts_of
from transgan.metrics.sampling import isolated
from transgan.reporting.album import Album
from transgan.reporting.chart import brief
from transgan.reporting.drawing import Strip, chosen, no_checkpoint
from transgan.reporting.material import Gap, Material
from transgan.runs.evaluating import evaluator_config
from transgan.runs.images import training_data

NEAREST = 3  # training images beside each generated one
MOST = 20_000  # training images that pixels are compared with
SIDE = 16  # pixels of a side, to which images are averaged down
OTHERS = 200  # training images whose own nearest ones are looked at
APART = 8  # pixels between a generated image and its neighbours
UNASKED = {"metrics": None, "extractor": None, "num_samples": None, "seed": None, "blocks": None}

Features = Callable[[Tensor], Tensor]


@dataclass
class Neighbours:
    """strips: each generated image with its nearest training images. said: how they were found, and how near."""

    strips: list[Strip] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    gap: Gap | None = None


def opened(material: Material) -> tuple[Any, Any, Gap | None]:
    """-> (the training images, the held-out ones or None, None), or (None, None, why they cannot be had)."""
    if not material.config.get("data"):
        return None, None, Gap("The run does not say which images it was trained on.")
    try:
        with setting_up():
            return *training_data(material.config), None
    except UserError as error:
        said = " ".join(str(error).split())
    why = f"The training images cannot be read on this machine: {said[:300].rstrip('.')}."
    if material.moved:
        why += (
            " If they are in another place, give it for NEW_FOLDER in the commands of this page; data.path= trains on."
        )
    return None, None, Gap(why)


def neighbours(material: Material, dataset: Any, album: Album, count: int) -> Neighbours:
    """Of the first `count` seeds. dataset: the training images."""
    if material.run is None:
        return Neighbours(gap=no_checkpoint(material))
    module, seeds = material.run.module, list(range(count))
    labels = module.labels_of(seeds)
    images = module.generate(seeds, labels).cpu()
    with isolated():
        how, real, of, indices = space(material, dataset)
        fake = of(images)
        squares, found = nearest(fake, real, min(NEAREST, len(real)))
        some = torch.tensor(chosen(len(real), OTHERS))
        own = nearest(real[some], real, 1, some)[0][:, 0].sqrt() if len(real) > 1 else torch.zeros(1)
    distances = squares.sqrt()
    names = material.class_names
    result = Neighbours()
    for i, seed in enumerate(seeds):
        beside = dataset.__getitems__([indices[int(j)] for j in found[i]])[0]
        of_class = f", class {names[int(labels[i])]}" if labels is not None and int(labels[i]) < len(names) else ""
        strip = album.strip([images[i], *beside], APART)
        result.strips.append(Strip(
            f"seed {seed}{of_class}: distance {brief(float(distances[i, 0]))}", strip,
            f"The generated image of seed {seed}{of_class}, then its {len(beside)} nearest training images",
        ))  # fmt: skip
    middle, low = own.median().item(), own.quantile(0.01).item()
    near = int((distances[:, 0] <= low).sum())
    result.said = [
        f"The first image of each row is generated; after it come the training images nearest to it, {how}. The number "
        "is the distance to the first of them.",
        f"Half of the training images have another one within {brief(middle)}, and the most crowded 1 % within "
        f"{brief(low)}; {near} of these {count} generated images are that near to one."
        + (" Look at those: they may be copies." if near else ""),
    ]
    return result


def space(material: Material, dataset: Any) -> tuple[str, Tensor, Features, list[int]]:
    """-> (words about the features, those of the real images (N, D), a function of uint8 images, and the indices of the
    real images in the data set)."""
    if (known := by_extractor(material, dataset)) is not None:
        return known
    indices = chosen(len(dataset), MOST)
    parts = [dataset.__getitems__(indices[i : i + 500])[0] for i in range(0, len(indices), 500)]
    some = "" if len(indices) == len(dataset) else f", among {len(indices):,} of them"
    side = min(SIDE, dataset.resolution)
    how = f"by their pixels at {side} px (levels from 0 to 255, root of the sum of squares{some})"
    return how, torch.cat([pixels(part) for part in parts]), pixels, indices


def pixels(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> float (N, D), averaged down to at most SIDE pixels a side."""
    x = images.float()
    return (F.adaptive_avg_pool2d(x, min(SIDE, x.shape[-1])) if x.shape[-1] > SIDE else x).flatten(1)


def by_extractor(material: Material, dataset: Any) -> tuple[str, Tensor, Features, list[int]] | None:
    """By the features that the run was measured by, where those of all real images are in the cache already."""
    try:
        with setting_up():
            extractor = make(evaluator_config(OmegaConf.create(UNASKED), material.config)).extractor
            extractor.prepare(dataset)
    except UserError:  # no metrics, or weights or a class that are not here: pixels will do
        return None
    kept = cache.load(facts_of(dataset, "train"), extractor)
    if kept is None:
        return None

    def features(images: Tensor) -> Tensor:
        return extractor(images)[0].float()

    how = f"by the features of {extractor.name} that its distances are measured by"
    return how, kept[0], features, list(range(len(dataset)))
