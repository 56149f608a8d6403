"""A sweep: its jobs, started through Hydra's sweeper and launcher, and what has come of them."""

import copy
import importlib
import os
import socket
from collections.abc import Callable
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, flag_override
from rich.console import Console

from transgan.config import own, search
from transgan.config.compose import compose
from transgan.cores import cores
from transgan.errors import UserError, one_line
from transgan.sweep import records, settings, study
from transgan.sweep.job import Job, SweepStopped, is_place
from transgan.sweep.loader import JobLoader
from transgan.sweep.naming import folder_name
from transgan.sweep.records import JobRecord
from transgan.sweep.stopping import Signals
from transgan.sweep.words import Words, as_typed, corners, place, product


class Sweep:
    """What is to be run and where; `jobs` are the overrides of all jobs, or None where a search decides on them."""

    def __init__(self, command: str, words: Words) -> None:
        """Raises UserError with what is wrong with the arguments or with any job."""
        self.words, self.loader = words, JobLoader(command, words.common)
        self.config = settings.with_hydra(command, OmegaConf.create({}), words.common, words.hydra)
        for word in settings.parameters(self.config):
            place(word, words, search.groups(words.common).get)
        self.is_basic, self.is_optuna = settings.is_basic(self.config.hydra), settings.is_optuna(self.config.hydra)
        self.launcher = settings.launcher_of(self.config.hydra)
        self.jobs = product(words.swept.values()) if self.is_basic else None
        self.tried = self.jobs if self.jobs is not None else corners(words.swept.values())
        self.checked(self.tried, self.loader.job)
        first = self.loader.job(self.tried[0])
        if not self.is_basic and not first.get("metrics") and not first.holdout:
            raise UserError("a search needs a number to make lower, and metrics=none has none; give metrics=fast")
        self.is_dry = bool(first.dry_run)
        self.add_keys(first)
        self.folder = settings.place_of(self.config, any(word.startswith("name=") for word in words.common))
        done = {tuple(job.overrides) for job in records.every(self.folder) if job.status == "done"}
        if self.launcher != "submitit_slurm":  # else they run on another machine than this one
            self.checked([job for job in self.tried if tuple(map(as_typed, job)) not in done], self.require)

    def checked(self, jobs: list[tuple[str, ...]], look: Callable[[tuple[str, ...]], object]) -> None:
        """Raises UserError with what `look` finds wrong with any of the jobs."""
        wrong: dict[str, list[str]] = {}
        for overrides in jobs:
            try:
                look(overrides)
            except UserError as error:
                for finding in error.findings:
                    wrong.setdefault(str(finding), []).append(" ".join(map(as_typed, overrides)))
        if wrong:
            raise UserError(*(self.said(finding, found, len(jobs)) for finding, found in wrong.items()))

    def require(self, overrides: tuple[str, ...]) -> None:
        """What `transgan train` looks at before all else. Imports torch."""
        from transgan.runs.findings import check

        check(self.loader.job(overrides))

    def said(self, finding: str, jobs: list[str], total: int) -> str:
        if len(jobs) == total:
            return finding
        return f"{finding} (in {len(jobs)} of {total} jobs{', such as' * (len(jobs) > 1)} {jobs[0]})"

    def add_keys(self, job: DictConfig) -> None:
        """Puts a job's keys beside Hydra's settings, which may refer to them."""
        OmegaConf.set_readonly(self.config.hydra, False)
        with flag_override(self.config, ["struct", "readonly"], [False, False]):
            for key in job:
                self.config[key] = copy.deepcopy(job._get_node(key))
            self.config.hydra.overrides.task = self.words.typed

    def say_costs(self, console: Console) -> int:
        """What each job would cost, one after another in this process, and nothing is kept; of a search, of its
        corners. Returns the exit code."""
        train = importlib.import_module("transgan.commands.train")
        for number, overrides in enumerate(self.tried, 1):
            words = [*self.words.common, *map(as_typed, overrides)]
            words = [word for word in words if not is_place(word)]
            words += [f"runs={self.folder}", f"name={self.name_of(overrides)}"]
            console.print(f"\njob     {number}/{len(self.tried)}: {' '.join(map(as_typed, overrides))}")
            with own.allowed(words):
                if code := train.main(compose("train", words), words):
                    return code
        console.print("\ndone    dry_run=true: nothing was trained or written")
        return 0

    def train(self, console: Console) -> int | None:
        """Runs all jobs. Returns the signal that ended the sweep, or None."""
        hydra, apart = self.config.hydra, self.launcher != "basic"
        done = 0
        (self.folder / records.FOLDER).mkdir(parents=True, exist_ok=True)
        if self.is_optuna:
            study.settle(hydra, self.folder, [*self.words.common, *self.words.typed], not apart)
            with study.hushed():
                done = study.resume(hydra)
        console.print(f"sweep   {self.described(done)}, in {self.folder}")
        signals = Signals(self.folder, apart, self.launcher != "submitit_slurm")
        with signals.owned():
            try:
                if self.is_optuna:
                    with study.hushed():
                        self.launch(apart)
                else:
                    self.launch(apart)
            except SweepStopped as stopped:
                return stopped.number
            except Exception:
                if signals.number is None:  # else a process that was asked to end has ended amid Hydra's own work
                    raise
        return signals.number

    def launch(self, apart: bool) -> None:
        hydra = self.config.hydra
        if self.is_optuna and study.is_finished(hydra):
            return
        setup_globals()
        task = Job(
            tuple(self.words.common), len(self.jobs) if self.jobs is not None else hydra.sweeper.get("n_trials"),
            self.threads(), self.launcher != "submitit_slurm", os.getpid(), socket.gethostname(),
        )  # fmt: skip
        before = HydraConfig.instance().cfg
        try:
            HydraConfig.instance().set_config(self.config)
            callbacks = Callbacks(self.config)
            callbacks.on_multirun_start(config=self.config, config_name=self.loader.command)
            context = HydraContext(config_loader=self.loader, callbacks=callbacks)
            sweeper = Plugins.instance().instantiate_sweeper(
                config=self.config, hydra_context=context, task_function=task
            )
            sweeper.sweep(arguments=self.words.typed)
            callbacks.on_multirun_end(config=self.config, config_name=self.loader.command)
        except HydraException as error:
            raise UserError(one_line(error)) from error
        except ValueError:
            if not self.is_optuna or any(job.status == "done" for job in self.own()):
                raise  # else there is no best trial because all have failed
        finally:
            HydraConfig.instance().cfg = before

    def threads(self) -> int | None:
        """CPU threads of each of several processes beside each other; joblib sees to that by itself."""
        if self.launcher != "submitit_local":
            return None
        beside = len(self.jobs) if self.jobs is not None else self.config.hydra.sweeper.get("n_jobs", 1)
        return max(1, cores() // max(1, beside))

    def described(self, done: int) -> str:
        if self.jobs is None:
            trials: Any = self.config.hydra.sweeper.get("n_trials", "some")
            over = ", ".join(self.words.swept)
            if done and trials == 0:
                return f"{done} trials over {over}, all done"
            return f"{trials} trials over {over}" + (f", after {done} that are done" if done else "")
        sizes = [f"{len(list(each.sweep_string_iterator()))} {key}" for key, each in self.words.swept.items()]
        return f"{len(self.jobs)} job{'s' * (len(self.jobs) != 1)}" + (f": {' x '.join(sizes)}" if sizes else "")

    def own(self) -> list[JobRecord]:
        """The jobs of this very command; of a search, all that the folder has."""
        found = list(records.every(self.folder))
        if self.jobs is None:
            return found
        names = {self.name_of(overrides) for overrides in self.jobs}
        return [job for job in found if job.name in names] if names & {job.name for job in found} else found

    def total(self, jobs: list[JobRecord]) -> int:
        return len(self.jobs) if self.jobs is not None else len(jobs)

    def name_of(self, overrides: tuple[str, ...]) -> str:
        return folder_name(list(map(as_typed, overrides)))

    def shown(self, what: str) -> DictConfig:
        """The configuration of the first job, that of Hydra, or both: job, hydra, all."""
        if what == "job":
            return self.loader.job(self.tried[0])
        return self.config if what == "all" else OmegaConf.create({"hydra": copy.deepcopy(self.config.hydra)})
