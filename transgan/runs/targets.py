"""What `transgan evaluate` measures: a run, or any program's images.

A target makes images by seed, and says by which real and held-out ones it is measured and where its numbers go.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import files
from transgan.callbacks.likelihood import Likely
from transgan.errors import UserError
from transgan.runs.images import images_at, training_data
from transgan.runs.references import Statistics, compared_with, heldout_of
from transgan.runs.run import Run

Generate = Callable[[list[int], Tensor | None], Tensor]
References = tuple[Any, Any, Statistics | None]  # real images, held-out ones or None, statistics in their place or None


class Target(Protocol):
    """What can be evaluated. kind, ceiling: words of the report. trained: the configuration of a run, None without."""

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

    kind, ceiling = "run", "untrained"

    def __init__(self, run: Run, config: DictConfig) -> None:
        self.run, self.trained, self.kimg, self.name = run, run.config, run.kimg, run.name
        self.weights = "ema" if run.ema else "raw"
        self.strength = run.strength(config)
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
            "bits_per_dim_heldout": found.double().mean().item(), "num_real": len(self.heldout), "likelihood": kind,
        }  # fmt: skip

    def untrained(self) -> Generate:
        return self.run.untrained().generate

    def protocol(self, evaluator: Any) -> dict[str, Any]:
        """`truncation` is psi, or a temperature, which has a key of its own beside it: ids are as they always were."""
        found = evaluator.protocol(self.weights, None if self.strength == 1 else self.strength)
        return found | ({"temperature": self.strength} if self.strength != 1 and self.run.has_likelihood else {})

    def write(self, config: DictConfig, everything: dict[str, Any]) -> str:
        out = self.run.write_evaluation(everything, config.out)
        return f"{out} and, as a line, to {self.run.folder / 'metrics.jsonl'}"


class ImagesTarget:
    """Images that any program made, measured as they are; noise is their ceiling."""

    kind, ceiling, kimg = "images", "noise", None
    trained, weights = None, "given images"

    def __init__(self, config: DictConfig) -> None:
        self.path = files.expanded(config.run)
        if self.path.name in ("", ".."):  # the current folder and those above have a name, too
            self.path = Path(os.path.abspath(self.path))
        self.images = images_at(self.path, None, config.channels)
        self.name, self.description = self.path.stem, self.images.describe(hints=False)
        self.notes: list[str] = []
        ignored = [
            f"{key}="
            for key, none in (("psi", 1.0), ("temperature", 1.0), ("ema", True), ("checkpoint", "best"), ("seed", None))
            if config[key] != none
        ]
        if ignored:
            raise UserError(f"{', '.join(ignored)} are for runs; {self.path} holds images, leave them out")
        if config.against is None and not config.get("data"):
            raise UserError(
                f"{self.path} holds images; say what to compare them with: against=FOLDER, "
                "against=FILE.zip, against=FILE.npz, or data=cifar10"
            )

    def reals(self, config: DictConfig, evaluator: Any) -> References:
        resolution, channels = self.images.resolution, self.images.channels
        if config.resolution not in (None, resolution):
            raise UserError(
                f"resolution={config.resolution}: the generated images have {resolution} px and are "
                f"measured as they are; give resolution={resolution} to bring the real ones to it"
            )
        real, statistics = compared_with(config, resolution, channels, as_they_are=config.resolution is None)
        heldout = heldout_of(config, evaluator, real, None, resolution, channels)
        return (self.images if real is None else real), heldout, statistics

    def size(self, evaluator: Any) -> None:
        """All images, or as many as were asked for, spread over all of them."""
        count = evaluator.num_samples = min(evaluator.num_samples or len(self.images), len(self.images))
        evaluator.blocks = 1
        self.chosen = torch.arange(len(self.images))
        if count < len(self.images):
            order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(0))
            self.chosen = order[:count].sort().values

    def label(self, evaluator: Any) -> None:
        """The images' own sub-folders are their classes, where they are those of the real images."""
        self.first = evaluator.seeds()[0]
        evaluator.labels = None if evaluator.labels is None else self.images.labels[self.chosen]

    def takes_classes_of(self, real: Any) -> bool:
        return self.images.num_classes > 0 and self.images.class_names == real.class_names

    def generate(self, seeds: list[int], labels: Tensor | None) -> Tensor:
        return self.images.__getitems__([int(self.chosen[seed - self.first]) for seed in seeds])[0]

    def likelihood(self) -> None:
        """Images alone have none."""

    def untrained(self) -> Generate:
        shape = (self.images.channels, self.images.resolution, self.images.resolution)

        def noise(seeds: list[int], labels: Tensor | None) -> Tensor:
            drawn = [torch.randint(256, shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            return torch.stack(drawn).to(torch.uint8)

        return noise

    def protocol(self, evaluator: Any) -> dict[str, Any]:
        return evaluator.protocol(self.weights, None)

    def write(self, config: DictConfig, everything: dict[str, Any]) -> str:
        default = self.path.with_name(f"{self.path.name}.{everything['protocol']['id']}.evaluation.json")
        return str(files.write_json(files.expanded(config.out) if config.out else default, everything))
