"""When and why a run stops: at its length, by a signal, at a time limit, or because nobody reads its output any more.

Signals are owned from the command's first moment to its last. Amid a step they are noted, and training stops after it:
half a step cannot be resumed exactly. Before training, and after it, they end the command at once.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from transgan.callbacks.session import Session

READER_GONE = 13  # SIGPIPE's number, also where there is no such signal
TIME_IS_UP = 1000  # no signal has this number
STEP, AFTER = "this step", "what follows a step, such as an evaluation"
LONG = 2.0  # seconds that users do not wait without a word
ALWAYS = ("SIGINT", "SIGTERM")
UNLESS_IGNORED = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")  # nohup wants to be obeyed


def numbers(names: tuple[str, ...]) -> list[int]:
    """Those of these signals that this system has."""
    return [int(getattr(signal, name)) for name in names if hasattr(signal, name)]


class Stopped(BaseException):
    """A signal that ends a command at once: no step was under way, or a second Ctrl-C did not wait for its end."""

    def __init__(self, number: int, when: str = "") -> None:
        super().__init__(f"it was stopped by signal {number}")
        self.number, self.when = number, when


class Skipped(BaseException):
    """A further Ctrl-C does not wait for what may be left out."""


class Stop(Callback):
    """Ends training after the step that reaches the run's length, or in which something asked for an end.

    `reason`: None, a signal's number, READER_GONE or TIME_IS_UP; the same on every process, known after a step. A
    second Ctrl-C does not wait for the step; of other signals a second one changes nothing: schedulers send them to
    every process, and again.
    """

    def __init__(self) -> None:
        self.reason: int | None = None
        self.asked: int | None = None  # on this process, not yet agreed upon
        self.began = self.training = self.over = self.optional = False
        self.until: float | None = None  # of time.monotonic
        self.reader_gone: Callable[[], bool] = lambda: False
        self.owner = os.getpid()
        self.previous: dict[int, Any] = {}
        self.doing = STEP  # while training
        self.took = self.since = 0.0  # seconds of the latest step, and when this one began

    def listen(self) -> None:
        """Owns the signals from now on, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in numbers(ALWAYS + UNLESS_IGNORED):
            handler = signal.getsignal(number)
            if number in numbers(ALWAYS) or handler == signal.SIG_DFL:
                self.previous[number] = handler
                signal.signal(number, self.note)

    def restore(self) -> None:
        """Gives the signals back to whom they belonged."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def note(self, number: int, frame: object) -> None:
        if os.getpid() != self.owner:  # a process that was forked has its own way to end
            return
        if self.over:
            if self.optional and number == signal.SIGINT:
                raise Skipped
            return
        if not self.training:
            raise Stopped(number)
        if number == signal.SIGINT and self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGINT and self.asked is None:
            self.answer()
        self.asked = self.asked or number

    def answer(self) -> None:
        """Says at once that Ctrl-C was heard, if its end may take longer than a moment."""
        left = self.took - (time.monotonic() - self.since)
        if self.doing == STEP and 0 < self.took and left < LONG:
            return
        when = f", about {max(left, 1):.0f} s" if self.doing == STEP and self.took else ""
        # a handler may interrupt a print: straight to the system
        os.write(2, f"\nstopping: finishing {self.doing}{when}; Ctrl-C again to stop now\n".encode())

    @contextmanager
    def skippable(self) -> Iterator[None]:
        """What is inside follows the end of training, and a further Ctrl-C leaves it out."""
        self.optional = True
        try:
            yield
        except Skipped:
            pass
        finally:
            self.optional = False

    def limit(self, seconds: float | None) -> None:
        """Ends training after so many seconds from now."""
        self.until = None if seconds is None else time.monotonic() + seconds

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        # Lightning would take SIGTERM, and talk to other processes from within its handler
        vars(trainer._signal_connector)["register_signal_handlers"] = lambda: None
        self.session = Session.of(trainer)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.began = self.training = True

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.doing, self.since = STEP, time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.doing, self.took = AFTER, time.monotonic() - self.since
        asked = self.asked or (READER_GONE if self.reader_gone() else 0)
        if not asked and self.until is not None and time.monotonic() >= self.until:
            asked = TIME_IS_UP
        if trainer.world_size > 1:  # a signal may have reached one process alone
            of_all = trainer.strategy.reduce(torch.tensor(asked, device=trainer.strategy.root_device), reduce_op="max")
            asked = int(of_all)
        self.reason = asked or None
        if asked or self.session.finished(module):
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self.training, self.over = False, self.reason is not None

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self.training = False
