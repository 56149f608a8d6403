"""`transgan report`: one HTML file about a run or several, with everything in it."""

import os
import re
from pathlib import Path

from omegaconf import DictConfig

from transgan import __version__, checkpoint, files
from transgan.data.dataset import readable
from transgan.errors import UserError, setting_up
from transgan.instantiation import literal
from transgan.reporting.material import Material
from transgan.reporting.page import MOST, identity, write
from transgan.runs.folder import open_console
from transgan.runs.images import is_run
from transgan.runs.machine import device_named
from transgan.runs.names import wrong_suffix
from transgan.sweep.folder import runs_in


def main(config: DictConfig, arguments: list[str]) -> int:
    """Writes the report. Returns the exit code."""
    report(config)
    return 0


def report(config: DictConfig) -> Path:
    """Writes the report -> its file."""
    with setting_up():
        given = [str(run) for run in config.run]
        config.run = [literal(str(run)) for each in given for run in runs_in(files.expanded(each)) or [Path(each)]]
        check(config)
        console = open_console()
        out = files.expanded(config.out) if config.out else default_out(given, list(config.run))
        if not config.out and len(config.run) > 1:
            require_same_runs(list(config.run), out, grown=len(given) == 1)
        materials = [Material(str(run), config.checkpoint, config.device) for run in config.run]
        with console.status("reading") as status:
            size = write(materials, out, config.neighbours, __version__, lambda name: status.update(f"reading {name}"))
    for material in materials:
        if material.run is None:
            console.print(f"note    {material.name}: {material.broken}; its report has no images of a checkpoint")
    console.print(f"look    {out} ({readable(size)}, {len(materials)} run{'s' if len(materials) != 1 else ''})")
    return out


def default_out(given: list[str], runs: list[str]) -> Path:
    """RUN/report.html; of several runs the folder that was given, or the one that holds them all."""
    folders = [Material.folder_of(run) for run in runs]
    if len(given) == 1:
        return (files.expanded(given[0]) if len(folders) > 1 else folders[0]) / "report.html"
    parents = {Path(os.path.abspath(folder)).parent: folder.parent for folder in folders}
    return (next(iter(parents.values())) if len(parents) == 1 else Path("comparisons")) / "report.html"


def require_same_runs(runs: list[str], out: Path, grown: bool) -> None:
    """Refuses to write over a report of other runs, or over what is none. grown: a report of some of these runs may be
    written over, as that of a folder in which there are more by now. Raises UserError."""
    if not out.exists():
        return
    mark = re.search(r'<meta name="runs" content="([0-9a-f ]+)">', files.read_text(out))
    before, now = set(mark[1].split() if mark else ()), set(identity(map(Material.folder_of, runs)))
    if not before or not (before <= now if grown else before == now):
        raise UserError(f"{out} is there already and is not of these runs; give another file, such as out=NAME.html")


def check(config: DictConfig) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if not config.run:
        found.append("a run is needed: `transgan report runs/NAME`; `ls runs` shows the runs there are")
    for run in dict.fromkeys(config.run):
        path = files.expanded(run)
        if not path.exists():
            found.append(f"there is no run folder or checkpoint at {run}; `ls runs` shows the runs there are")
        elif not is_run(path) and path.is_dir() and not any(path.glob("*.ckpt")) or path.suffix in (".zip", ".npz"):
            found.append(f"{run} holds no run; give a run folder, which training makes in runs/")
        elif path.suffix in checkpoint.EXPORTS:
            found.append(f"{run} is an export, which holds no run; give the folder of the run that it was made from")
    if len(set(map(str, config.run))) < len(config.run):
        found.append("a run is given twice; give each once")
    if len(config.run) > MOST:
        found.append(f"{len(config.run)} runs are too many for one page; give {MOST} or fewer")
    found += wrong_suffix("out", config.out, ".html", ".htm")
    try:
        config.device = device_named(config.device)
    except UserError as error:
        found += error.findings
    if found:
        raise UserError(*found)
