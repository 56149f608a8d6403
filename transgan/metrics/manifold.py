"""Precision, recall, density and coverage: how generated and real images lie in each other's nearest neighbourhoods.

Reported numbers carry their k, because both ways of counting are in use: torch-fidelity has 3 neighbours and `<=`, the
package prdc 5 and `<`. In results of earlier versions precision, recall, density and coverage are the latter, of
equally many images.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from transgan import files
from transgan.metrics import distances as neighbours
from transgan.metrics.distances import Closer, SquaredDistances, radii
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import of_equal_width, subsampled
from transgan.metrics.metric import FeatureMetric, side
from transgan.metrics.report import Report


def precision_recall(fake: Tensor, real: Tensor, k: int = 3) -> dict[str, float]:
    """Improved precision and recall (Kynkaanniemi et al., 2019), as torch-fidelity and StyleGAN count them.

    With r(x) the distance of the features x of an image to those of its k-th nearest other image on its own side:
    precision: share of generated images no further than r(x) from some real x; recall: the same with the sides
    exchanged. No further is `<=`: of a set against itself both are 1, also if its images are repeated. Raises
    ValueError as `prdc` does.
    """
    found = neighbourhoods(fake, real, k, Tensor.le)[0]
    return {name: found[name] for name in ("precision", "recall")}


def prdc(fake: Tensor, real: Tensor, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage as Naeem et al. (2020) and their package prdc count them.

    With r(x) as above: precision: share of generated images closer than r(x) to some real x; recall: the same with the
    sides exchanged; density: how many real x a generated image is closer than r(x) to, over k, on average (may exceed
    1); coverage: share of real x that have a generated image closer than r(x).
    Closer is `<`: an image with k twins has r(x) = 0, and nothing is closer than that.

    All comparisons are those of distances in float64: what float32 cannot decide is measured again.
    Raises ValueError unless either side has more images than k; they need not be equally many.
    """
    return neighbourhoods(fake, real, k, Tensor.lt)[0]


def neighbourhoods(
    fake: Tensor, real: Tensor, k: int, closer: Closer, radii_of_real: Callable[[Tensor, int], Tensor] = radii
) -> tuple[dict[str, float], tuple[int, int]]:
    """-> (the four numbers, how many generated and real images have k equal ones or more)

    `closer(d, r)` says which squared distances d are within squared radii r. radii_of_real: as `radii`, if they may be
    known already.
    """
    fake, real = of_equal_width(fake, real)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < min(len(fake), len(real)):
        raise ValueError(
            f"{k} nearest neighbours need k of 1 or more and more than k images on either side: there are "
            f"{len(fake)} generated and {len(real)} real ones"
        )
    near_real, near_fake = radii_of_real(real, k), radii(fake, k)
    in_real, covered, recalled = 0, 0, 0  # real images around each generated one; reached; recalled
    precise = torch.zeros(len(fake), dtype=torch.bool, device=real.device)
    distances = SquaredDistances(real, fake)
    for first in range(0, len(real), neighbours.CHUNK):
        chunk = slice(first, min(first + neighbours.CHUNK, len(real)))
        squares, slack = distances[chunk]  # C x M
        hits = distances.within(squares, slack, near_real[chunk, None], first, closer)  # C x M
        in_real += int(hits.sum())
        covered += int(hits.any(1).sum())
        precise |= hits.any(0)
        recalled += int(distances.within(squares, slack, near_fake[None], first, closer).any(1).sum())
    numbers = {
        "precision": precise.double().mean().item(),
        "recall": recalled / len(real),
        "density": in_real / (k * len(fake)),
        "coverage": covered / len(real),
    }
    return numbers, (int((near_fake == 0).sum()), int((near_real == 0).sum()))


class NeighbourMetric(FeatureMetric):
    """Base of the two metrics here: all images of either side, or `max_samples` of them, drawn from `seed`.

    The numbers depend on how many images there are: `num_samples`, (generated, real), known after compute(), belongs
    to them, and `num_twins`, likewise, says how many have k equal ones or more. 50,000 images on either side and 2048
    features take some ten minutes of a CPU core. Other arguments: see FeatureMetric.
    """

    higher_is_better = True
    uses_device = True
    closer: ClassVar[str]
    reported: ClassVar[dict[str, str]]  # name of compute() -> beginning of the name in reports

    def __init__(
        self,
        k: int,
        max_samples: int | None,
        seed: int = 0,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        super().__init__("fake", "real", extractor=extractor, reset_real_features=reset_real_features, **kwargs)
        self.k, self.max_samples, self.seed = k, max_samples, seed
        self.num_samples = self.num_twins = (0, 0)
        self.known: tuple[str, Tensor] | None = None  # of real images: a hash of their features, and their radii

    def radii_of_real(self, real: Tensor, k: int) -> Tensor:
        """Measured once for all that is compared with the same real images, as in several evaluations of a comparison:
        they take as long as all else where these are 50,000."""
        key = f"{k} {real.device} {real.dtype} {tuple(real.shape)} "
        key += files.hash_of(real.cpu().contiguous().numpy().data)
        if self.known is None or self.known[0] != key:
            self.known = key, radii(real, k)
        return self.known[1]

    @property
    def names(self) -> dict[str, str]:
        """Of the numbers: what compute() calls them -> what the report calls them."""
        return {name: f"{start}_k{self.k}" for name, start in self.reported.items()}

    def update(self, features: Tensor, real: bool) -> None:
        """features (N, D) float, or images"""
        self.keep(side(real), self.extracted(features).features)

    def numbers(self) -> dict[str, float]:
        """By the names of compute()."""
        fake, real = self.kept("fake"), self.kept("real")
        if self.max_samples is not None:
            fake, real = (each[subsampled(each, self.max_samples, self.seed)] for each in (fake, real))
        self.num_samples = len(fake), len(real)
        closer = Tensor.le if self.closer == "<=" else Tensor.lt
        numbers, self.num_twins = neighbourhoods(fake, real, self.k, closer, self.radii_of_real)
        return {name: numbers[name] for name in self.reported}

    def compute(self) -> dict[str, Tensor]:
        return {name: self.scalar(value) for name, value in self.numbers().items()}

    def facts(self) -> dict[str, Any]:
        sets = {"closer": self.closer, "sets": "each whole, or max_samples of it"}
        return self.settings("k", "max_samples") | sets

    def report(self) -> Report:
        report = Report({self.names[name]: value for name, value in self.numbers().items()})
        fake, real = self.num_samples
        names, way = ", ".join(self.names.values()), self.names["precision"].removeprefix("precision_")
        if fake != real:
            report.flags[f"unequal_sets_{way}"] = (
                f"{names} are of {fake:,} generated and {real:,} real images: they compare with "
                "numbers of as many of either alone"
            )
        elif (fake, real) != (len(self.kept("fake")), len(self.kept("real"))):
            report.flags[f"part_of_sets_{way}"] = f"{names} are of {fake:,} images of either side"
        if self.closer == "<" and any(self.num_twins):
            fakes, reals = self.num_twins
            report.flags[f"twins_{way}"] = (
                f"{fakes:,} generated and {reals:,} real images have {self.k} equal ones or more: nothing counts as "
                f"closer (<) to them than those, and so {names} pass over them"
            )
        return report


class PrecisionRecall(NeighbourMetric):
    """`precision_recall` of generated and real images, as in torch-fidelity; reported as precision_k3, recall_k3."""

    closer = "<="
    reported = {"precision": "precision", "recall": "recall"}

    def __init__(self, k: int = 3, max_samples: int | None = None, seed: int = 0, **kwargs: Any):
        super().__init__(k, max_samples, seed, **kwargs)


class PRDC(NeighbourMetric):
    """`prdc` of generated and real images, as its authors count; reported as precision_prdc_k5, recall_prdc_k5,
    density_k5 and coverage_k5."""

    closer = "<"
    reported = {"precision": "precision_prdc", "recall": "recall_prdc", "density": "density", "coverage": "coverage"}

    def __init__(self, k: int = 5, max_samples: int | None = 10_000, seed: int = 0, **kwargs: Any):
        super().__init__(k, max_samples, seed, **kwargs)
