"""The Trainer of a command: how many processes, on which devices, and who has started them."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning import Trainer

from transgan.errors import UserError
from transgan.instantiation import make
from transgan.launched import Launched, launched


class Srun(ClusterEnvironment):
    """Tasks of srun, with whichever of its options they were asked for. Lightning's own environment for Slurm would
    want one of them, and save amid a step."""

    def __init__(self, processes: Launched):
        self.processes = processes

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        names = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
        nodes = next((os.environ[name] for name in names if os.environ.get(name)), "127.0.0.1")
        return os.environ.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(nodes)

    @property
    def main_port(self) -> int:
        numbers = [os.environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
        job, step = (int(number) if number.isdigit() else 0 for number in numbers)
        return int(os.environ.get("MASTER_PORT") or 15000 + (job + 101 * step) % 10000)

    @staticmethod
    def detect() -> bool:
        return launched().by == "srun"

    def world_size(self) -> int:
        return self.processes.world_size

    def set_world_size(self, size: int) -> None:
        """Srun has set it."""

    def global_rank(self) -> int:
        return self.processes.rank

    def set_global_rank(self, rank: int) -> None:
        """Srun has set it."""

    def local_rank(self) -> int:
        return self.processes.local_rank

    def node_rank(self) -> int:
        return self.processes.rank // self.processes.local_world_size


def trainer_of(
    settings: dict[str, Any], arguments: list[str], compile: str | None = None, plugins: Sequence[Any] = (), **more: Any
) -> Trainer:
    """The Trainer of a configuration's `trainer`, for the processes that there are or that will be started.

    More than one process is DDP. `arguments` are the command's words: a number of devices that was said and contradicts
    the number of processes that were started is refused. Raises UserError.
    """
    processes, settings = launched(), dict(settings)
    count = counted(settings.get("devices", 1))
    if processes.outside:
        said = next((word for word in arguments if word.startswith("trainer.devices=")), None)
        if said is not None and count not in (None, processes.local_world_size):
            raise UserError(
                f"{said}: {processes.by} has started {processes.local_world_size} processes on this machine, one for "
                "each device; leave trainer.devices= out, or start as many processes"
            )
        count = processes.local_world_size
        settings |= {"devices": count, "num_nodes": processes.num_nodes}
    if count is None:  # as many as the machine has
        only = {key: settings[key] for key in ("_target_", "accelerator", "devices") if key in settings}
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        count = make(only, plugins=[LightningEnvironment()], **quiet).num_devices
    several = count > 1 or settings.get("num_nodes", 1) > 1
    # each backward pass reaches one network alone
    ddp = {"_target_": "pytorch_lightning.strategies.DDPStrategy", "find_unused_parameters": True}
    if settings.get("strategy", "auto") in ("auto", "ddp", ddp):
        settings["strategy"] = ddp if several else "auto"
    environment = {"torchrun": TorchElasticEnvironment, "srun": lambda: Srun(processes)}.get(
        processes.by, LightningEnvironment
    )()
    if several and compile:
        # its graphs, cut at the borders of DDP's buckets, have no second derivative
        torch._dynamo.config.optimize_ddp = False
    return make(settings, plugins=[*plugins, environment], **more)


def counted(devices: Any) -> int | None:
    """How many devices `trainer.devices` means on each machine; None if the machine decides."""
    if isinstance(devices, (list, tuple)):
        return len(devices)
    return None if devices in ("auto", -1, "-1") else int(devices)


def seconds_of(limit: str | None) -> float | None:
    """Of `trainer.max_time`: DD:HH:MM:SS."""
    if limit is None:
        return None
    days, hours, minutes, seconds = map(int, limit.split(":"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
