"""Progress: a bar with the numbers under it in a terminal, plain lines elsewhere."""

import math
import sys
import time
from typing import Any

from pytorch_lightning import Callback, Trainer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from transgan.callbacks.evaluation import Evaluation
from transgan.callbacks.health import Health
from transgan.callbacks.likelihood import Likelihood
from transgan.callbacks.session import Session, Trained, find
from transgan.callbacks.stats import Stats
from transgan.numerals import number

WARM, SOON = 2, 10.0  # the first speed is shown after so many steps, or seconds
OF_IMAGES = ("mesh", "spread")  # shown beside the primary number: 1 is as in real images


def clock(seconds: float) -> str:
    seconds = round(seconds)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds % 60:02d}s"


def images_at_once(module: Any) -> int | None:
    """Of a process, through the networks; None for all of a batch."""
    return getattr(getattr(module, "parts", None), "size", None)


class ProgressLine(Callback):
    """kimg, images per second, time left with what callbacks take, losses, logits, the latest metrics and the best.

    What it shows comes from `Stats`, `Evaluation` and `Likelihood`, as far as the run has them. Where it cannot draw a
    bar, a line is printed every so many seconds, and after every evaluation.
    """

    def __init__(self, every_seconds: float = 10.0) -> None:
        self.every = every_seconds
        self.printed = -every_seconds
        self.shown: dict[str, float] | None = None
        self.first: dict[str, float] = {}
        self.steps = 0
        self.begun: int | None = None  # images shown when this session began
        self.beside = 0.0  # seconds of callbacks before its first step
        self.bar: Progress | None = None
        self.stats: Stats | None = None
        self.evaluation: Evaluation | None = None
        self.likelihood: Likelihood | None = None
        self.health: Health | None = None

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = Session.of(trainer)
        self.total, self.console = self.session.kimg, self.session.console
        self.stats, self.evaluation = find(trainer, Stats), find(trainer, Evaluation)
        self.likelihood, self.health = find(trainer, Likelihood), find(trainer, Health)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.begun, self.beside = module.images_seen, self.beside_training()
        self.at_once = images_at_once(module)
        if trainer.is_global_zero and sys.stdout.isatty():
            self.bar = Progress(
                TextColumn("kimg {task.fields[kimg]}"), BarColumn(20), TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[speed]}"), console=self.console,
            )  # fmt: skip
            self.task = self.bar.add_task("", total=1000 * self.total, kimg="0", speed="")
            self.under = Text(no_wrap=False)
            self.live = Live(Group(self.bar, self.under), console=self.console, refresh_per_second=4)
            self.live.start()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        self.say_parts(module)
        row = self.row(module)
        if not trainer.is_global_zero or not row:
            return
        kimg = f"{module.images_seen / 1000:.1f}/{self.total:g}"
        if self.bar is not None:
            self.bar.update(self.task, completed=module.images_seen, kimg=kimg, speed=self.speed(module, row))
            self.under.plain = self.numbers(module, row)
        elif row is not self.shown and (self.news(module) or time.monotonic() - self.printed >= self.every):
            self.printed, self.shown = time.monotonic(), row
            self.console.print(f"kimg {kimg:>11}  {self.speed(module, row)} | {self.numbers(module, row)}".rstrip(" |"))

    def say_parts(self, module: Any) -> None:
        """That fewer images go through the networks at once since this step, because memory was lacking."""
        if (size := images_at_once(module)) != self.at_once:
            self.at_once = size
            self.console.print(
                f"memory  not all images of a step fit at once: from here on {size} do, and gradients are summed up; "
                f"micro_batch={size} begins like this"
            )

    def row(self, module: Trained) -> dict[str, float]:
        """The latest statistics; the speed alone where the run keeps none."""
        if self.stats is not None:
            if self.stats.latest:
                return self.stats.latest
            warm = self.steps > WARM or self.session.clock.training > SOON
            self.first = self.first or (self.measured(module) if warm else {})
            return self.first  # until there is a line of statistics
        return self.measured(module)

    def measured(self, module: Trained) -> dict[str, float]:
        """The speed of this session."""
        return {"images_per_second": (module.images_seen - (self.begun or 0)) / max(self.session.clock.training, 1e-9)}

    def news(self, module: Trained) -> bool:
        return self.evaluation is not None and self.evaluation.interval.due_after(module)

    def speed(self, module: Trained, row: dict[str, float]) -> str:
        left, speed = max(0.0, self.total - module.images_seen / 1000), row["images_per_second"]
        said = f"{speed:.0f} img/s" if speed >= 10 else f"{number(speed, 2)} img/s"
        if not speed > 0 or math.isinf(left):
            return f"{said}  eta unknown"
        # of the session so far: a moment's speed changes with what else the machine does
        average = self.measured(module)["images_per_second"] if self.begun is not None else 0.0
        eta = 1000 * left / (average or speed)
        if self.evaluation is not None:  # the best is measured once more
            eta += self.evaluation.took * (self.evaluation.interval.left(module.images_seen) + 1)
        if self.begun is not None and (shown := module.images_seen - self.begun) > 0:
            eta += (self.beside_training() - self.beside) * 1000 * left / shown
        return f"{said}  eta {clock(eta)}"

    def beside_training(self) -> float:
        """Seconds of this session that callbacks have taken: grids, health and all others but evaluations."""
        clock = self.session.clock
        spent = 0.0 if self.evaluation is None else self.evaluation.spent
        return clock.seconds - clock.before - clock.training - spent

    def numbers(self, module: Trained, row: dict[str, float]) -> str:
        shown = (
            ("G", "loss_g", 2), ("D", "loss_d", 2), ("D(real)", "d_real", 2), ("D(fake)", "d_fake", 2),
            ("bits/dim", "bits_per_dim", 3), ("loss", "loss", 3),
        )  # fmt: skip
        parts = [" ".join(f"{name} {row[key]:.{digits}f}" for name, key, digits in shown if key in row)]
        if self.likelihood is not None and self.likelihood.latest and self.likelihood.best:
            last, best = self.likelihood.latest, self.likelihood.best
            parts.append(f"held out {last['value']:.3f} (best {best['value']:.3f} @ {best['kimg']:g})")
        if self.evaluation is not None and self.evaluation.best:
            name, best = self.evaluation.evaluator.primary, self.evaluation.best
            latest = self.evaluation.latest
            parts.append(f"{name} {number(latest[name])} (best {number(best['value'])} @ {best['kimg']:g})")
            if of_images := [f"{key} {latest[key]:.2f}" for key in OF_IMAGES if key in latest]:
                parts.append(" ".join(of_images))
        if self.health is not None:
            parts.append(self.health.finding.word)
        if skipped := sum(module.nonfinite.values()):
            parts.append(f"skipped {skipped} non-finite steps")
        return " | ".join(part for part in parts if part)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self.close()

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.live.stop()
            self.bar = None
