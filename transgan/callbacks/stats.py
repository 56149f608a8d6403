"""stats.csv: one line per interval with the means of what the training step logged, and the speed."""

import csv
import io
import time
from pathlib import Path

import torch
from pytorch_lightning import Callback

from transgan.callbacks.interval import Interval
from transgan.files import append_text, write_text


class Stats(Callback):
    """Means over the steps since the last line that logged a value; the open sums travel in the checkpoint.

    `seconds` counts the whole run over all resumes, `images_per_second` training alone, without evaluation,
    pictures and checkpoints. After a resume, lines beyond the checkpoint are taken out: they will be written again.
    """

    reads_log_values = True

    def __init__(self, run: Path, interval: Interval):
        self.path, self.interval = Path(run) / "stats.csv", interval
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}  # steps that logged a value: the generator's loss comes in one of n_critic
        self.steps = self.images = 0  # since the last line; the images in this session alone, as `busy`
        self.before = 0.0  # seconds of earlier sessions
        self.start = self.clock = time.monotonic()
        self.busy = 0.0  # seconds of training since the last line
        self.latest: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def resume_clock(self) -> None:
        """Training goes on now: what passed since the last step was not training."""
        self.clock = time.monotonic()

    def on_train_start(self, trainer, module) -> None:
        self.start = time.monotonic()
        self.resume_clock()
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.busy += time.monotonic() - self.clock
        self.clock = time.monotonic()
        self.steps += 1
        self.images += getattr(module, "images_in_step", module.batch_size)
        for name, value in module.log_values.items():
            value = torch.as_tensor(value, dtype=torch.float64).detach()
            if name in self.sums:  # a resumed sum comes from the CPU
                value = value + self.sums[name].to(value.device)
            self.sums[name] = value
            self.counts[name] = self.counts.get(name, 0) + 1
        if self.interval.due_after(module):
            self.write(trainer, module)

    def write(self, trainer, module) -> None:
        names = list(self.sums)
        means = torch.stack([self.sums[name].cpu() / self.counts[name] for name in names])
        if trainer.world_size > 1:  # each process saw its own part of the batches
            means = trainer.strategy.reduce(means.to(module.device), reduce_op="mean").cpu()
        row = {"kimg": module.images_seen / 1000, "seconds": round(self.seconds, 3)}
        row |= dict(zip(names, means.tolist(), strict=True))
        row |= {f"skipped_{name}": count for name, count in module.nonfinite.items()}
        row["images_per_second"] = float(f"{self.images / max(self.busy, 1e-9):.4g}")  # however slow, not 0
        row["memory_mib"] = round(memory_mib(), 1)
        self.latest, self.sums, self.counts, self.steps, self.images, self.busy = row, {}, {}, 0, 0, 0.0
        if trainer.is_global_zero:
            append(self.path, row)
        if trainer.logger is not None:
            trainer.logger.log_metrics(row, step=module.images_seen)

    def state_dict(self) -> dict:
        sums = {name: value.cpu() for name, value in self.sums.items()}
        return {"sums": sums, "counts": dict(self.counts), "steps": self.steps, "seconds": self.seconds}

    def load_state_dict(self, state: dict) -> None:
        self.sums, self.steps, self.before = dict(state["sums"]), state["steps"], state["seconds"]
        self.counts = dict(state.get("counts", dict.fromkeys(self.sums, self.steps)))  # none in earlier versions


def memory_mib() -> float:
    """Largest memory so far: the GPU's if there is one, else the process's."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def append(path: Path, row: dict[str, float]) -> None:
    """Adds a line under the columns there are; one that is new stays empty in the lines before."""
    header, lines = [], []
    if path.exists():
        header, *lines = lines_of(path) or [[]]
    names = header + [name for name in row if name not in header]
    if names != header:
        more = [""] * (len(names) - len(header))
        replace(path, [names, *(line + more for line in lines)])
    append_text(path, text_of([[row.get(name, "") for name in names]]))


def text_of(lines: list[list]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(lines)
    return file.getvalue()


def lines_of(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.reader(line.replace("\0", "") for line in file))  # zeros: a disk that lost power


def replace(path: Path, lines: list[list[str]]) -> None:
    """Writes a CSV beside the file and renames it."""
    write_text(path, text_of(lines))


def keep_until(path: Path, kimg: float) -> None:
    """Takes out the lines of a CSV after `kimg`, and a last line cut off in the middle."""
    if not path.exists():
        return
    header, *rows = lines_of(path) or [[]]
    kept = [row for row in rows if len(row) == len(header) and not row[0].isalpha() and float(row[0]) <= kimg]
    replace(path, [header, *kept] if kept else [])
