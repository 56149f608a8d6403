"""stats.csv: one line per interval with the means of what the training step logged, and the speed."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from transgan import files
from transgan.callbacks.interval import Interval
from transgan.callbacks.session import Session, Trained
from transgan.callbacks.tracking import TRAIN, log_numbers


class Stats(Callback):
    """Means over the steps since the last line that logged a value; the open sums are part of the checkpoint.

    `seconds` counts the entire run over all of its sessions, `images_per_second` training alone, without what callbacks
    do; `images_per_cpu_second`, of one process on a CPU, the time that its threads took there. After a resume, lines
    beyond the checkpoint are removed: they will be written again.
    """

    reads_log_values = True

    def __init__(self, every_kimg: float) -> None:
        self.interval = Interval(every_kimg)
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}  # steps that logged a value: the generator's loss comes in one of n_critic
        self.steps = self.images = 0  # since the last line; the images in this session alone
        self.counted = self.counted_cpu = 0.0  # seconds of training in this session that earlier lines have counted
        self.latest: dict[str, float] = {}

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = Session.of(trainer)
        self.path = self.session.folder / "stats.csv"
        self.interval = Interval(self.interval.kimg, self.session.kimg)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            keep_until(self.path, module.images_seen / 1000)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        self.images += module.images_in_step
        for name, value in module.log_values.items():
            value = torch.as_tensor(value, dtype=torch.float64).detach()
            if name in self.sums:  # a resumed sum comes from the CPU
                value = value + self.sums[name].to(value.device)
            self.sums[name] = value
            self.counts[name] = self.counts.get(name, 0) + 1
        if self.interval.due_after(module):
            self.write(trainer, module)

    def write(self, trainer: Trainer, module: Trained) -> None:
        names = list(self.sums)
        means = torch.stack([self.sums[name].cpu() / self.counts[name] for name in names])
        if trainer.world_size > 1:  # each process saw its own part of the batches
            means = trainer.strategy.reduce(means.to(module.device), reduce_op="mean").cpu()
        clock = self.session.clock
        row = {"kimg": module.images_seen / 1000, "seconds": round(clock.seconds, 3)}
        row |= dict(zip(names, means.tolist(), strict=True))
        row |= {f"skipped_{name}": count for name, count in module.nonfinite.items()}
        taken = max(clock.training - self.counted, 1e-9)
        row["images_per_second"] = float(f"{self.images / taken:.4g}")  # however slow, not 0
        if module.device.type == "cpu" and trainer.world_size == 1:
            taken = max(clock.training_cpu - self.counted_cpu, 1e-9)
            row["images_per_cpu_second"] = float(f"{self.images / taken:.4g}")
        row["memory_mib"] = round(memory_mib(), 1)
        self.latest, self.sums, self.counts, self.steps, self.images = row, {}, {}, 0, 0
        self.counted, self.counted_cpu = clock.training, clock.training_cpu
        if trainer.is_global_zero:
            append(self.path, row)
        log_numbers(trainer, TRAIN, row, module.images_seen)

    def add(self, trainer: Trainer, numbers: dict[str, float]) -> None:
        """Adds numbers to the latest line, after whose step they were measured; to be called on every process."""
        self.latest = self.latest | numbers
        if trainer.is_global_zero:
            append(self.path, self.latest, again=True)
        log_numbers(trainer, TRAIN, numbers, round(1000 * self.latest["kimg"]))

    def state_dict(self) -> dict[str, Any]:
        sums = {name: value.cpu() for name, value in self.sums.items()}
        return {"sums": sums, "counts": dict(self.counts), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.steps = dict(state["sums"]), state["steps"]
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


def append(path: Path, row: dict[str, float], again: bool = False) -> None:
    """Adds a line under the columns there are, or with `again` writes it in place of the last one; a column that is new
    stays empty in the lines before."""
    header, *lines = files.read_csv(path) or [[]]
    names = header + [name for name in row if name not in header]
    line = [row.get(name, "") for name in names]
    more = [""] * (len(names) - len(header))
    if again:
        files.write_csv(path, [names, *(each + more for each in lines[:-1]), line])
        return
    if names != header:
        files.write_csv(path, [names, *(each + more for each in lines)])
    files.append_csv(path, [line])


def keep_until(path: Path, kimg: float) -> None:
    """Removes the lines of a CSV after `kimg`, and a last line that is incomplete."""
    if not path.exists():
        return
    header, *rows = files.read_csv(path) or [[]]
    kept = [row for row in rows if len(row) == len(header) and not row[0].isalpha() and float(row[0]) <= kimg]
    files.write_csv(path, [header, *kept] if kept else [])
