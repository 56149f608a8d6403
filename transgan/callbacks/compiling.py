"""Whether compiling the training step earns its minutes: predicted, announced, and with compile=auto decided.

What compiling took and what it brought is remembered in the cache folder, as are its kernels (torch's own cache): a
second start of the same networks is quick, and its prediction a measurement.
"""

import os
from statistics import median
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from transgan import files
from transgan.callbacks.session import Session
from transgan.errors import UserError, one_line
from transgan.numerals import number

STEPS = 12  # at the start of a session, of which the last half are measured
WARM = 6  # steps after compiling before the first is measured
# Guesses where nothing was measured. On a CPU, a pair of networks of 78 tensors took 177 s, and 15 s the second time.
RATIO = {"cpu": 0.75, "cuda": 0.5}  # of a compiled step's time to an eager one's
TENSOR = 2.3  # seconds of compiling for each parameter tensor of the networks
AGAIN = 0.1  # of the seconds, where the kernels are in the cache
WORTH = 0.1  # of the time that is left, at least


class Compiling(Callback):
    """Compiles what `module.objectives` names after the first steps, if that pays and `backend` is "auto".

    With another backend the module is compiled from its start, and with None it is not; then a note says if it would
    have been worth it.

    Args:
        backend: compile= of the run.
        described: what the compiled graphs depend on, a plain container: its hash names what is remembered.
    """

    def __init__(self, backend: str | None, described: Any) -> None:
        self.backend = backend
        self.key = files.hash_of(repr((described, torch.__version__, torch.get_num_threads())))[:16]
        self.times: list[float] = []  # seconds of each step of this session, until all is known
        self.compiled_at: int | None = None  # after so many of them
        self.done = False

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        self.session = Session.of(trainer)
        if self.backend is not None:
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(files.cache_folder("inductor")))

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.mark = 0.0
        kind = module.device.type
        if not module.objectives:
            self.done = True
            if self.backend == "auto":
                self.say("nothing of this algorithm is compiled")
        elif self.backend == "auto" and kind not in RATIO:
            self.done = True
            self.say(f"compile=auto leaves the step as it is: nothing is known of {kind}")
        elif self.backend not in (None, "auto"):
            self.compiled_at = 0
            if why := self.unable(trainer, module, self.backend):
                error = UserError(f"compile={self.backend} does not work on this machine: {why}; leave it out")
                error.everywhere, error.said = True, not self.session.context.is_main
                raise error
            self.say(f"{self.backend}, in about {minutes(self.seconds(module))} before the second step")

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.done:
            return
        now = self.session.clock.training
        self.times.append(now - self.mark)
        self.mark = now
        if self.compiled_at is None:
            if len(self.times) == STEPS:
                self.decide(trainer, module)
        elif len(self.times) == self.compiled_at + WARM + STEPS // 2:
            self.remember()
            self.done = True

    def decide(self, trainer: Trainer, module: Any) -> None:
        step = median(self.times[STEPS // 2 :])
        left = (1000 * self.session.kimg - module.images_seen) / module.images_in_step
        seconds, ratio = self.seconds(module), self.remembered().get("ratio", RATIO.get(module.device.type, 1.0))
        eager, compiled = step * left, seconds + step * ratio * left
        worth = trainer.strategy.broadcast(compiled < (1 - WORTH) * eager)  # the same in every process
        says = f"{left:,.0f} steps of {number(step)} s are {minutes(eager)}, or {minutes(compiled)} with "
        says += f"{minutes(seconds)} to compile"
        if worth and self.backend == "auto" and (why := self.unable(trainer, module, "inductor")):
            worth, says = False, f"{says}, but no step can be compiled on this machine: {why}"
        self.done = not worth or self.backend is None
        if self.backend == "auto":
            self.say(f"{'inductor' if worth else 'not'}: {says}")
            if worth:
                self.compiled_at = len(self.times)
                module.compile_objectives("inductor")
        elif worth:
            self.say(f"{says}: compile=auto would")

    def unable(self, trainer: Trainer, module: Any, backend: str) -> str | None:
        """Why nothing can be compiled here, as without a C++ compiler; None where all processes can."""
        why = None
        try:
            torch.compile(shifted, backend=backend)(torch.ones(8, device=module.device))
        except Exception as error:  # of many kinds: every backend has its own
            why = one_line(error)
        if trainer.strategy.reduce_boolean_decision(why is None, all=True):
            return None
        return why or "another process cannot"

    def seconds(self, module: Any) -> float:
        """Of compiling: as it took the last time, or an estimate."""
        known = self.remembered()
        if "again" in known:
            return float(known["again"])
        tensors = sum(1 for name in module.networks for _ in getattr(module, name).parameters())
        return float(AGAIN * known["seconds"]) if "seconds" in known else TENSOR * tensors

    @property
    def path(self) -> Any:
        return files.cache_folder("compiled", f"{self.key}.json")

    def remembered(self) -> dict[str, float]:
        try:
            found: dict[str, float] = files.read_json(self.path)
            return {name: float(found[name]) for name in ("seconds", "again", "ratio") if name in found}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def remember(self) -> None:
        """What compiling took in the steps after it, and the ratio of a step before and after, if both are known."""
        assert self.compiled_at is not None
        known, before = self.remembered(), self.times[: self.compiled_at]
        after = self.times[self.compiled_at :]
        step = median(after[WARM:])
        known["again" if "seconds" in known else "seconds"] = sum(after[:WARM]) - WARM * step
        if before:
            known["ratio"] = step / median(before[len(before) // 2 :])
            self.say(f"a step takes {number(step)} s now, {known['ratio']:.2f} of before")
        if self.session.context.is_main:
            try:
                files.write_json(self.path, known)
            except OSError:
                pass  # it will be estimated again

    def say(self, text: str) -> None:
        self.session.console.print(f"compile {text}")


def shifted(x: torch.Tensor) -> torch.Tensor:
    """The smallest thing to compile."""
    return x.sin() + 1


def minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
