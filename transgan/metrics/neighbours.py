"""Measures by nearest neighbours: precision and recall in the two ways that papers count them, density and coverage.

Numbers carry their k, because both ways are in use: torch-fidelity has 3 neighbours and `<=`, the package prdc 5 and
`<`. In results of earlier versions precision, recall, density and coverage are the latter, of equally many images.
"""

from dataclasses import asdict, dataclass

from transgan.metrics import manifold
from transgan.metrics.measures import ALONE, Outcome
from transgan.metrics.reference import Features, Reference


@dataclass
class Neighbours:
    """What PrecisionRecall and Manifold share: numbers by k-th nearest neighbours, with k in their names.

    `device` is where they are computed, the evaluator's own; numbers are the same on each. 50,000 images on either
    side and 2048 features take some ten minutes of a CPU core.
    """

    k: int
    max_samples: int | None
    needs_features, device = True, "cpu"
    closer, metric, words = "", None, {}

    @property
    def names(self) -> dict[str, str]:
        """Of the numbers: the metric's word -> the bare name."""
        return {name: f"{word}_k{self.k}" for name, word in self.words.items()}

    def facts(self) -> dict:
        return asdict(self) | {"closer": self.closer, "sets": "each whole, or max_samples of it"}

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        metric = self.metric(k=self.k, max_samples=self.max_samples, **ALONE).to(self.device)
        metric.update(real.features.rows, real=True)
        metric.update(fake.rows, real=False)
        outcome = Outcome({self.names[name]: float(value) for name, value in metric.compute().items()})
        ours, theirs = metric.num_samples
        names, way = ", ".join(self.names.values()), self.names["precision"].removeprefix("precision_")
        if ours != theirs:
            outcome.flags[f"unequal_sets_{way}"] = (
                f"{names} are of {ours:,} generated and {theirs:,} real images: they compare with "
                "numbers of as many of either alone"
            )
        elif (ours, theirs) != (len(fake), len(real.features)):
            outcome.flags[f"part_of_sets_{way}"] = f"{names} are of {ours:,} images of either side"
        if self.closer == "<" and any(metric.num_twins):
            fakes, reals = metric.num_twins
            outcome.flags[f"twins_{way}"] = (
                f"{fakes:,} generated and {reals:,} real images have {self.k} equal ones or more: nothing counts as "
                f"closer (<) to them than those, and so {names} pass over them"
            )
        return outcome


@dataclass
class PrecisionRecall(Neighbours):
    """precision_k3, recall_k3: improved precision and recall (Kynkaanniemi et al., 2019), as torch-fidelity counts."""

    k: int = 3
    max_samples: int | None = 50_000
    closer, metric, words = "<=", manifold.PrecisionRecall, {"precision": "precision", "recall": "recall"}


@dataclass
class Manifold(Neighbours):
    """precision_prdc_k5, recall_prdc_k5, density_k5, coverage_k5 (Naeem et al., 2020), as their package prdc."""

    k: int = 5
    max_samples: int | None = 10_000
    closer, metric = "<", manifold.PRDC
    words = {"precision": "precision_prdc", "recall": "recall_prdc", "density": "density", "coverage": "coverage"}
