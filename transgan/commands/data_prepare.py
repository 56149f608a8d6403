"""`transgan data prepare`: images at one size in a zip that trains at once."""

from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from transgan import __version__, files
from transgan.data.dataset import printable, readable
from transgan.data.preparation.prepare import Prepared, Settings, prepare
from transgan.data.proposal import proposal
from transgan.errors import UserError, setting_up
from transgan.runs.folder import open_console
from transgan.runs.names import wrong_suffix


def main(config: DictConfig, arguments: list[str]) -> int:
    """Writes the zip. Returns the exit code, 0."""
    with setting_up("OUT.zip"):
        found = wrong_suffix("out", config.out, ".zip")
        if not files.expanded(config.data.path).exists():
            found.append(f"there is no folder or zip of images at {config.data.path}")
        if found:
            raise UserError(*found)
        console, data = open_console(), config.data
        settings = Settings(config.resolution, config.crop, config.channels, config.format)
        done = prepare(
            data.path, config.out, settings, data.labels, data.white, data.on_error, config.workers,
            f"transgan {__version__}", shown,
        )  # fmt: skip
    say(console, config, done)
    return 0


def shown(results: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """With a progress bar on standard error, where a terminal shows it."""
    console = Console(stderr=True)
    return track(results, what, total, console=console, transient=True) if console.is_terminal else results


def say(console: Console, config: DictConfig, done: Prepared) -> None:
    """Prints what was done, and how to train with it."""
    size = config.resolution
    new = done.count - done.again
    how = f", {done.again:,} of them by the command that was stopped" if done.again else ""
    console.print(
        f"written {done.path}: {done.count:,} images of {size}x{size} ({readable(done.bytes)}), "
        f"{len(done.classes):,} classes{how}; {done.seconds:.1f} s, {new / max(done.seconds, 1e-9):,.0f} images/s"
    )
    for note in done.notes:
        console.print(f"note    {note}")
    for name, reason in done.skipped[:20]:
        console.print(f"skipped {printable(name)}: {reason}")
    if len(done.skipped) > 20:
        console.print(f"skipped {len(done.skipped) - 20:,} more, which transgan.json in the zip lists")
    given = {"resolution": size, "channels": 1 if config.channels == 1 else None}
    console.print(f"next    {proposal('train', done.path, given=given)}")
