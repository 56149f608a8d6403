"""What is computed from features: one small object per family of numbers, handed to the Evaluator by configuration.

A measure is called with the features of generated images, the Reference they are compared with, and the Reference of
held-out real images or None; it returns numbers by bare names. The Evaluator adds the extractor's name (see `named`).
`facts()` are the settings that the protocol must state. `needs_features` says that moments alone are not enough.
"""

from dataclasses import asdict, dataclass, field

from transgan.metrics import memorisation
from transgan.metrics.frechet import Moments, frechet_distance, frechet_infinity, is_rank_deficient
from transgan.metrics.kernel import KernelDistance
from transgan.metrics.reference import Features, Reference
from transgan.metrics.score import InceptionScore

FEWEST_HELDOUT = 200  # half of them are the yardstick, whose 1 % must be an image
ALONE = {"sync_on_compute": False}  # one process has all rows; the others would never answer
STANDARD = {"fd": "fid", "kd": "kid", "cs": "is"}  # names reserved for the standard Inception


def named(name: str, extractor) -> str:
    """fd -> fid and fd_heldout -> fid_heldout with the standard Inception, else fd_<extractor> and
    fd_<extractor>_heldout; other names get the extractor at their end."""
    head, _, tail = name.partition("_")
    if head in STANDARD:
        head = STANDARD[head] if extractor.standard else f"{head}_{extractor.name}"
        return f"{head}_{tail}" if tail else head
    return name if extractor.standard else f"{name}_{extractor.name}"


def refuse_twice(measures: dict) -> None:
    """Raises ValueError where two measures (name -> measure) would give numbers of one name."""
    owner: dict[str, str] = {}
    for key, measure in measures.items():
        for name in getattr(measure, "names", {}).values():
            if name in owner:
                raise ValueError(
                    f"metrics.measures.{owner[name]} and metrics.measures.{key} both give {name}, and do "
                    "not count it alike; give one of them another k"
                )
            owner[name] = key


def refuse_too_few(measures: dict, count: int) -> None:
    """Raises ValueError where `count` images have too few neighbours for a measure, before any is looked at."""
    for name, measure in measures.items():
        if count <= (k := getattr(measure, "k", 0)):
            raise ValueError(
                f"metrics.measures.{name}.k={k}: {count:,} images on one side have no {k} neighbours; "
                f"give more images, or metrics.measures.{name}.k={count - 1} or less"
            )


@dataclass
class Outcome:
    """numbers by bare names; details (per class, nearest pairs) as plain values; flags: name -> sentence."""

    numbers: dict[str, float]
    details: dict = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)


@dataclass
class Frechet:
    """fd, and fd_heldout against held-out images (Heusel et al., 2017).

    Args:
        per_class: also the distance of each class to its own real images, in the details.
        infinity: also fd_infinity (Chong and Forsyth, 2020), from 50,000 generated images on.
    """

    per_class: bool = False
    infinity: bool = False
    needs_features = False

    def facts(self) -> dict:
        return asdict(self)

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        moments = Moments.of(fake.rows)
        outcome = Outcome({"fd": frechet_distance(moments, real.moments, root=real.root)})
        if is_rank_deficient(moments, real.moments):
            width = len(real.moments.mean)
            outcome.flags["rank_deficient"] = (
                f"{min(moments.n, real.moments.n):,} images cannot span {width:,} features: the Frechet distance is "
                "mostly bias"
            )
        if heldout is not None:
            outcome.numbers["fd_heldout"] = frechet_distance(moments, heldout.moments, root=heldout.root)
        if self.infinity and len(fake) >= 50_000:
            outcome.numbers["fd_infinity"], fit = frechet_infinity(real.moments, fake.rows, root=real.root)
            outcome.details["fd_infinity_r_squared"] = fit
        elif self.infinity:
            outcome.flags["no_infinity"] = "fd_infinity is left out: it needs 50,000 generated images"
        if self.per_class:
            self.add_classes(outcome, fake, real)
        return outcome

    def add_classes(self, outcome: Outcome, fake: Features, real: Reference) -> None:
        if real.features is None or real.features.labels is None or fake.labels is None:
            return
        distances, small = {}, []
        for k in real.features.labels.unique().tolist():
            ours, theirs = fake.take(fake.labels == k).rows, real.features.take(real.features.labels == k).rows
            if min(len(ours), len(theirs)) < 2:
                distances[k] = None
                continue
            distances[k] = frechet_distance(Moments.of(ours), Moments.of(theirs))
            small += [k] * (min(len(ours), len(theirs)) <= ours.shape[1])
        outcome.details["fd_per_class"] = distances
        if small:
            outcome.flags["classes_rank_deficient"] = (
                f"{len(small)} of {len(distances)} classes have fewer images than features: compare their distances "
                "at equal numbers only"
            )


@dataclass
class Kernel:
    """kd and kd_std: the kernel distance (Binkowski et al., 2018), unbiased, over `subsets` of `subset_size` images."""

    subsets: int = 100
    subset_size: int = 1000
    needs_features = True

    def facts(self) -> dict:
        return asdict(self) | {"kernel": "polynomial of degree 3", "rng_seed": 2020}

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        size = min(self.subset_size, len(fake), len(real.features))
        metric = KernelDistance(subsets=self.subsets, subset_size=size, **ALONE)
        metric.update(real.features.rows, real=True)
        metric.update(fake.rows, real=False)
        mean, std = metric.compute()
        outcome = Outcome({"kd": float(mean), "kd_std": float(std)})
        if size < self.subset_size:
            outcome.flags["small_kernel_subsets"] = f"kernel subsets have {size} images instead of {self.subset_size:,}"
        return outcome


@dataclass
class Score:
    """cs and cs_std: the Inception Score (Salimans et al., 2016) of the extractor's logits, mean over `splits`."""

    splits: int = 10
    needs_features = False

    def facts(self) -> dict:
        return asdict(self)

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        if fake.logits is None:
            return Outcome({})
        splits = min(self.splits, len(fake))
        metric = InceptionScore(splits=splits, **ALONE)
        metric.update(fake.logits)
        mean, std = metric.compute()
        outcome = Outcome({"cs": float(mean), "cs_std": float(std)})
        if splits < self.splits:
            outcome.flags["few_splits"] = f"the score has {splits} splits instead of {self.splits}"
        return outcome


@dataclass
class Memorisation:
    """copy_rate, auth_pct and c_t of the generated images, and of held-out real ones beside them."""

    max_samples: int = 10_000
    needs_features = True

    def facts(self) -> dict:
        return asdict(self)

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        if heldout is None or len(heldout.features) < FEWEST_HELDOUT:
            return Outcome(
                {},
                flags={
                    "no_memorisation": (
                        f"memorisation is not measured: it needs {FEWEST_HELDOUT} real images kept out: train "
                        "with holdout=0.1, or give transgan evaluate heldout=PATH"
                    )
                },
            )
        metric = memorisation.Memorisation(max_samples=self.max_samples, **ALONE)
        metric.update(real.features.rows, "train")
        metric.update(heldout.features.rows, "heldout")
        metric.update(fake.rows, "generated")
        numbers = {name: float(value) for name, value in metric.compute().items()}
        pairs = [{"generated": int(i), "real": int(j), "distance": float(d)} for i, j, d in metric.nearest_pairs]
        return Outcome(numbers, {"nearest_pairs": pairs})


@dataclass
class Accuracy:
    """accuracy: the share of generated images taken for the class asked for; accuracy_real or _heldout beside it."""

    needs_features = False

    def facts(self) -> dict:
        return {}

    def __call__(self, fake: Features, real: Reference, heldout: Reference | None) -> Outcome:
        if fake.labels is None or fake.logits is None or not fake.names_classes:
            return Outcome({})
        numbers = {"accuracy": hits(fake)}
        shown = heldout or real
        if shown.features is not None and shown.features.logits is not None and shown.features.names_classes:
            numbers["accuracy_heldout" if heldout else "accuracy_real"] = hits(shown.features)
        return Outcome(numbers)


def hits(features: Features) -> float:
    return (features.logits.argmax(1) == features.labels).double().mean().item()
