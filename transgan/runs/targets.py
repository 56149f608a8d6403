"""What `transgan evaluate` measures: a run, or (images_target.py) any program's images.

A target makes images by seed, and says by which real and held-out ones it is measured and where its numbers go.
"""

from collections.abc import Callable
from typing import Any, Protocol, cast

from omegaconf import DictConfig
from torch import Tensor

from transgan.callbacks.likelihood import Likely
from transgan.errors import UserError
from transgan.runs.images import training_data
from transgan.runs.references import Statistics, compared_with, heldout_of
from transgan.runs.run import Run

Generate = Callable[[list[int], Tensor | None], Tensor]
References = tuple[Any, Any, Statistics | None]  # real images, held-out ones or None, statistics in their place or None


class Target(Protocol):
    """What can be evaluated. kind, ceiling: words of the report. trained: the configuration of a run, None without.
    extractor: the one to measure by where none is asked for and `trained` has none."""

    kind: str
    ceiling: str
    name: str
    description: str
    notes: list[str]

    @property
    def kimg(self) -> float | None: ...

    @property
    def trained(self) -> dict[str, Any] | None: ...

    @property
    def extractor(self) -> dict[str, Any] | None: ...

    @property
    def weights(self) -> str: ...

    def reals(self, config: DictConfig, evaluator: Any) -> References: ...

    def size(self, evaluator: Any) -> None: ...

    def label(self, evaluator: Any) -> None: ...

    def takes_classes_of(self, real: Any) -> bool: ...

    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor: ...

    def likelihood(self) -> dict[str, Any] | None: ...

    def untrained(self) -> Generate: ...

    def protocol(self, evaluator: Any) -> dict[str, Any]: ...

    def write(self, config: DictConfig, everything: dict[str, Any]) -> str: ...


class RunTarget:
    """The generator of a run: images by seed and class, and an untrained twin for the ceiling."""

    kind, ceiling, extractor = "run", "untrained", None

    def __init__(self, run: Run, config: DictConfig) -> None:
        self.run, self.trained, self.kimg, self.name = run, run.config, run.kimg, run.name
        self.weights = "ema" if run.ema else "raw"
        self.strength = run.strength(config)
        if not run.writable and not config.out:
            raise UserError(f"{run.folder} can only be read, and the evaluation would be written there; give out=FILE")
        run.sample_by(config)
        self.description = f"{run.path}, {run.kimg:g} kimg"
        self.notes: list[str] = []
        self.heldout: Any = None  # images to measure the likelihood of

    def reals(self, config: DictConfig, evaluator: Any) -> References:
        resolution, channels = self.trained["resolution"], self.trained["channels"]
        if config.resolution not in (None, resolution) or config.channels not in (None, channels):
            raise UserError(
                f"this run makes images of {resolution} px and {channels} channel(s); leave resolution= "
                "and channels= out"
            )
        others = config.against is not None or config.get("data")
        try:
            real, kept = training_data(self.trained)
        except (ValueError, OSError):
            if not others:
                raise
            real = kept = None
            self.notes.append("the images the run was trained on are not on this machine any more")
        if not others and not real.is_same(self.run.facts["data"]):
            self.notes.append("these are not the images the run was trained on")
        heldout = heldout_of(config, evaluator, real, kept, resolution, channels)
        self.heldout = kept if heldout is None else heldout
        if self.heldout is not None and not self.takes_classes_of(self.heldout) and self.run.module.num_classes:
            self.heldout = None
            if self.run.has_likelihood:
                self.notes.append("the held-out images have other classes than the run: no likelihood of them")
        other, statistics = compared_with(config, resolution, channels)
        return (real if other is None else other), heldout, statistics

    def size(self, evaluator: Any) -> None:
        """A run makes as many images as the evaluator wants."""

    def label(self, evaluator: Any) -> None:
        """Classes come from the evaluator's quotas."""

    def takes_classes_of(self, real: Any) -> bool:
        return self.run.module.num_classes > 0 and list(real.class_names) == self.run.class_names

    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor:
        return self.run.module.generate(seeds, labels, self.strength)

    def likelihood(self) -> dict[str, Any] | None:
        """Bits per dimension of held-out images, where the run has a likelihood and there are some."""
        if self.heldout is None or not self.run.has_likelihood:
            return None
        found, kind = self.run.bits_per_dim(self.heldout), cast(Likely, self.run.module).likelihood
        return {
            "bits_per_dim_heldout": found.double().mean().item(), "num_real": len(found), "likelihood": kind,
        }  # fmt: skip

    def untrained(self) -> Generate:
        return self.run.untrained().generate

    def protocol(self, evaluator: Any) -> dict[str, Any]:
        """`truncation` is psi, or a temperature, which has a key of its own beside it: ids are as they always were."""
        found = evaluator.protocol(self.weights, None if self.strength == 1 else self.strength)
        own = {"temperature": self.strength} if self.strength != 1 and self.run.has_likelihood else {}
        return found | own | self.run.sampler

    def write(self, config: DictConfig, everything: dict[str, Any]) -> str:
        out = self.run.write_evaluation(everything, config.out)
        return f"{out} and, as a line, to {self.run.folder / 'metrics.jsonl'}" if self.run.writable else f"{out}"
