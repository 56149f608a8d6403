"""Variety within the classes: how far the images of a class lie apart, generated ones over real ones."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.image_metric import ImageMetric
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.report import Report

LOW, FEWEST = 8, 4  # pixels a side that images are averaged down to: the most, and the fewest where they are small
LARGEST = 3 * 64 * 64  # numbers in an image whose pixels can be measured as well: they are kept for every class
CHUNK = 2**17  # pixels that are added at a time
UNLABELLED = -1  # the class of images that come without one

Distances = dict[int, float]  # class -> root of the mean squared distance of its images from their mean


class Spread(ImageMetric):
    """How far images lie from the mean of their class, root mean square, averaged over the classes: of generated images
    over that of real ones. 1 is as varied as these, 0 one image per class. Without classes, of all images.

    Images are averaged down to 8 x 8 pixels first (4 x 4 below 32 px), or noise and a mesh would pass for variety.
    Reported as spread, and for held-out real images as spread_heldout, with every class among the details. Classes with
    fewer than two images on a side are left out, and that is reported.

    Raises ValueError at compute() where that leaves no class, or in none of them two real images differ.

    Args:
        pixels: also of images as they are, up to 64 px: the details have spread_pixels. Takes twice the time.
    """

    higher_is_better = None
    version = 2

    def __init__(self, pixels: bool = False, reset_real_features: bool = True, **kwargs: Any):
        super().__init__(reset_real_features=reset_real_features, **kwargs)
        self.pixels = pixels
        for name in ("real", "heldout", "fake"):  # a row for each class: its label, and the sums of `numbers`
            self.add_state(f"{name}_classes", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool, heldout: bool = False, labels: Tensor | None = None) -> None:
        """images uint8 N x C x H x W; labels int64 (N,), or None; `heldout`: of real ones that were not trained on"""
        if labels is None:
            labels = torch.full((len(images),), UNLABELLED)
        elif labels.shape != images.shape[:1] or labels.is_floating_point() or (labels < 0).any():
            raise ValueError(f"labels must be a whole number from 0 for each of the {len(images)} images")
        name, images = self.begin(images, real, heldout)
        state = f"{name}_classes"
        table = self.kept(state, torch.float64)
        few = max(1, CHUNK // images[0].numel()) if len(images) else 1
        for part, classes in zip(images.split(few), labels.to(self.device).split(few), strict=True):
            rows = numbers(part, self.pixels).to(self.device)
            table = added(table if table.numel() else rows.new_empty(0, rows.shape[1] + 1), classes, rows)
        setattr(self, state, [table] if table.numel() else [])

    def compute(self) -> Tensor:
        """Of generated images."""
        fake, real = self.distances("fake")[0]
        value = relative(fake, real)
        if value is None:
            raise ValueError("no class has two generated images and two real ones that differ: there is no spread")
        return self.scalar(value)

    def distances(self, name: str) -> list[tuple[Distances, Distances]]:
        """Of the images of a side and of real ones: averaged down, and, where that is kept, as they are."""
        shape = self.alike(name)
        tables = [self.kept(f"{each}_classes", torch.float64) for each in (name, "real")]
        if any((table[:, 0] == UNLABELLED).any() for table in tables):  # on one side: then for both
            tables = [torch.cat([torch.full_like(table[:, :1], UNLABELLED), table[:, 1:]], 1) for table in tables]
        fake, real = (by_class(table, shape) for table in tables)
        return list(zip(fake, real, strict=True))

    def facts(self) -> dict[str, Any]:
        """None: `pixels` adds a detail, and changes no number."""
        return {}

    def report(self) -> Report:
        report = Report({})
        tables = [self.kept(f"{name}_classes", torch.float64) for name in ("fake", "real")]
        if len({bool((table[:, 0] == UNLABELLED).any()) for table in tables if len(table)}) > 1:
            report.flags["spread_of_all"] = (
                "spread is of all images, not within the classes: only real or only generated ones come with classes"
            )
        for name, ending in self.compared().items():
            for kind, (fake, real) in zip(("", "_pixels"), self.distances(name), strict=False):
                value = relative(fake, real)
                if value is None:
                    report.flags["no_spread"] = (
                        "spread is left out: no class has two generated images and two real ones that differ"
                    )
                    break
                if kind:
                    report.details[f"spread_pixels{ending}"] = value
                    continue
                report.of_images[f"spread{ending}"] = value
                if UNLABELLED not in real and not ending:
                    report.details["spread_per_class"] = {k: relative(fake, {k: real[k]}) for k in real}
                if missing := len(real.keys() - fake.keys()):
                    report.flags[f"few_per_class{ending}"] = (
                        f"spread{ending} leaves {missing} of {len(real)} classes out: there are fewer than two images "
                        "of them to compare"
                    )
        return report


class FeatureSpread(FeatureMetric):
    """As `Spread`, of features: the root of the trace of their covariance within a class, averaged over the classes, of
    generated images over that of real ones. Reported as spread_features. Arguments: see FeatureMetric."""

    higher_is_better = None
    unstated = True

    def __init__(
        self,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        states = ("fake", "real", "fake_labels", "real_labels")
        super().__init__(*states, extractor=extractor, reset_real_features=reset_real_features, **kwargs)

    def update(self, features: Tensor, real: bool, labels: Tensor | None = None) -> None:
        """features (N, D) float, or images; labels int64 (N,), or None"""
        name = side(real)
        features = self.extracted(features).features
        self.keep(name, features)
        labels = torch.full((len(features),), UNLABELLED) if labels is None else labels
        getattr(self, f"{name}_labels").append(labels[:, None].to(self.device))

    def compute(self) -> Tensor:
        """Of generated images. Raises ValueError where no class has two of them and two real ones that differ."""
        value = self.value()
        if value is None:
            raise ValueError("no class has two generated images and two real ones that differ: there is no spread")
        return self.scalar(value)

    def value(self) -> float | None:
        labels = [self.kept(f"{name}_labels", torch.int64).flatten() for name in ("fake", "real")]
        if any((each == UNLABELLED).any() for each in labels):
            labels = [torch.full_like(each, UNLABELLED) for each in labels]
        found: list[Distances] = []
        for name, of in zip(("fake", "real"), labels, strict=True):
            features, classes = self.kept(name), of.bincount() if len(of) and of[0] != UNLABELLED else None
            several = [UNLABELLED] if classes is None else (classes >= 2).nonzero().flatten().tolist()
            found.append({k: features[of == k].double().var(0).sum().sqrt().item() for k in several if len(of) >= 2})
        return relative(*found)

    def report(self) -> Report:
        value = self.value()
        return Report({} if value is None else {"spread_features": value})


def relative(fake: Distances, real: Distances) -> float | None:
    """The mean over the classes of both sides, generated over real; None where there is nothing to divide by."""
    both = [k for k in real if k in fake]
    expected = sum(real[k] for k in both)
    return sum(fake[k] for k in both) / expected if expected else None


def low_size(size: int) -> int:
    """Pixels a side that a side is averaged down to: from 16 px on, each is the mean of 4 x 4 or more."""
    return min(size, max(FEWEST, min(LOW, size // 4)))


def areas(height: int, width: int) -> Tensor:
    """How many pixels are averaged to each, float64 h x w: in adaptive pooling, windows overlap unless they fit."""
    sides = []
    for size in (height, width):
        low = low_size(size)
        sides.append([-(-(i + 1) * size // low) - i * size // low for i in range(low)])
    return torch.tensor(sides[0], dtype=torch.float64)[:, None] * torch.tensor(sides[1], dtype=torch.float64)


def numbers(images: Tensor, pixels: bool) -> Tensor:
    """uint8 N x C x H x W -> whole numbers, float64 (N, 1 + 2 L) or (N, 2 + 2 L + P): 1, the sums of pixels that are
    averaged, and their squares; then the sum of the squares of all `pixels`, and the P pixels, unless they are many."""
    height, width = images.shape[-2:]
    exact = images.double()
    means = F.adaptive_avg_pool2d(exact, (low_size(height), low_size(width)))
    low = (means * areas(height, width).to(images.device)).round().flatten(1)
    exact, size = exact.flatten(1), low.shape[1]
    kept = pixels and exact.shape[1] <= LARGEST
    rows = low.new_ones(len(low), 1 + 2 * size + (1 + exact.shape[1]) * kept)
    rows[:, 1 : 1 + size], rows[:, 1 + size : 1 + 2 * size] = low, low.square()
    if kept:
        rows[:, 1 + 2 * size], rows[:, 2 + 2 * size :] = torch.linalg.vecdot(exact, exact), exact
    return rows


def added(table: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    """A table of sums (K, 1 + D), label first and sorted by it, with `rows` (N, D) added to those of their labels."""
    known, labels = table[:, 0].long().contiguous(), labels.to(table.device).contiguous()
    classes = torch.cat([known, labels]).unique()
    if len(classes) > len(known):
        grown = table.new_zeros(len(classes), table.shape[1])
        grown[:, 0] = classes
        grown[torch.searchsorted(classes, known), 1:] = table[:, 1:]
        table = grown
    table[:, 1:].index_add_(0, torch.searchsorted(classes, labels), rows)
    return table


def by_class(table: Tensor, shape: tuple[int, ...]) -> list[Distances]:
    """The distances of images averaged down and of images as they are, from the tables of one process or several."""
    table = added(table.new_empty(0, table.shape[1]), table[:, 0].long(), table[:, 1:])
    table = table[table[:, 1] >= 2]
    area = areas(shape[1], shape[2]).to(table.device).expand(shape[0], -1, -1).flatten()
    labels, n = table[:, 0].long().tolist(), table[:, 1:2]
    low, low_squares, all_pixels = table[:, 2:].tensor_split([len(area), 2 * len(area)], 1)
    # n mean^2 in this order: of equal images it is the sum of their squares, to the last bit
    scatter = [((low_squares - low * (low / n)) / area.square()).sum(1, keepdim=True)]
    if all_pixels.shape[1]:
        squares, pixels = all_pixels[:, :1], all_pixels[:, 1:]
        scatter.append(squares - (pixels * (pixels / n)).sum(1, keepdim=True))
    found = [(each.clamp_min(0) / (n - 1)).sqrt().flatten().tolist() for each in scatter]
    return [dict(zip(labels, each, strict=True)) for each in found]
