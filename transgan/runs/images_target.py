"""Images of any program as a target of `transgan evaluate`: what they are compared with, and what is still lacking."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import files
from transgan.errors import UserError
from transgan.runs.asking import FEATURES, against_what, ask, command
from transgan.runs.images import images_at
from transgan.runs.nearby import Nearby, openable, run_at, runs_near
from transgan.runs.proposals import typed
from transgan.runs.references import Statistics, Unlike, compared_with, heldout_of
from transgan.runs.targets import Generate, References

Compared = tuple[Any, Any, Statistics | None]  # real images or None, what their run held out, statistics in their place


class ImagesTarget:
    """Images that any program made, measured as they are; noise is their ceiling.

    Where no real images are named and one run near them has their size, they are compared with what it was trained on.
    """

    kind, ceiling, kimg = "images", "noise", None
    trained, weights = None, "given images"

    def __init__(self, config: DictConfig, arguments: Sequence[str] = ()) -> None:
        self.path = files.expanded(config.run)
        if self.path.name in ("", ".."):  # the current folder and those above have a name, too
            self.path = Path(os.path.abspath(self.path))
        self.notes: list[str] = []
        like = None if config.against is None else run_at(files.expanded(config.against))
        self.images = self.own(config, like)
        found: list[str] = []
        values: dict[str, Any] = {}
        if config.against is None and not config.get("data"):
            near = runs_near(self.path)
            first, second = openable(near, *self.images_are, config.channels)
            if first is not None and second is None and first[0].resolution == self.images.resolution:
                like, (real, kept) = first
                self.compared: Compared = real, kept, None
                self.images = self.own(config, like)
                self.notes.append(
                    f"compared with what {like.path} was trained on, the only such images of {like.resolution} px "
                    "near; against= names others"
                )
            else:
                found.append(against_what(self.path, near, self.images.resolution))
                values["against"] = first[0].path if first else "REAL_IMAGES"
                like = first[0] if first else None
        else:
            try:
                self.compared = self.named(config, like)
            except Unlike as error:
                found += error.findings
                values |= error.keys
        if not found and self.is_compared_with_itself(like):
            run = "RUN" if like is None else like.path
            those = f"{config.against or 'data='} holds" if like is None else f"{run} was trained on"
            self.notes.append(
                f"{self.path} holds the very images that {those}: compared with themselves they are perfect; "
                f"`{typed('transgan', 'evaluate', run)}` measures what a run makes"
            )
        self.extractor = None if like is None else like.extractor
        self.name, self.description = self.path.stem, self.images.describe(hints=False)
        ignored = [
            f"{key}="
            for key, none in (
                ("psi", 1.0),
                ("temperature", 1.0),
                ("steps", None),
                ("solver", None),
                ("guidance", None),
                ("ema", True),
                ("checkpoint", "best"),
                ("seed", None),
            )
            if config.get(key, none) != none  # fmt: skip
        ]
        if ignored:
            are, them = ("is for runs", "it") if len(ignored) == 1 else ("are for runs", "them")
            found.append(f"{', '.join(ignored)} {are}; {self.path} holds images, leave {them} out")
        named = config.get("extractor") or (config.get("metrics") or {}).get("extractor")
        if not named and self.extractor is None:
            found.append(FEATURES)
            values["extractor"] = "masked"
        if found:
            raise ask(found, command(arguments, values, [word.rstrip("=") for word in ignored]))

    @property
    def images_are(self) -> tuple[int, int]:
        return self.images.resolution, self.images.channels

    def own(self, config: DictConfig, like: Nearby | None) -> Any:
        """The images to measure, grey or in colour as asked for, or as those of the run are that they stand beside."""
        if config.channels is not None or like is None:
            return images_at(self.path, None, config.channels)
        images = images_at(self.path, None, like.channels)
        if like.channels == 1 and images_at(self.path).channels == 3:
            self.notes.append(f"measured in grey, as {like.path} is; channels=3 measures in colour, on both sides")
        return images

    def is_compared_with_itself(self, like: Nearby | None) -> bool:
        """Whether the images are the real ones: the folder that a run was trained on, or a copy of it."""
        real = self.compared[0]
        if real is None:
            return False
        path = None if like is None else like.config["data"].get("path")
        if path is not None and os.path.realpath(files.expanded(str(path))) == os.path.realpath(self.path):
            return True
        kinds = [(len(each), each.resolution, each.channels) for each in (real, self.images)]
        return kinds[0] == kinds[1] and real.fingerprint == self.images.fingerprint

    def named(self, config: DictConfig, like: Nearby | None) -> Compared:
        """What against= or data= names."""
        resolution, channels = self.images.resolution, self.images.channels
        if config.resolution not in (None, resolution):
            raise UserError(
                f"resolution={config.resolution}: the generated images have {resolution} px and are "
                f"measured as they are; give resolution={resolution} to bring the real ones to it"
            )
        if like is not None:
            return *like.images(resolution, config.channels), None
        real, statistics = compared_with(config, resolution, channels, as_they_are=config.resolution is None)
        return real, None, statistics

    def reals(self, config: DictConfig, evaluator: Any) -> References:
        real, kept, statistics = self.compared
        heldout = heldout_of(config, evaluator, real, kept, self.images.resolution, self.images.channels)
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
