"""`transgan compare`: several runs by one protocol; or a suite, whose runs are trained first where they are missing."""

import time
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig

from transgan import files
from transgan.comparison.beside import keep_others
from transgan.comparison.charging import charge
from transgan.comparison.given import given_runs
from transgan.comparison.measuring import ROUNDS, measure, sampling_speeds, sizes_of
from transgan.comparison.record import leaks, mixed
from transgan.comparison.results import Results
from transgan.comparison.samplers import check_samplers
from transgan.comparison.suite import Suite
from transgan.comparison.tables import require_same_runs
from transgan.config.compose import compose
from transgan.cores import cores
from transgan.errors import UserError, setting_up
from transgan.instantiation import container, literal
from transgan.runs.folder import open_console
from transgan.runs.images import is_run
from transgan.runs.machine import device_named
from transgan.runs.names import wrong_folder
from transgan.runs.proposals import typed
from transgan.runs.run import Run
from transgan.sweep.folder import runs_in


def main(config: DictConfig, arguments: list[str]) -> int:
    """Trains what is missing, evaluates, writes. Returns the exit code."""
    start = time.monotonic()
    with setting_up():
        config.run = [literal(str(run)) for given in config.run for run in runs_in(files.expanded(given)) or [given]]
        check(config)
        console = open_console()
        torch.set_num_threads(config.threads)
        out = files.expanded(config.out or f"comparisons/{config.suite.name if config.suite else 'runs'}")
        notes: list[str] = []
        failed: list[str] = []
        title: Callable[[str], str]
        says: Callable[[str], str]
        if config.suite is not None:
            only = None if config.systems is None else list(config.systems)
            suite = Suite(container(config.suite), out, only)
            check_samplers(suite, lambda overrides: compose("train", overrides))
            if others := keep_others(suite):
                console.print(f"beside  {', '.join(others)}: the table keeps them, as their runs are")
            jobs = config.jobs or (1 if suite.on_gpu else cores())
            failed = suite.train(jobs, lambda text: console.print(text))
            records, title, says = suite.records(), suite.title, suite.says
            charged = charge(records)
            claims = suite.config["claims"]
            notes += [f"{jobs} runs trained at a time", *suite.missed(records)]
            if failed:
                notes.append(f"not trained: {', '.join(suite.failed)}")
            if suite.left_out:
                notes.append(f"left out, for they depend on those: {', '.join(suite.left_out)}")
        else:
            records, notes = given_runs(config)
            charged = charge(records)
            title, says, claims = plainly, plainly, {}
            if config.out is None:
                require_same_runs(records, out)
        notes += charged
        found = [f"{each}; they cannot stand in one table, compare each kind by itself" for each in mixed(records)]
        if found := found + leaks(records):
            raise UserError(*found)
        console.print(f"runs    {len(records)} of {len({r.system for r in records})} systems")
        evaluator, real, line = measure(config, records, console, arguments)
        modules: dict[str, Any] = {}
        for record in records:
            if record.system not in modules:
                module: Any = Run(record.path, device=config.device).module
                if record.sampler:
                    module.sampling(**record.sampler)
                modules[record.system] = module
        with console.status("sampling speed"):
            speeds = sampling_speeds(modules, config.speed_images)
        notes.append(
            f"sampling speed: medians of up to {ROUNDS} rounds over all systems, {config.speed_images} images "
            f"at once, {config.threads} thread(s), {config.device}"
        )
        results = Results(out, records, title, says, claims, evaluator.primary, line, speeds, sizes_of(modules), notes)
        with console.status("figures"):
            results.draw()
            results.grids(modules, real)
        results.write()
    results.show(console, config.explain)
    console.print(f"look    {out / 'comparison.md'} ({time.monotonic() - start:.0f} s)")
    if failed:
        raise UserError(*failed)
    return 0


def plainly(name: str) -> str:
    """How a system or a budget that is not a suite's is called."""
    return name


def check(config: DictConfig) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if config.suite is None and not config.run:
        found.append("say what to compare: run folders, or suite=digits")
    if config.systems is not None and config.suite is None:
        found.append(f"systems={list(config.systems)}: it names systems of a suite=; give that, or leave it out")
    if config.suite is not None and config.run:
        found.append("suite= trains its own runs; leave the run folders out, or compare them without suite=")
    place = config.suite.get("path") if config.suite is not None else None
    if place is not None and not files.expanded(place).exists():
        found.append(f"suite.path={place}: there is nothing there; give the folder, archive or zip of these images")
    if len(config.run) == 1:
        found.append(f"{config.run[0]} alone compares with nothing; give two run folders or more")
    for run in config.run:
        if not files.expanded(run).exists():
            found.append(f"there is no run folder at {run}; `ls runs` shows the runs there are")
        elif not is_run(run):
            beside = [each for each in config.run if files.expanded(each).exists() and is_run(each)]
            way = typed("transgan", "evaluate", run, f"against={beside[0] if beside else 'REAL_IMAGES'}")
            found.append(f"{run} holds images and not a run; `{way}` measures images")
    if len(set(map(str, config.run))) < len(config.run):
        found.append("a run is given twice; give each once")
    found += wrong_folder("out", config.out, ".md", ".csv", ".json", ".png", ".html", ".pdf", ".txt")
    if config.jobs is not None and config.suite is None:
        found.append(f"jobs={config.jobs}: it is for the runs that a suite= trains; leave it out")
    try:
        config.device = device_named(config.device)
    except UserError as error:
        found += error.findings
    if found:
        raise UserError(*found)
