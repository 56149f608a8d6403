"""Which processes something outside has started for one command: torchrun, or srun. Read from the environment, without
torch; `rank_zero_only.rank`, which Lightning sets when its Trainer is made, agrees with it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

ELASTIC = ("RANK", "GROUP_RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE")  # torchrun sets all of them
# Step numbers that Slurm gives to what is no step of srun: the batch script, salloc's shell and the like.
NO_STEP = 4_294_967_280


@dataclass(frozen=True)
class Launched:
    """This process among all that were started. `by` is "torchrun", "srun", "transgan" for a process that another one
    of ours has started, or "" for one alone."""

    by: str = ""
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def num_nodes(self) -> int:
        return self.world_size // self.local_world_size

    @property
    def outside(self) -> bool:
        """Whether another program says how many processes there are."""
        return self.by in ("torchrun", "srun") and self.world_size > 1


def launched(environment: Mapping[str, str] = os.environ) -> Launched:
    """Raises ValueError for numbers of processes that do not fit together, or are none."""
    if all(name in environment for name in ELASTIC):
        rank, _, local_rank, local_world_size, world_size = (number(environment, name) for name in ELASTIC)
        return fitting(Launched("torchrun", rank, world_size, local_rank, local_world_size))
    if is_step(environment):
        tasks, nodes = (number(environment, name, 1) for name in ("SLURM_NTASKS", "SLURM_NNODES"))
        rank, local_rank = (number(environment, name, 0) for name in ("SLURM_PROCID", "SLURM_LOCALID"))
        return fitting(Launched("srun", rank, tasks, local_rank, -(-tasks // max(nodes, 1))))
    if "LOCAL_RANK" in environment and "WORLD_SIZE" in environment:
        local_rank, world_size = number(environment, "LOCAL_RANK"), number(environment, "WORLD_SIZE")
        return Launched("transgan", number(environment, "RANK", local_rank), world_size, local_rank, world_size)
    return Launched()


def number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    """Raises ValueError, with the variable's name, for what is no count and no place among others."""
    text = environment[name] if otherwise is None else environment.get(name, str(otherwise))
    if not re.fullmatch("[0-9]{1,9}", text.strip()):
        raise ValueError(
            f"the environment has {name}={text}, which is not a number of processes; `unset {name}`, or "
            "start the command by torchrun or srun, which set it"
        )
    return int(text)


def is_step(environment: Mapping[str, str]) -> bool:
    """Whether srun has started this process as one of several tasks.

    A batch script, too, has SLURM_NTASKS, and is alone: it has no number of a step, and srun gives one. Where a cluster
    hides that number, a task other than the first tells, or --ntasks-per-node, as Lightning wants it.
    """
    if number(environment, "SLURM_NTASKS", 1) < 2 or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return False
    step = environment.get("SLURM_STEP_ID", environment.get("SLURM_STEPID", ""))
    if step.isdigit():
        return int(step) < NO_STEP
    return number(environment, "SLURM_PROCID", 0) > 0 or "SLURM_NTASKS_PER_NODE" in environment


def fitting(found: Launched) -> Launched:
    if found.local_world_size < 1 or found.world_size % found.local_world_size:
        raise ValueError(
            f"{found.by} has started {found.world_size} processes, not equally many on each machine; start as many on "
            "every one, such as by --ntasks-per-node"
        )
    return found


def left_alone(environment: Mapping[str, str] = os.environ) -> str | None:
    """What to say where Slurm holds several tasks for a job and srun has not started this process."""
    tasks = environment.get("SLURM_NTASKS", "1")
    if launched(environment).by or not tasks.isdigit() or int(tasks) < 2:
        return None
    return f"Slurm holds {tasks} tasks for this job, and this process is alone; `srun transgan ...` starts all of them"


def alone(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a process that is none of those that were started together."""
    others = {*ELASTIC, "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"}
    return {name: value for name, value in environment.items() if name not in others}
