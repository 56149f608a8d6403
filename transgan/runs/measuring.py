"""A few steps of a run, on a module that is thrown away: what they cost in memory, and in time by number of threads.

Memory is counted on four and eight images, and is a straight line in their number: so a batch that would fill the
machine's memory is never tried. More images are counted only for a penalty that is on few of them.

Not every step has all that a step may have: a generator's, a penalty. The module says of which kind a step is and when
the kinds come again; each kind is measured, and counts as often as it comes.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Any

import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning import Callback, Trainer

from transgan import checkpoint
from transgan.data import ImageData
from transgan.runs.live_bytes import LiveBytes

FEW = (4, 8)  # images of a step whose memory is counted
WARM, SECONDS, STEPS = 2, 1.5, 12  # steps before; seconds and steps, at most, for each number of threads
LONG = 4.0  # seconds of a step that is not repeated
PERIOD = 100_000  # steps of a period that are looked at, at most
SEEDS, AT_ONCE = (4, 32), 0.5  # images made, and looked at, to see how long that takes: more if that took less seconds


@dataclass
class Footprint:
    """Bytes of a step on n images: fixed + each * n."""

    fixed: float
    each: float

    def of(self, count: int) -> int:
        return int(self.fixed + self.each * count)

    def fitting(self, count: int, free: int) -> int | None:
        """The most images, halved from `count` on, whose step fits into so many bytes; None if not even one does."""
        while count > 1 and self.of(count) > free:
            count = (count + 1) // 2
        return count if self.of(count) <= free else None


@dataclass
class Speed:
    """seconds: of a step, by number of threads; generating: of making an image; likelihood: of measuring that of a
    held-out one, 0 where there is none."""

    seconds: dict[int, float] = field(default_factory=dict)
    generating: float = 0.0
    likelihood: float = 0.0

    @property
    def best(self) -> int:
        return min(self.seconds, key=lambda threads: self.seconds[threads])


@dataclass
class Kinds:
    """The kinds of a module's steps: the first step of each in a period, and how many of the period's are of it."""

    first: list[int]
    count: list[int]

    @classmethod
    def of(cls, module: Any) -> "Kinds":
        kinds = [module.kind(step) for step in range(min(module.period, PERIOD))]
        counts = Counter(kinds)
        return cls([kinds.index(kind) for kind in counts], list(counts.values()))

    @property
    def warm(self) -> int:
        """Steps before those that are measured: complete rounds of the kinds."""
        return len(self.first) * -(-WARM // len(self.first))

    def mean(self, times: list[float]) -> float:
        """Seconds of a step, the mean over a period. times: of rounds of the kinds, one after the other."""
        kinds = len(self.first)
        measured = times[self.warm :] or times[-kinds:]
        least = [min(measured[kind::kinds]) for kind in range(kinds)]
        return sum(map(mul, self.count, least)) / sum(self.count)

    def enough(self, times: list[float]) -> bool:
        """Whether these steps say how long one takes; the first ones are slower."""
        kinds, measured = len(self.first), times[self.warm :]
        if len(times) % kinds:
            return False
        long, many = max(times[-kinds:]) > LONG, len(measured) >= STEPS
        return long or many or len(measured) > 2 and sum(measured) > SECONDS

    def as_many(self, times: list[float]) -> bool:
        """The same by their number alone."""
        return len(times) % len(self.first) == 0 and len(times) >= self.warm + 4


class Steps(Callback):
    """Ends training when `enough` of the steps' seconds says so. steps: those to take in turn, by their numbers in a
    run; with less than two, one follows the other."""

    def __init__(self, enough: Callable[[list[float]], bool], steps: Sequence[int] = ()) -> None:
        self.enough, self.times, self.mark = enough, list[float](), 0.0
        self.steps = steps

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        vars(trainer._signal_connector)["register_signal_handlers"] = lambda: None  # signals have an owner

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if len(self.steps) > 1:
            step = self.steps[len(self.times) % len(self.steps)]
            module.lacking = step * (module.batch_size or 0) - module.images_seen
        self.mark = now(module.device)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.times.append(now(module.device) - self.mark)
        if self.enough(self.times):
            trainer.should_stop = True


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


class Trial:
    """The module of a resolved configuration, on a device, for a few steps on images of `dataset`."""

    def __init__(self, config: dict[str, Any], dataset: Any, heldout: Any, device: torch.device) -> None:
        self.config, self.dataset, self.heldout, self.device = config, dataset, heldout, device
        torch.manual_seed(config["seed"])
        described = checkpoint.without_weights(config)
        if "compile" in described["algorithm"]:  # which takes minutes
            described = described | {"algorithm": described["algorithm"] | {"compile": None}}
        module: Any = checkpoint.build(described)
        module.attach(dataset, heldout)
        self.module, self.kinds = module, Kinds.of(module)

    def fit(self, batch: int, enough: Callable[[list[float]], bool]) -> list[float]:
        """Trains on batches of so many images until `enough`, by rounds of the kinds. -> seconds of the steps"""
        steps = Steps(enough, self.kinds.first)
        trainer = Trainer(
            accelerator=self.device.type, devices=[self.device.index or 0] if self.device.type == "cuda" else 1,
            precision=self.config["precision"], callbacks=[steps], logger=False, max_epochs=-1, max_steps=-1,
            use_distributed_sampler=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0,
            plugins=[LightningEnvironment()],  # alone, whoever has started this process
        )  # fmt: skip
        trainer.fit(self.module, ImageData(self.dataset, batch, self.config["seed"]))
        return steps.times

    def footprint(self, batch: int, free: int) -> Footprint:
        """Of a step on some of `batch` images: the fullest, when the optimizers have their moments.

        free: bytes. More than a few images are counted where that is sure to fit.
        """
        parts, most = self.module.parts, max(batch, FEW[1])
        size, parts.size = parts.size, None
        found, first = self.line(*FEW), self.module.fewest
        few = (first, 2 * first) if 2 * first <= most else (FEW[0], most)
        if first > FEW[0] and few != FEW and found.of(2 * few[1]) <= free:
            found = self.line(*few)
        parts.size = size
        return found

    def line(self, few: int, more: int) -> Footprint:
        """By the peaks of so few images and of so many more."""
        held = sum(each.untyped_storage().nbytes() for each in (*self.module.parameters(), *self.module.buffers()))
        peaks, steps = [], 2 * len(self.kinds.first)  # each kind once more with the moments of all
        for count in (few, more):
            with LiveBytes() as live:
                self.fit(count, lambda times: len(times) >= steps)
            peaks.append(live.peak)
            gc.collect()
        each = max((peaks[1] - peaks[0]) / (more - few), 0.0)
        return Footprint(held + peaks[0] - few * each, each)

    def speed(self, batch: int, threads: Sequence[int], alone: bool = True) -> Speed:
        """Of a step on `batch` images, by number of threads; the first number is tried first.

        alone: whether this is the only process; of several, each takes as many steps as the others.
        """
        enough = self.kinds.enough if alone else self.kinds.as_many
        speed = Speed()
        for count in threads:
            torch.set_num_threads(count)
            times = self.fit(batch, enough)
            speed.seconds[count] = self.kinds.mean(times)
            if max(times) > LONG and len(times) == len(self.kinds.first):
                break  # the others would take as long
        torch.set_num_threads(speed.best)
        module = self.module.to(self.device)
        speed.generating = self.seconds_each(lambda seeds: module.generate(seeds, module.labels_of(seeds)))
        if self.heldout is not None and hasattr(module, "bits_per_dim"):
            some = [i % len(self.heldout) for i in range(SEEDS[-1])]
            speed.likelihood = self.seconds_each(
                lambda seeds: module.bits_per_dim(*self.heldout.__getitems__(some[: len(seeds)]))
            )
        return speed

    def seconds_each(self, take: Callable[[list[int]], Any]) -> float:
        """Of what takes some images."""
        each = 0.0
        for seeds in map(list, map(range, SEEDS)):
            began = now(self.device)
            take(seeds)
            took = now(self.device) - began
            each = took / len(seeds)
            if took > AT_ONCE:
                break
        return each
