"""How a run goes, in one word: measured at every evaluation, and known to the progress line, the log and stats.csv."""

import logging
import math
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from transgan.at_once import AtOnce
from transgan.callbacks.diagnosis import Finding, Moment, diagnosis, urgent
from transgan.callbacks.evaluation import Evaluation
from transgan.callbacks.interval import Interval
from transgan.callbacks.likelihood import Likelihood
from transgan.callbacks.patience import Patience
from transgan.callbacks.remedies import NETWORKS, Remedies
from transgan.callbacks.session import Session, Trained, find
from transgan.callbacks.stats import Stats
from transgan.callbacks.variety import beyond_chance, low, nearest, share_above, spread

log = logging.getLogger(__name__)
said = logging.getLogger("health")  # to log.txt; it stands on the screen already
said.setLevel(logging.INFO)

CLASSES = 10  # in the grid, at most
LOGGED = ("discriminator_accuracy", *(f"grad_norm_{each[0]}" for each in NETWORKS), "r1", "r2")  # by training steps
FEWEST = 200  # images on whose labels something can be said, and MEMBERS of each class
MEMBERS = 20
KEPT = 100  # moments, beside the first
HOW = "; a changed setting takes force=true, or name=NEW to begin anew"
SLOW = 1.5  # times the step time of the session's first lines


class Health(Callback):
    """`finding` is the word, the reason and the remedy by the rules of diagnosis.py, from what this measures.

    At every evaluation and every interval it makes `count` images of the same seeds and compares them with `num_real`
    training images, which it reads once. It asks the discriminator, if there is one, about training images and held-out
    ones. Between, it looks at each line of `Stats`. What it measures stands in that line of stats.csv:

        grid_spread         variety of the images within the classes, over that of real ones
        grid_nearest        median distance to the nearest training image, over that between training images
        grid_change         root mean square change of the images since the last time, over the variety of real ones
        discriminator_gap   share of pairs in which the discriminator ranks a training image above a held-out one

    It says once if steps take longer than at first. All numbers are those of rank 0, in every process; nothing of the
    training depends on them.
    """

    def __init__(self, every_kimg: float, count: int = 100, num_real: int = 2000) -> None:
        self.interval, self.count, self.num_real = Interval(every_kimg), count, num_real
        self.finding, self.at_once = diagnosis([]), AtOnce()  # images that the discriminator is asked about
        self.history: list[Moment] = []
        self.lines: list[dict[str, float]] = []  # of Stats, since the last moment
        self.skipped = self.steps = 0  # until the last moment; since then
        self.before: Tensor | None = None  # the grid of the last moment, averaged down
        self.weights: dict[str, float] = {}  # root mean square of a network's, at the last moment
        self.speeds: list[float] = []  # of this session
        self.slow = self.explained = False
        self.counted = 0  # evaluations that were looked at

    def applies(self, session: Session, module: Trained) -> bool:
        return session.dataset is not None

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = session = Session.of(trainer)
        self.interval = Interval(self.interval.kimg, session.kimg, spaced=True)
        self.stats, self.evaluation = find(trainer, Stats), find(trainer, Evaluation)
        self.patience = find(trainer, Patience)
        self.likelihood = find(trainer, Likelihood)
        self.row = {} if self.stats is None else self.stats.latest
        with session.preparing("looking at the training images"):
            if trainer.is_global_zero:
                self.look(session.dataset, module.num_classes)

    def look(self, dataset: Any, num_classes: int) -> None:
        """Reads real images: what the generated ones are compared with."""
        self.real, labels = evenly(dataset, self.num_real)
        self.real_spread = spread(self.real, labels if num_classes else None)
        distances, neighbours = nearest(self.real, self.real, same=True)
        self.between = distances.median().item()  # infinite for one image, 0 if most are alike
        self.chosen = chosen_classes(labels) if num_classes else None
        self.labels = None if self.chosen is None else self.chosen[torch.arange(self.count) % len(self.chosen)]
        enough = num_classes > 1 and len(labels) >= max(FEWEST, MEMBERS * num_classes) and self.between > 0
        self.beyond_chance = beyond_chance(labels, neighbours) if enough else math.inf

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        new = self.read_line(trainer)
        if self.interval.due_after(module) or self.evaluations() != self.counted:
            self.counted = self.evaluations()
            self.measure(trainer, module)
        elif new and (found := urgent([*self.history, self.moment(module)], self.remedies(module))):
            self.conclude(trainer, module, found)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.counted = self.evaluations()
        self.weights = self.weights or weights(module)

    def evaluations(self) -> int:
        """Those of this session, which may also be due by the clock."""
        return 0 if self.evaluation is None else self.evaluation.count

    def read_line(self, trainer: Trainer) -> bool:
        """Takes the line that the statistics have written since; whether there is one."""
        if self.stats is None or self.stats.latest is self.row:
            return False
        self.row = self.stats.latest
        self.lines.append({name: self.row[name] for name in LOGGED if math.isfinite(self.row.get(name, math.nan))})
        self.watch_speed(trainer)
        return True

    def measure(self, trainer: Trainer, module: Any) -> None:
        numbers = self.numbers(module) if trainer.is_global_zero else {}
        numbers = trainer.strategy.broadcast(numbers)
        if self.stats is not None:
            shown = {name: value for name, value in numbers.items() if name in COLUMNS}
            if self.stats.latest.get("kimg") != module.images_seen / 1000:
                self.stats.write(trainer, module)
                self.read_line(trainer)
            self.stats.add(trainer, shown)
            self.row = self.stats.latest
        moment = self.moment(module) | self.evaluated(module) | numbers
        self.history = [*self.history[:1], *self.history[1:][-KEPT:], moment]
        self.lines, self.steps, self.skipped = [], 0, sum(module.nonfinite.values())
        self.conclude(trainer, module, diagnosis(self.history, self.remedies(module)))

    def remedies(self, module: Trained) -> Remedies:
        return replace(Remedies.of(module), ends_by_itself=self.patience is not None)

    def moment(self, module: Trained) -> Moment:
        """What the training steps since the last moment have said."""
        skipped = sum(module.nonfinite.values()) - self.skipped
        found = {"kimg": module.images_seen / 1000, "steps": float(self.steps), "skipped": float(skipped)}
        for name in LOGGED:
            if values := [line[name] for line in self.lines if name in line]:
                found |= {name: median(values), f"{name}_peak": max(values)}
        return found

    def evaluated(self, module: Trained) -> Moment:
        """What the evaluation after this step says, if there was one."""
        found: Moment = {}
        if self.evaluation is not None and self.evaluation.count and self.evaluation.measured_at is None:
            found["failed"] = 1.0
        if self.evaluation is not None and self.evaluation.measured_at == module.images_seen:
            latest = self.evaluation.latest
            found["distance"] = latest[self.evaluation.evaluator.primary]
            found |= {name: latest[name] for name in ("spread_features",) if math.isfinite(latest.get(name, math.nan))}
        if self.likelihood is not None and self.likelihood.latest:
            found["bits"] = self.likelihood.latest["value"]
        return found

    def numbers(self, module: Any) -> Moment:
        """On rank 0. What fails is reported, and training continues."""
        try:
            with alone(module.device), torch.no_grad():
                images = self.grid(module)
                if images is None:
                    return {"broken": 1.0}
                found = self.of_grid(low(images)) | self.of_discriminator(module) | self.of_weights(module)
        except Exception as error:  # too little memory, ...
            log.warning("health was not measured at %g kimg: %s", module.images_seen / 1000, error)
            return {}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def grid(self, module: Any) -> Tensor | None:
        """uint8 images (count, C, H, W) of the same seeds as ever; None if they are not finite."""
        seeds = list(range(self.count))
        parts = [seeds[i : i + 64] for i in range(0, self.count, 64)]
        try:
            made = [module.generate(part, None if self.labels is None else self.labels[part]) for part in parts]
        except ValueError:
            return None
        return torch.cat(made).cpu()

    def of_grid(self, grid: Tensor) -> Moment:
        found = {"labels": self.beyond_chance}
        if math.isfinite(self.real_spread):  # not that of one image of each class
            found["real_spread"] = self.real_spread
        if self.real_spread > 1e-6:
            found["grid_spread"] = spread(grid, self.labels) / self.real_spread
            if self.before is not None and self.before.shape == grid.shape:
                change = (grid - self.before).square().sum(1).mean().sqrt().item()
                found["grid_change"] = change / self.real_spread
        if 0 < self.between < math.inf:
            found["grid_nearest"] = nearest(grid, self.real)[0].median().item() / self.between
        self.before = grid
        return found

    def of_discriminator(self, module: Any) -> Moment:
        if self.session.heldout is None or not hasattr(module, "discriminate"):
            return {}
        sides = []
        for dataset in (self.session.dataset, self.session.heldout):
            images, labels = some(dataset, 256)
            sides.append(self.at_once.of(len(images), partial(logits_of, module, images, labels)))
        return {"discriminator_gap": share_above(*sides)}

    def of_weights(self, module: Any) -> Moment:
        """How many times as large each network's weights are as at the last moment."""
        before, self.weights = self.weights, weights(module)
        return {f"growth_{name[0]}": now / before[name] for name, now in self.weights.items() if before.get(name)}

    def watch_speed(self, trainer: Trainer) -> None:
        """Says once that steps have become slower and stay so."""
        self.speeds = [*self.speeds[:10], *self.speeds[10:][-9:], self.row["images_per_second"]]
        if len(self.speeds) < 20 or not trainer.is_global_zero:
            return
        ratio = median(self.speeds[:10]) / max(median(self.speeds[10:]), 1e-9)
        if ratio > SLOW and not self.slow:
            self.say(
                f"steps take {ratio:.1f} times as long as at first: other programs on this machine, or memory; see "
                "memory_mib in stats.csv"
            )
        self.slow = ratio > SLOW

    def conclude(self, trainer: Trainer, module: Trained, finding: Finding) -> None:
        before, self.finding = self.finding, finding
        if self.finding.word != before.word and trainer.is_global_zero:
            how = "" if self.explained or "algorithm." not in self.finding.remedy else HOW
            self.explained = self.explained or bool(how)
            self.say(f"{self.finding.word} at {module.images_seen / 1000:g} kimg: {self.finding}{how}")

    def say(self, text: str) -> None:
        self.session.console.print(f"health  {text}")
        said.info(text)

    def state_dict(self) -> dict[str, Any]:
        finding = self.finding
        return {
            "history": self.history, "lines": self.lines, "skipped": self.skipped, "steps": self.steps,
            "before": self.before, "weights": self.weights, "finding": [finding.word, finding.reason, finding.remedy],
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history, self.lines, self.before = list(state["history"]), list(state["lines"]), state["before"]
        self.weights = dict(state.get("weights", {}))
        self.skipped, self.steps, self.finding = state["skipped"], state["steps"], Finding(*state["finding"])


COLUMNS = ("grid_spread", "grid_nearest", "grid_change", "discriminator_gap")


def logits_of(module: Any, images: Tensor, labels: Tensor, part: list[int]) -> Tensor:
    """What the discriminator says of some of the images."""
    logits: Tensor = module.discriminate(images[part], labels[part])
    return logits.float().cpu()


def weights(module: Any) -> dict[str, float]:
    """Root mean square of the matrices and kernels of each network that is trained, of at least 0.01: what begins with
    zeros grows without harm. Frozen ones count, for a run may thaw them."""
    found = {}
    for name in NETWORKS:
        network = getattr(module, name, None)
        if not isinstance(network, torch.nn.Module):
            continue
        chosen = [each for each in network.parameters() if each.ndim in (2, 4)]
        if count := sum(each.numel() for each in chosen):
            total = torch.stack([each.detach().float().square().sum() for each in chosen]).sum().item()
            found[name] = max((total / count) ** 0.5, 0.01)
    return found


def indices(count: int, most: int) -> list[int]:
    """Of at most so many items, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).long().tolist()


def some(dataset: Any, most: int) -> tuple[Tensor, Tensor]:
    images, labels = dataset.__getitems__(indices(len(dataset), most))
    return images, labels


def evenly(dataset: Any, most: int) -> tuple[Tensor, Tensor]:
    """At most so many images of a data set, averaged down (M, D), and their labels (M,)."""
    wanted = indices(len(dataset), most)
    rows, labels = [], []
    for i in range(0, len(wanted), 100):
        images, classes = dataset.__getitems__(wanted[i : i + 100])
        rows.append(low(images))
        labels.append(classes)
    return torch.cat(rows), torch.cat(labels)


def chosen_classes(labels: Tensor) -> Tensor:
    """At most CLASSES of the classes there are, evenly spread."""
    there = labels.unique()
    return there[indices(len(there), CLASSES)]


def alone(device: torch.device) -> Any:
    """A context whose random numbers leave no trace outside."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
