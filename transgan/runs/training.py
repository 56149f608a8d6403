"""A run of `transgan train`, from its configuration to its end.

The Trainer comes first: it knows rank and device. Rank 0 alone touches the run folder, and holds its lock.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

import torch
from omegaconf import DictConfig
from pytorch_lightning import Trainer

from transgan import checkpoint, warm_start
from transgan.callbacks import Compiling, Patience, Session, Stop, find
from transgan.callbacks.patience import TRAIN_ON, sentence
from transgan.callbacks.remedies import Remedies
from transgan.callbacks.stopping import Stopped
from transgan.data import ImageData
from transgan.errors import UserError, one_line, setting_up
from transgan.instantiation import container, make
from transgan.launched import launched, left_alone
from transgan.runs.beginning import count, nothing_left, say_data, say_heldout, say_plan, sizes
from transgan.runs.begun_with import facts, remarks, settled
from transgan.runs.callbacks import callbacks_of
from transgan.runs.choosing import choose_again, choose_length, say_cost
from transgan.runs.continuing import keep_settings, require_same, said
from transgan.runs.distributed import DistributedContext
from transgan.runs.ending import report
from transgan.runs.findings import check, require_penalty, without_effect
from transgan.runs.folder import (
    folder_of,
    hush,
    keep_log,
    open_console,
    require_space,
    say_version,
    write_description,
)
from transgan.runs.images import training_data
from transgan.runs.lock import CANNOT, Lock
from transgan.runs.loggers import open_logger
from transgan.runs.machine import require_memory
from transgan.runs.memory import keep_freed_memory
from transgan.runs.planned import Plan, show
from transgan.runs.resuming import jumps, keep_order, settle
from transgan.runs.stopping import kept, raise_as_users, say_stopped, whether_saved
from transgan.runs.timed import recorded
from transgan.runs.trainer import seconds_of, trainer_of
from transgan.training.finite import NonFiniteTraining
from transgan.training.generative import Generative

LARGE = 40 * 2**20  # bytes of networks on a CPU, from which on a step is counted before it is made: it might fill it


class Training:
    """Trains or continues the run `runs/name`. `run()` returns the exit code."""

    def __init__(self, config: DictConfig, arguments: list[str], stop: Stop, plan: Plan | None = None) -> None:
        self.config, self.arguments, self.stop, self.plan = config, arguments, stop, plan or Plan()
        self.folder = folder_of(config)
        self.last = self.folder / "checkpoints" / "last.ckpt"
        self.previous: dict[str, Any] | None = None  # the checkpoint to continue from

    def run(self) -> int:
        with setting_up("runs=PATH"):
            self.trainer, limit = self.make_trainer()
        self.console = open_console(self.trainer.is_global_zero)
        self.stop.reader_gone = lambda: bool(getattr(self.console.file, "gone", None))
        with closing(Lock(self.folder)) as lock:
            if self.trainer.is_global_zero and not launched().outside:
                with setting_up("runs=PATH"):
                    lock.acquire()  # before other processes are started
            arguments = ["train", *self.arguments]
            with DistributedContext(self.trainer, arguments, lambda: f"; {kept(self.folder)}") as self.context:
                if launched().outside:
                    say_version(self.console, self.config)
                with self.context.together(), setting_up("runs=PATH"):
                    if self.context.is_main:
                        lock.acquire()
                    for note in (lock.unable and CANNOT.format(lock.unable), left_alone()):
                        if note:
                            self.console.print(f"note    {note}")
                    unfinished = self.prepare(lock)
                return self.fit(limit) if unfinished else 0

    def make_trainer(self) -> tuple[Trainer, float | None]:
        """-> (the Trainer, seconds after which this start of the run ends, or None)"""
        config = self.config
        self.kept = keep_settings(config, self.arguments, self.last)
        check(config)
        hush()
        settings = container(config.trainer)
        limit = seconds_of(settings.pop("max_time", None))
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        keep_freed_memory()
        trainer = trainer_of(
            settings, self.arguments, config.compile, [checkpoint.AtomicCheckpointIO()], precision=config.precision,
            logger=False, max_epochs=-1, max_steps=-1, use_distributed_sampler=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            default_root_dir=str(self.folder),
            # an evaluation is a validation: EarlyStopping and ModelCheckpoint look after each
            check_val_every_n_epoch=None, val_check_interval=1,
        )  # fmt: skip
        if config.batch_size % trainer.world_size:
            raise ValueError(
                f"batch_size={config.batch_size} cannot be shared by {trainer.world_size} processes; make it a multiple"
            )
        return trainer, limit

    def prepare(self, lock: Lock) -> bool:
        """Makes data and module, and describes the run in its folder. False for a run that is finished."""
        config, console = self.config, self.console
        previous = self.previous = checkpoint.read(self.last) if self.last.exists() else None
        if previous is not None:
            keep_order(config, previous)
        show(console, self.plan.choices)
        if self.plan.note:
            console.print(f"note    {self.plan.note}")
        with self.context.together(), setting_up("runs=PATH"):  # before one waits for what another one has chosen
            self.dataset, self.heldout = training_data(config)
        say_data(console, config, self.dataset, self.heldout, is_new=previous is None)
        if previous is None:
            again = choose_again(self.plan, config, self.arguments, self.dataset, self.context)
            config, self.arguments, changed = again
            self.config = config
            show(console, changed, first="instead")
        settle(config, self.dataset)
        source = settled(config, self.arguments, previous, [] if previous else without_effect(config, self.arguments))
        self.begun_with = facts(source) if source else (previous or {}).get("begun_with")
        for each in remarks(source, config, self.dataset) if source else ():
            console.print(f"note    {each}")
        if previous is not None:
            require_same(config, self.arguments, previous, self.dataset, self.folder)
            if self.kept:
                console.print(f"plan    {said(self.kept)}")
            if done := nothing_left(config, self.folder, previous):
                console.print(done)
                return False
        # the weights and their EMA; on a CPU also the gradients and Adam's two moments
        on_cpu = self.context.device.type == "cpu"
        size = require_memory(checkpoint.without_weights(container(config)), 5 if on_cpu else 2)
        if previous is None and (self.plan.left or config.dry_run or on_cpu and size > LARGE):
            self.choose()
        if config.dry_run:
            if previous is not None:
                console.print(f"plan    it goes on from {previous['images_seen'] / 1000:g} to {config.kimg:g} kimg")
            return False
        self.resolved = container(config)
        if previous is not None and (jump := jumps(previous, self.resolved)):
            console.print(f"plan    {jump}")
        self.module = self.make_module(source)
        if self.context.is_main:
            # the EMA weights, and of every network the weights and Adam's two moments
            require_space(self.folder, 4 * (count(self.module.ema) + 3 * sum(sizes(self.module).values())))
            if lock.unwritable is not None:
                raise lock.unwritable
            keep_log(self.folder / "log.txt")
            write_description(self.folder, self.resolved, recorded(self.arguments))
        return True

    def choose(self) -> None:
        """What depends on the time and the memory of a step."""
        config, console = self.config, self.console
        with self.context.together(), setting_up("runs=PATH"):  # all have come so far: a step waits for all of them
            if self.previous is None and config.init_from is not None:  # measuring takes seconds
                path = checkpoint.find(config.init_from)
                module = cast(Generative, checkpoint.build(checkpoint.without_weights(container(config))))
                checkpoint.require_fitting(module, checkpoint.read(path), path)
                del module
        with console.status("measuring a step"):
            choices, cost = choose_length(self.plan, self.config, self.dataset, self.heldout, self.context)
        self.plan.choices += choices
        self.arguments = [*(each.argument for each in choices), *self.arguments]
        show(console, choices)
        say_cost(console, cost)

    def make_module(self, source: Any) -> Generative:
        """The module with its first weights; a checkpoint's take their place when training starts."""
        config, resolved = self.config, self.resolved
        torch.manual_seed(config.seed)
        used = resolved if self.previous is None else checkpoint.without_weights(resolved)
        module = cast(Generative, checkpoint.build(used))
        require_penalty(module, config.batch_size, self.trainer.world_size)
        if self.previous is None and config.init_from is not None:
            path = checkpoint.find(config.init_from)
            checkpoint.load_weights(module, checkpoint.read(path), path)
            self.console.print(f"start   from the weights of {path}")
        if source is not None:
            self.console.print("\n".join(warm_start.begin(source, module)))
        module.attach(self.dataset, self.heldout)
        return module

    def fit(self, limit: float | None) -> int:
        config, module = self.config, self.module
        with self.context.together(), setting_up("runs=PATH"):
            session = self.session()
            callbacks = callbacks_of(config, session, module)
            compiling = Compiling(
                config.compile, [self.resolved[key] for key in ("algorithm", "precision", "resolution")]
            )
            vars(self.trainer)["callbacks"] += session.around([self.stop, compiling, *callbacks])
            open_logger(config, self.trainer, session, self.console)
            data = ImageData(self.dataset, config.batch_size, config.seed, config.num_workers)
            say_plan(self.console, config, module, len(self.dataset), self.previous)
        self.stop.limit(limit)
        try:
            self.trainer.fit(module, data, ckpt_path=str(self.last) if self.previous else None)
        except NonFiniteTraining as error:
            way = Remedies.of(module).finite()
            reason = f"training stopped: {error}; {kept(self.folder)}. {way[:1].upper()}{way[1:]}"
            end = UserError(reason)
            end.everywhere, end.said = True, not self.context.is_main  # every process has the same gradient
            raise end from error
        except (KeyboardInterrupt, SystemExit):
            if self.stop.asked is None:
                raise
            # Lightning exits with 1 when the second Ctrl-C does not wait for the end of the step
            raise Stopped(self.stop.asked, "amid a step") from None
        except UserError:
            raise
        except Exception as error:
            raise_as_users(error, config, module, self.folder)
        return self.end(session)

    def session(self) -> Session:
        config, evaluator, heldout = self.config, None, self.heldout
        if config.get("metrics"):
            evaluator = make(config.metrics)
            if evaluator.with_heldout and heldout is None:
                heldout = self.dataset.heldout()
                if heldout is not None:
                    say_heldout(self.console, heldout, len(heldout.skipped))
        return Session(
            self.folder, config.kimg, self.dataset, heldout, evaluator, self.console, self.context,
            facts={
                "config": {key: part for key, part in self.resolved.items() if key != "callbacks"},
                "arguments": recorded(self.arguments),
                "chosen": {"arguments": self.plan.arguments, "minutes": self.plan.minutes},
                "watched_by": self.resolved.get("callbacks"),  # never made from a checkpoint, which may name any class
                "data": self.dataset.fingerprint, "class_names": list(self.dataset.class_names),
                "begun_with": self.begun_with,
            },
            preparing=self.preparing,
        )  # fmt: skip

    @contextmanager
    def preparing(self, text: str) -> Iterator[None]:
        """What fails inside on one process fails on all of them, as a user's mistake."""
        with self.context.together(), setting_up(), self.console.status(text):
            yield

    def end(self, session: Session) -> int:
        """What is reported when training has ended without an error. Returns the exit code."""
        finished, shown = session.finished(self.module), self.module.images_seen / 1000
        saved = whether_saved(self.trainer, self.module)
        if self.stop.reason is not None and not finished:
            return say_stopped(self.stop.reason, self.module, saved, self.console) if self.context.is_main else 0
        patience = find(self.trainer, Patience)
        if not finished and patience is not None and (why := sentence(patience.state_dict(), patience.patience)):
            self.console.print(f"stopped at {shown:g} kimg {saved.partition(';')[0]}: {why}. {TRAIN_ON}")
            if self.context.is_main:
                report(self.module, self.trainer, session, self.context.device, self.config.explain)
        elif not finished:
            for callback in self.trainer.early_stopping_callbacks:
                if callback.stopping_reason_message:
                    self.console.print(f"note    {one_line(callback.stopping_reason_message)}")
            self.console.print(f"stopped at {shown:g} kimg {saved}")
        elif self.context.is_main:
            self.stop.over = False  # a run that is done: a signal ends what follows at once
            report(self.module, self.trainer, session, self.context.device, self.config.explain)
        return 0
