"""What `transgan train -m` does, from its arguments to the table."""

import logging
import shlex
import signal
import sys
import time

from rich.console import Console

from transgan import __version__
from transgan.config import search, show
from transgan.config.flags import Flags
from transgan.errors import UserError
from transgan.launched import launched
from transgan.sweep import table
from transgan.sweep.records import JobRecord
from transgan.sweep.running import Sweep
from transgan.sweep.words import separate


def run(command: str, arguments: list[str], flags: Flags) -> int:
    """Returns the exit code: 0 all done, 2 a mistake in some job, 1 another failure, 128 + N stopped by a signal."""
    if command != "train":
        raise UserError(
            f"-m is for `transgan train`; call `transgan {command}` once for each, as in a loop of the shell"
        )
    if launched().outside:
        raise UserError(
            "-m starts its jobs by itself, and torchrun or srun has started several processes; give the command "
            "alone, with trainer.devices=N or hydra/launcher=submitit_slurm"
        )
    groups = search.groups(arguments)
    words = separate(arguments, lambda group: groups.get(group, []))
    sweep = Sweep(command, words)
    if flags.info is not None:
        show.report(command, sweep.loader.words_of(sweep.tried[0]), flags.info)
        return 0
    if flags.cfg is not None:
        print(show.as_yaml(sweep.shown(flags.cfg), flags), end="")
        return 0
    if sweep.is_dry:
        return sweep.say_costs(console_of())
    return finished(sweep, shlex.join(["transgan", command, "-m", *arguments]))


def finished(sweep: Sweep, typed: str) -> int:
    """Trains, says how it went, and returns the exit code."""
    console = console_of()
    console.print(f"transgan {__version__} · sweep {sweep.folder}")
    started = time.monotonic()
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers = [logging.NullHandler()]  # what jobs log, they keep in log.txt
    try:
        number = sweep.train(console)
    finally:
        root.handlers = handlers
    jobs = sweep.own()
    done, failed = ([job for job in jobs if job.status == status] for status in ("done", "failed"))
    said = f"{len(done)} of {sweep.total(jobs)} jobs are done"
    if jobs:
        table.show(console, jobs)
        table.write(sweep.folder, jobs, typed, said)
    console.print(f"\ndone    {said}, {time.monotonic() - started:.0f} s")
    if jobs:
        console.print(f"table   {sweep.folder / 'sweep.md'} · {sweep.folder / 'sweep.csv'}")
    if len(done) > 1:
        console.print(f"next    transgan compare {shlex.quote(str(sweep.folder))}")
    if number is not None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        complain(f"the sweep was stopped by {name}: {said}; the same command continues")
        return 128 + number
    for job in failed:
        complain(f"failed: {job.label}: {job.reason}")
    if failed:
        complain(f"{len(failed)} of {sweep.total(jobs)} jobs failed; the same command tries them again")
        return max(1, min(code_of(job) for job in failed))
    if stopped := [job for job in jobs if job.status in ("stopped", "running")]:
        complain(
            f"{len(stopped)} of {sweep.total(jobs)} jobs were stopped before their end; the same command continues"
        )
        return max(job.code for job in stopped)
    return 0


def code_of(job: JobRecord) -> int:
    return job.code if job.code in (1, 2) else 1


def console_of() -> Console:
    stdout = sys.stdout
    width = None if stdout is not None and stdout.isatty() else 200
    return Console(file=stdout, width=width, soft_wrap=True, highlight=False, markup=False, emoji=False)


def complain(text: str) -> None:
    print(f"transgan: {text}", file=sys.stderr, flush=True)
