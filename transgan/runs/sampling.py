"""Images of a run by seed: which seeds, of which classes, drawn afresh or continued from the upper half of others."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan.errors import UserError
from transgan.runs.exported_run import run_at
from transgan.runs.images import images_at, training_data
from transgan.runs.machine import device_named
from transgan.runs.report import sampler_said
from transgan.runs.run import Run, how_of

DEFAULT_SEEDS = {"png": "0-63", "grid": "0-63", "npz": "0-63", "sheet": "0-7", "gif": "0-5", "mp4": "0-5"}
MOST = 10_000_000  # images of one command
Draw = Callable[[list[int], Tensor | None, float], Tensor]


@dataclass(frozen=True)
class Drawn:
    """Images of a run, to be made, with the seed and the class of each.

    generate: makes some of them. strength: psi or the temperature. batch_size: images made at once; in another batch a
    sum may be rounded in another way.
    """

    generate: Draw
    seeds: list[int]
    labels: Tensor | None
    run: Run
    strength: float
    batch_size: int

    @property
    def parts(self) -> list[slice]:
        """The images that are made at once."""
        return [slice(i, i + self.batch_size) for i in range(0, len(self.seeds), self.batch_size)]

    def batch(self, part: slice) -> Tensor:
        """Images of one of the parts, uint8 (n, C, H, W)."""
        return self.generate(self.seeds[part], None if self.labels is None else self.labels[part], self.strength).cpu()

    @cached_property
    def images(self) -> Tensor:
        """All of them, uint8 (N, C, H, W)."""
        return torch.cat([self.batch(part) for part in self.parts])

    @property
    def said(self) -> str:
        """How the images were drawn: psi 0.7, or temperature 0.9."""
        return self.said_of([self.strength])

    def said_of(self, strengths: Sequence[float]) -> str:
        """The same for a row of each strength: psi 0.3, 0.7 and 1."""
        *others, last = (f"{value:g}" for value in strengths)
        values = f"{', '.join(others)} and {last}" if others else last
        steps = f", {sampler_said(self.run.sampler)}" if self.run.sampler else ""
        return f"{'temperature' if self.run.has_likelihood else 'psi'} {values}{steps}"

    def class_of(self, index: int) -> str | None:
        """The name of an image's class, or its number where the run has no names; None without classes."""
        if self.labels is None:
            return None
        names, label = self.run.class_names, int(self.labels[index])
        return names[label] if label < len(names) else str(label)


def draw(config: DictConfig, given: Tensor | None = None) -> Drawn:
    """The images that a configuration asks for. Raises UserError and other errors of the user's.

    given: the class of each, where it is another one than class= says.
    """
    seeds = seeds_of(config)
    run = run_at(config.run, config.checkpoint, device_named(config.device))
    strength, module = run.strength(config), run.module
    run.sample_by(config)
    if config.top_k is not None:
        set_top_k(module, config.top_k)
    labels = choose_labels(config["class"], seeds, run.class_names, module) if given is None else given
    generate: Draw = module.generate
    if config.complete is not None:
        generate, labels = completion(config, seeds, labels, run)
    return Drawn(generate, seeds, labels, run, strength, config.batch_size)


def seeds_of(config: DictConfig) -> list[int]:
    """The seeds asked for, or as many as suit what they are for. Raises UserError."""
    return parse_seeds(DEFAULT_SEEDS[config.to] if config.seeds is None else config.seeds)


def parse_seeds(text: str) -> list[int]:
    """`7`, `0-63`, `1,5,9-12` to a list of seeds. Raises UserError."""
    seeds: list[int] = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*([0-9]{1,19})(?:\s*-\s*([0-9]{1,19}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"seeds={text}: write 7, 0-63 or 1,5,9-12")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= 2**63:
            raise UserError(f"seeds={text}: a seed is at most {2**63 - 1}")
        if len(seeds) + last - first >= MOST:
            raise UserError(f"seeds={text}: these are more than {MOST:,} images at once; draw them in several parts")
        seeds += range(first, last + 1)
    return seeds


def choose_labels(wanted: Any, seeds: list[int], names: list[str], module: Any) -> Tensor | None:
    """The class of each seed: the one asked for by number or name, else the seed's own. Raises UserError."""
    if wanted is None:
        return module.labels_of(seeds)
    if not module.num_classes:
        raise UserError(f"class={wanted}: this run is unconditional and knows no classes; leave class= out")
    word = str(wanted)
    numbered = any(is_number(name) for name in names)  # then a number is a name, and never a place in the list
    numbered = numbered and names != [str(i) for i in range(len(names))]
    if word in names:
        label = names.index(word)
    elif is_number(word) and not numbered and int(word) < module.num_classes:
        label = int(word)
    else:
        listed = ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
        way = f"one of {listed}" if numbered else f"0 to {module.num_classes - 1}, or one of {listed}"
        raise UserError(f"class={wanted}: there is no such class; give {way if names else way.split(',')[0]}")
    return torch.full((len(seeds),), label)


def is_number(word: str) -> bool:
    """Whether a text is a whole number that could be an index."""
    return re.fullmatch(r"[0-9]+", word) is not None


def set_top_k(module: Any, top_k: Any) -> None:
    if not hasattr(module, "top_k"):
        raise UserError(
            f"top_k={top_k}: this run does not draw token by token; leave it out, and give psi= or temperature="
        )
    if not isinstance(top_k, int) or top_k < 1:
        raise UserError(f"top_k={top_k}: it takes a whole number, 1 or more")
    module.top_k = top_k


def completion(config: DictConfig, seeds: list[int], labels: Tensor | None, run: Run) -> tuple[Draw, Tensor | None]:
    """-> (a function like `generate` that keeps the upper rows of image number seed of a source, the labels)."""
    module: Any = run.module
    if not hasattr(module, "complete"):
        raise UserError(
            f"complete={config.complete}: this run makes images {how_of(module)} and cannot continue half of one; "
            "leave it out"
        )
    if config.complete == "heldout":
        source = training_data(run.config)[1]
        if source is None:
            raise UserError("complete=heldout: this run holds no images out of training; give a folder or zip")
    else:
        source = images_at(config.complete, run.config["resolution"], run.config["channels"], key="complete")
    rows = run.config["resolution"] // 2 if config.rows is None else config.rows

    def given(seeds: list[int]) -> tuple[Tensor, Tensor]:
        return source.__getitems__([seed % len(source) for seed in seeds])

    def complete(seeds: list[int], labels: Tensor | None, temperature: float) -> Tensor:
        return module.complete(given(seeds)[0], rows, seeds, labels, temperature)

    if module.num_classes and config["class"] is None:
        if list(source.class_names) != run.class_names:
            raise UserError(f"complete={config.complete}: these images have other classes than the run; give class=")
        labels = given(seeds)[1]
    module.network.prepare(given(seeds)[0])
    return complete, labels
