"""What is trained on and measured by: images of one set at one size, and an evaluator that is the same for everyone."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from transgan.config.compose import compose
from transgan.instantiation import make
from transgan.metrics import Evaluator
from transgan.runs.images import training_data

FEW = 2000  # images of a task whose name ends in `few`
SETS = {"cifar10": ("cifar10-train.zip", 3), "fashion_mnist": ("fashion-mnist-train.zip", 1)}
MIRRORED = ("cifar10",)  # where left and right do not matter; of Fashion-MNIST's shoes none points to the right


@dataclass
class Task:
    """A prepared task.

    name: SET_RESOLUTION, such as cifar10_32 or digits_8; cifar10_32_few trains on 2,000 of its images and is measured
    against all. overrides: of `transgan train`, to train on it. dataset: as training sees
    it. evaluator: prepared, with the features of all images. others: such that measure the distance alone, by other
    features, at the end of a trial.
    """

    name: str
    overrides: list[str]
    dataset: Any
    evaluator: Evaluator
    others: list[Evaluator] = field(default_factory=list)

    @property
    def resolution(self) -> int:
        return self.dataset.resolution

    @property
    def channels(self) -> int:
        return self.dataset.channels

    @property
    def mirrored(self) -> bool:
        """Whether training shows each image mirrored half of the time."""
        return self.name.startswith(MIRRORED)

    @property
    def num_classes(self) -> int:
        return self.dataset.num_classes

    def images(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (N, C, H, W) and labels (N,)."""
        return self.dataset.__getitems__(indices)


def overrides_of(name: str, folder: Path) -> list[str]:
    """Overrides of `transgan train` for all images of a task, whose file is in `folder`."""
    name = name.removesuffix("_few")
    kind, _, resolution = name.rpartition("_")
    if kind == "digits":  # scikit-learn's
        return ["data=digits", f"resolution={resolution}", "channels=1", "mirror=false"]
    file, channels = SETS[kind]
    mirror = f"mirror={str(kind in MIRRORED).lower()}"
    return ["data=zip", f"data.path={folder / file}", f"resolution={resolution}", f"channels={channels}", mirror]


def composed(overrides: list[str]) -> DictConfig:
    """The configuration of a run on one thread without anything around it."""
    fixed = ["trainer=cpu", "logger=none", "metrics=none", "threads=1"]
    return compose("train", [*overrides, *fixed])


def prepare(name: str, folder: Path, num_samples: int, others: dict[str, Path] | None = None) -> Task:
    """Decodes the images and computes their features, or takes these from the cache.

    others: extractors that measure the distance besides, to 10,000 images, as many of each class, with the files of
    their weights.
    """
    overrides = overrides_of(name, folder)
    dataset, _ = training_data(composed([*overrides, "experiment=cifar10_tiny"]))
    dropped = ("memorisation", "precision_recall", "kernel", "score")  # slow, and no question of a trial
    evaluator = evaluator_of(overrides, num_samples, ["extractor=classifier"], dropped)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    evaluator.prepare(dataset)
    if name.endswith("_few"):
        dataset, _ = training_data(composed([*overrides, f"data.limit={FEW}", "experiment=cifar10_tiny"]))
    task = Task(name, overrides, dataset, evaluator)
    fewer = [*overrides, "data.limit=10000"]
    for extractor, weights in (others or {}).items():
        if extractor == "resnet56_cifar10" and not name.startswith("cifar10"):
            continue
        chosen = [f"extractor={extractor}", f"extractor.weights={weights}"]
        task.others.append(evaluator_of(fewer, num_samples, chosen, keep=("frechet",)))
        task.others[-1].prepare(training_data(composed([*fewer, "experiment=cifar10_tiny"]))[0])
    return task


def evaluator_of(
    overrides: list[str], num_samples: int, chosen: list[str], dropped: tuple[str, ...] = (), keep: tuple[str, ...] = ()
) -> Evaluator:
    """That of `transgan compare`, without some of its measures, or with only some of them."""
    config = compose("train", [
        "experiment=cifar10_tiny", *overrides, "metrics=compare", *chosen, f"metrics.num_samples={num_samples}",
        "metrics.with_heldout=false", "metrics.measures.prdc.max_samples=2500",
    ])  # fmt: skip
    OmegaConf.set_struct(config, False)
    for measure in list(config.metrics.measures):
        if measure in dropped or keep and measure not in keep:
            del config.metrics.measures[measure]
    return make(config.metrics)
