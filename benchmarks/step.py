"""What a training step costs, and its parts, as CPU-seconds: `python benchmarks/step.py [overrides of transgan train]`.

    python benchmarks/step.py resolution=32 channels=3 batch_size=16 penalty=r1_r2_part
    python benchmarks/step.py --against main experiment=cifar10_tiny        # the ratio to another revision
    python benchmarks/step.py --against . --with compile=inductor batch_size=16     # ... or of one key

A step is all that `transgan train` does from one batch to the next, callbacks and Lightning included, on random images
of ten classes. With `--against REV` a second process trains with the code of that revision (a worktree of it, in a
temporary folder; `.` is this tree again), and the two take turns: the ratio of the medians is what other load on the
machine hardly changes. `--with KEY=VALUE` is for this tree alone. The parts are measured afterwards, in turns of their
own: every part is what it takes itself, without the parts inside it, and their sum is the step.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve()
QUIET = ["metrics=none", "~callbacks.samples", "kimg=1000000", "checkpoint_every=1000000", "trainer=cpu"]

# What is timed: (place, attribute, name of the part). A revision need not have all of them.
PARTS = [
    ("transgan.training.adversarial.Adversarial", "training_step", "training step, the rest"),
    ("transgan.training.adversarial.Adversarial", "discriminator_step", "D step, the rest"),
    ("transgan.training.adversarial.Adversarial", "generator_step", "G step, the rest"),
    ("transgan.training.adversarial.Adversarial", "scheduled", "schedules"),
    ("transgan.training.adversarial.Adversarial", "scalar", "schedules"),
    ("transgan.training.adversarial.Adversarial", "end_step", "logging"),
    ("transgan.training.adversarial", "update_ema", "EMA"),
    ("transgan.training.generative.Generative", "step_optimizer", "clip, finite, Lightning's optimizer"),
    ("transgan.training.generative.Generative", "manual_backward", "backward"),
    ("torch.optim.adam.Adam", "step", "Adam"),
    ("torch.optim.adam.Adam", "zero_grad", "Adam"),
    ("transgan.training.randomness.StepRNG", "normal", "random numbers"),
    ("transgan.training.randomness.StepRNG", "uniform", "random numbers"),
    ("transgan.training.randomness.StepRNG", "__init__", "random numbers"),
    ("transgan.penalties.exact", "input_gradient", "input gradient"),
    ("transgan.callbacks.Stats", "on_train_batch_end", "stats.csv"),
    ("transgan.callbacks.ProgressLine", "on_train_batch_end", "progress line"),
]
OBJECTS = [("generator", "G forward"), ("discriminator", "D forward")]  # networks of the module
STEPS = {"discriminator_step": "D step: ", "generator_step": "G step: "}


class Parts:
    """CPU-seconds by part, each without those that are called within it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.stack: list[str] = []
        self.on = False
        self.since = 0.0
        self.step = ""

    def switch(self) -> None:
        """Gives the time since the last switch to the part that is under way."""
        now = time.process_time()
        if self.stack:
            self.spent[self.stack[-1]] += now - self.since
        self.since = now

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, attribute)

        def timed(*arguments: Any, **keys: Any) -> Any:
            if not self.on:
                return inner(*arguments, **keys)
            self.switch()
            before, self.step = self.step, STEPS.get(attribute, self.step)
            self.stack.append(name if name.endswith("the rest") else self.step + name)
            try:
                return inner(*arguments, **keys)
            finally:
                self.switch()
                self.stack.pop()
                self.step = before

        timed.__dict__.update(getattr(inner, "__dict__", {}))  # such as torch's marks of optimizers
        setattr(owner, attribute, timed)


def place(path: str) -> Any:
    """A module or a class by its full name; None where this revision has none."""
    from importlib import import_module

    with contextlib.suppress(ImportError):
        return import_module(path)
    module, name = path.rsplit(".", 1)
    with contextlib.suppress(ImportError):
        return getattr(import_module(module), name, None)
    return None


def worker(arguments: list[str]) -> None:
    """Trains, and runs as many steps as a line of its input says; answers with their CPU-seconds, and the parts'."""
    answers = os.fdopen(os.dup(1), "w")
    from transgan.callbacks.stopping import Stop
    from transgan.config.compose import compose
    from transgan.runs.training import Training
    from transgan.training.generative import Generative

    parts = Parts()
    spent: list[float] = []
    left, begun = 0, 0.0

    def begin(module: Generative, batch: Any, batch_idx: int) -> None:
        nonlocal left, begun
        parts.switch()
        parts.stack.clear()
        if spent or left:
            spent.append(time.process_time() - begun)
            left -= 1
        if left == 0:
            answers.write(json.dumps({"steps": spent, "parts": parts.spent}) + "\n")
            answers.flush()
            line = sys.stdin.readline().split()
            if not line:
                os._exit(0)
            left, parts.on = int(line[0]), line[1] == "parts"
            spent.clear()
            parts.spent.clear()
        if parts.on:
            parts.stack.append("Lightning, data")
            parts.since = time.process_time()
        begun = time.process_time()

    config = compose("train", arguments)
    compiled = bool(config.compile)  # what lies inside the compiled objectives is not timed by itself

    def start(module: Generative) -> None:
        if compiled:
            return
        for name, label in OBJECTS:
            parts.wrap(getattr(module, name), "forward", label)
        parts.wrap(type(module.augmentation), "__call__", "augmentation")

    hooks: Any = Generative
    hooks.on_train_batch_start, hooks.on_fit_start = begin, start
    for path, attribute, label in PARTS:
        inside = path.startswith("transgan.penalties")
        if hasattr(owner := place(path), attribute) and not (inside and compiled):
            parts.wrap(owner, attribute, label)
    with contextlib.redirect_stdout(io.StringIO()):
        Training(config, arguments, Stop()).run()


class Turns:
    """A worker that trains with the code of `tree`."""

    def __init__(self, tree: Path, folder: Path, arguments: list[str]):
        environment = os.environ | {"PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "passive"}
        command = [sys.executable, str(HERE), "--worker", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder)
        self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the worker ended; its error stands above")
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, steps: int, parts: bool = False) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps} {'parts' if parts else 'steps'}\n")
        self.process.stdin.flush()
        return self.read()


@contextlib.contextmanager
def revision(name: str) -> Iterator[Path]:
    """A folder with the code of a revision."""
    if name == ".":
        yield HERE.parents[1]
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "worktree", "add", "-q", "--detach", folder, name], cwd=HERE.parent, check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=HERE.parent, check=True)


def write_images(path: Path, side: int, channels: int, count: int = 256) -> None:
    """A zip of random images in ten classes."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(count):
            pixels = rng.integers(0, 256, (side, side, channels), dtype=np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels.squeeze()).save(data, "png")
            archive.writestr(f"{i % 10}/{i}.png", data.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--against", metavar="REV")
    parser.add_argument("--with", dest="more", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="of a turn")
    parser.add_argument("--warmup", type=int, default=3)
    options = parser.parse_args()
    from transgan.config.compose import compose

    config = compose("train", options.overrides)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_images(folder / "images.zip", config.resolution, config.channels)
        arguments = [*options.overrides, *QUIET, "data=zip", f"data.path={folder}/images.zip"]
        trees = {"this": (HERE.parents[1], options.more)}
        if options.against:
            trees["other"] = (stack.enter_context(revision(options.against)), [])
        workers = {}
        for name, (tree, more) in trees.items():
            workers[name] = Turns(tree, folder, [*arguments, *more, f"runs={folder}/runs", f"name={name}"])
            stack.callback(workers[name].process.kill)
            workers[name].run(options.warmup)
        times: dict[str, list[float]] = {name: [] for name in workers}
        parts: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
        for wanted in (False, True):
            for _ in range(options.turns):
                for name, each in workers.items():
                    answer = each.run(options.steps, wanted)
                    if wanted:
                        parts[name].append({part: s / options.steps for part, s in answer["parts"].items()})
                    else:
                        times[name] += answer["steps"]
        report(times, parts, options.against)


def report(times: dict[str, list[float]], parts: dict[str, list[dict[str, float]]], against: str | None) -> None:
    """Milliseconds of CPU time: medians over steps, and over turns for the parts."""
    step = {name: 1000 * median(each) for name, each in times.items()}
    found: dict[str, dict[str, float]] = {}
    for name, turns in parts.items():
        each = {part for turn in turns for part in turn}
        found[name] = {part: 1000 * median(turn.get(part, 0.0) for turn in turns) for part in each}
    heading = f"{'CPU-ms':44s}{'this':>9s}" + (f"{against:>12.11s}{'ratio':>8s}" if against else "")
    print(heading)
    rows = sorted({part for each in found.values() for part in each}, key=lambda part: -found["this"].get(part, 0.0))
    for row in [None, *rows]:
        values = [step[name] if row is None else found[name].get(row, 0.0) for name in times]
        ratio = f"{values[0] / values[1]:8.2f}" if against and values[1] else ""
        print(f"{row or 'a step':44s}{values[0]:9.2f}" + "".join(f"{value:12.2f}" for value in values[1:]) + ratio)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2:])
    else:
        main()
