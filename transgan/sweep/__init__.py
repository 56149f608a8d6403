"""`transgan train -m`: several runs by one command, through Hydra's sweepers and launchers."""

from transgan.config.flags import Flags


def main(command: str, arguments: list[str], flags: Flags) -> int:
    """Trains what is missing and shows a table. Returns the exit code; raises UserError for mistakes."""
    from transgan.sweep.command import run

    return run(command, arguments, flags)
