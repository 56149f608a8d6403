"""What `transgan evaluate` measures, a run or any program's images, and the real images each is compared with.

A subject makes images by seed, and says by which real and held-out ones it is measured and where its numbers go.
"""

import os
from pathlib import Path

import torch
from omegaconf import OmegaConf

from transgan import checkpoint, files
from transgan.callbacks.evaluation import append
from transgan.data.npz import holds_images
from transgan.errors import UserError
from transgan.instantiation import make
from transgan.metrics.statistics import read_statistics
from transgan.runs.images import is_run, pictures, training_data
from transgan.runs.names import evaluation_file


class Run:
    """A trained generator: images by seed and class, and an untrained twin for the ceiling."""

    kind, ceiling = "run", "untrained"

    def __init__(self, config, device):
        self.path = checkpoint.find(config.run, config.checkpoint)
        self.module, self.saved = checkpoint.load(self.path)
        self.config, self.device, self.trained = config, device, self.saved["config"]
        if not config.ema:
            self.module.ema.load_state_dict(getattr(self.module, self.module.networks[0]).state_dict())
        self.module.to(device)
        self.weights = "ema" if config.ema else "raw"
        self.kimg = self.saved["images_seen"] / 1000
        self.folder = self.path.parent.parent if self.path.parent.name == "checkpoints" else self.path.parent
        self.name = self.trained.get("name", self.folder.name)
        self.description = f"{self.path}, {self.kimg:g} kimg"
        self.notes: list[str] = []

    def reals(self, config, evaluator):
        """-> (real images, held-out ones or None, a maker of a Reference or None)"""
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
            self.notes.append("the images the run was trained on are not here any more")
        if not others and not real.is_same(self.saved["data"]):
            self.notes.append("these are not the images the run was trained on")
        heldout = heldout_of(config, evaluator, real, kept, resolution, channels)
        self.unseen = kept if heldout is None else heldout
        if self.unseen is not None and not self.takes_classes_of(self.unseen) and self.module.num_classes:
            self.unseen = None
            if hasattr(self.module, "bits_per_dim"):
                self.notes.append("the held-out images have other classes than the run: no likelihood of them")
        other, statistics = compared_with(config, resolution, channels)
        return (real if other is None else other), heldout, statistics

    def size(self, evaluator) -> None:
        """A run makes as many images as the evaluator wants."""

    def label(self, evaluator) -> None:
        """Classes come from the evaluator's quotas."""

    def takes_classes_of(self, real) -> bool:
        return self.module.num_classes > 0 and list(real.class_names) == list(self.saved.get("class_names", []))

    def generate(self, seeds, labels):
        return self.module.generate(seeds, labels, self.config.psi)

    def likelihood(self) -> dict | None:
        """Bits per dimension of images that were not trained on, where the run has a likelihood and there are some."""
        if self.unseen is None or not hasattr(self.module, "bits_per_dim"):
            return None
        parts = [range(i, min(i + 256, len(self.unseen))) for i in range(0, len(self.unseen), 256)]
        found = torch.cat([self.module.bits_per_dim(*self.unseen.__getitems__(part)) for part in parts])
        kind = self.module.likelihood
        return {"bits_per_dim_heldout": found.double().mean().item(), "num_real": len(self.unseen), "likelihood": kind}

    def untrained(self):
        torch.manual_seed(self.trained["seed"])
        return checkpoint.build(self.trained).eval().to(self.device).generate

    def write(self, config, result, protocol, seconds, everything) -> str:
        default = evaluation_file(self.folder, self.kimg, self.path, protocol)
        everything = everything | {"checkpoint_sha256": files.sha256(self.path)}
        out = files.write_json(files.expanded(config.out) if config.out else default, everything)
        append(
            self.folder / "metrics.jsonl",
            self.kimg,
            seconds,
            result.numbers,
            protocol | {"checkpoint": self.path.name, "flags": sorted(result.flags)},
        )
        return f"{out} and, as a line, to {self.folder / 'metrics.jsonl'}"


class Pictures:
    """Images that any program made, measured as they are; noise is their ceiling."""

    kind, ceiling, kimg = "images", "noise", None
    trained, weights = None, "given images"

    def __init__(self, config, device):
        self.path = files.expanded(config.run)
        if self.path.name in ("", ".."):  # the current folder and those above have a name, too
            self.path = Path(os.path.abspath(self.path))
        self.images = pictures(self.path, None, config.channels)
        self.name, self.description = self.path.stem, self.images.describe(hints=False)
        self.notes: list[str] = []
        ignored = [
            f"{key}="
            for key, none in (("psi", 1.0), ("ema", True), ("checkpoint", "best"), ("seed", None))
            if config[key] != none
        ]
        if ignored:
            raise UserError(f"{', '.join(ignored)} are for runs; {self.path} holds images, leave them out")
        if config.against is None and not config.get("data"):
            raise UserError(
                f"{self.path} holds images; say what to compare them with: against=FOLDER, "
                "against=FILE.zip, against=FILE.npz, or data=cifar10"
            )

    def reals(self, config, evaluator):
        resolution, channels = self.images.resolution, self.images.channels
        if config.resolution not in (None, resolution):
            raise UserError(
                f"resolution={config.resolution}: the generated images have {resolution} px and are "
                f"measured as they are; give resolution={resolution} to bring the real ones to it"
            )
        real, statistics = compared_with(config, resolution, channels, as_they_are=config.resolution is None)
        heldout = heldout_of(config, evaluator, real, None, resolution, channels)
        return (self.images if real is None else real), heldout, statistics

    def size(self, evaluator) -> None:
        """All images, or as many as were asked for, spread over all of them."""
        count = evaluator.num_samples = min(evaluator.num_samples or len(self.images), len(self.images))
        evaluator.blocks = 1
        self.chosen = torch.arange(len(self.images))
        if count < len(self.images):
            order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(0))
            self.chosen = order[:count].sort().values

    def label(self, evaluator) -> None:
        """The images' own sub-folders are their classes, where they are those of the real images."""
        self.first = evaluator.seeds()[0]
        evaluator.labels = None if evaluator.labels is None else self.images.labels[self.chosen]

    def takes_classes_of(self, real) -> bool:
        return self.images.num_classes > 0 and self.images.class_names == real.class_names

    def generate(self, seeds, labels):
        return self.images.__getitems__([int(self.chosen[seed - self.first]) for seed in seeds])[0]

    def likelihood(self) -> None:
        """Pictures have none."""

    def untrained(self):
        shape = (self.images.channels, self.images.resolution, self.images.resolution)

        def noise(seeds, labels):
            drawn = [torch.randint(256, shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            return torch.stack(drawn).to(torch.uint8)

        return noise

    def write(self, config, result, protocol, seconds, everything) -> str:
        default = self.path.with_name(f"{self.path.name}.{protocol['id']}.evaluation.json")
        return str(files.write_json(files.expanded(config.out) if config.out else default, everything))


class Statistics:
    """A file of mu and sigma in the place of real images; called with an extractor, it is their Reference."""

    def __init__(self, path: str, num_real: int | None, resolution: int):
        self.path, self.num_real, self.resolution = path, num_real, resolution

    def __call__(self, extractor):
        return read_statistics(self.path, extractor, self.num_real, self.resolution)

    def describe(self) -> str:
        return f"mu and sigma of {self.path}"


def compared_with(config, resolution: int, channels: int, as_they_are: bool = False):
    """-> (the real images that against= or data= names, or None; a file of statistics, or None)"""
    is_npz = config.against is not None and str(config.against).lower().endswith(".npz")
    if is_npz and (config.num_real is not None or not holds_images(config.against)):
        return None, Statistics(config.against, config.num_real, resolution)
    if config.against is not None:
        size = (None, config.channels) if as_they_are else (resolution, channels)
        real = pictures(config.against, *size, key="against")
        same_kind(real, resolution, channels, f"the real images in {config.against}")
        return real, None
    if config.get("data"):
        data = OmegaConf.to_container(config.data, resolve=True)
        data["resolution"], data["channels"] = resolution, channels
        return make(data), None
    return None, None


def heldout_of(config, evaluator, real, kept, resolution: int, channels: int):
    """The held-out images: those of heldout=PATH, else what the run or data set keeps, where wanted."""
    if config.heldout is not None:
        as_they_are = config.resolution is None and kept is None and not is_run(config.run)
        size = (None, None) if as_they_are else (resolution, channels)
        heldout = pictures(config.heldout, *size, key="heldout", like=real)
        same_kind(heldout, resolution, channels, f"the held-out images in {config.heldout}")
        return heldout
    if not evaluator.with_heldout:
        return None
    return kept if kept is not None or real is None else real.heldout()


def same_kind(images, resolution: int, channels: int, what: str) -> None:
    """Raises UserError where real images are not of the generated ones' size and colour."""
    found = []
    if images.resolution != resolution:
        found.append(
            f"{what} have {images.resolution} px and the generated ones {resolution} px: a distance between "
            f"them measures the resizing; give resolution={resolution} to bring the real ones to it, as "
            "training does"
        )
    if images.channels != channels:
        kinds = {1: "grey", 3: "in colour"}
        found.append(
            f"{what} are {kinds[images.channels]} and the generated ones are {kinds[channels]}; give "
            "channels=3 to repeat grey in all three, or channels=1 to take the colour away, on both sides"
        )
    if found:
        raise UserError(*found)
