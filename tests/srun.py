"""A command as the two tasks that Slurm's srun would start, with a fault or a signal played on one of them."""

import random
import socket
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from command_line import CommandLine
from warm_process import WarmProcess

PLAYING = Path(__file__).parent / "runs" / "playing.py"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Tasks:
    """Starts a command as the two tasks of an emulated srun."""

    def __init__(self, command_line: CommandLine) -> None:
        self.command_line = command_line

    def start(
        self, words: Sequence[str], cwd: Path, play: tuple[int | str, str] = ("none", ""), **environment: str
    ) -> list[WarmProcess]:
        """play: the rank, and what playing.py does there."""
        common = self.command_line.environment | {
            "SLURM_JOB_ID": str(random.randrange(1000, 9999)), "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2",
            "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "SLURM_JOB_NAME": "train",
            "MASTER_PORT": str(free_port()),
        } | environment  # fmt: skip
        return [
            WarmProcess(
                [*play, *words], cwd, common | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}, str(PLAYING)
            )
            for rank in (0, 1)
        ]

    def __call__(
        self, words: Sequence[str], cwd: Path, play: tuple[int | str, str] = ("none", ""), **environment: str
    ) -> list[SimpleNamespace]:
        """Waits for both: their exit codes and what they said."""
        done = []
        for process in self.start(words, cwd, play, **environment):
            out, err = process.communicate(timeout=240)
            done.append(SimpleNamespace(code=process.returncode, out=out, err=err))
        return done


@pytest.fixture(scope="session")
def srun(transgan_process: CommandLine) -> Tasks:
    return Tasks(transgan_process)
