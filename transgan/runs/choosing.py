"""The second half of a plan, once the images were read: all processes measure a step, all take what follows for rank 0,
and its cost is said."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from omegaconf import DictConfig
from rich.console import Console

from transgan.callbacks.progress import clock
from transgan.callbacks.stats import memory_mib
from transgan.config.command_line import read
from transgan.config.compose import compose
from transgan.instantiation import container
from transgan.planning import Choice, Measured
from transgan.planning.beside import moments
from transgan.planning.choice import arguments as in_words
from transgan.runs.beside import beside_of
from transgan.runs.distributed import DistributedContext
from transgan.runs.planned import Plan, extractor_name, fitted, measured, revised, settle

Found = TypeVar("Found")
EXTRACTOR_MIB = {"inception": 700.0, "efficientnet_lite0": 250.0}  # of measuring images on a CPU
COMPUTING_MIB = 250.0  # of the metrics themselves


@dataclass
class Cost:
    """Of a run: bytes of memory at the peak and of those that are free, of its folder, and seconds of its parts;
    processes: whose memory that is, of a CPU all on this machine, of a GPU one."""

    memory: int
    free: int
    disk: int
    training: float
    measuring: float
    before: float
    processes: int = 1


def choose_again(
    plan: Plan, config: DictConfig, given: list[str], dataset: Any, context: DistributedContext
) -> tuple[DictConfig, list[str], list[Choice]]:
    """-> (the configuration, the arguments that describe it, what the images that could be read make another choice)

    config, given: as before; the same on all processes.
    """
    changed = of_rank_0(revised(plan, dataset), context)
    if not changed:
        return config, given, []
    keys = {each.key for each in changed}
    whole = [*in_words(changed), *(word for word in given if read(word).key not in keys)]
    return compose("train", whole), whole, changed


def choose_length(
    plan: Plan, config: DictConfig, dataset: Any, heldout: Any, context: DistributedContext
) -> tuple[list[Choice], Cost]:
    """Sets what is left of a plan in `config`; the same on all processes. -> (the choices, what the run costs)"""
    usual = torch.get_num_threads()
    resolved, device, processes = container(config), context.device, context.world_size
    with context.together():  # memory may be short on one of them
        fit = fitted(plan, config, resolved, dataset, heldout, device, processes, context.here)
    with context.together():
        # on all of them, for what gathers images gathers those of all
        chosen, speed = measured(plan, config, dataset, fit, device, processes)
        settle(config, chosen)
        found = chosen, cost_of(config, speed, len(dataset), device.type, processes, context.here)
    choices, cost = of_rank_0(found, context)
    settle(config, choices)
    torch.set_num_threads(config.threads or usual)
    return choices, cost


def of_rank_0(found: Found, context: DistributedContext) -> Found:
    """What the process of rank 0 has found, on all of them."""
    every = [found]
    if context.world_size > 1:
        dist.broadcast_object_list(every, src=0, device=context.device)
    return every[0]


def cost_of(config: DictConfig, found: Measured, count: int, device: str, processes: int = 1, here: int = 1) -> Cost:
    """processes: of the run; here: of those, on this machine."""
    kimg, step = float(config.kimg), config.batch_size / 1000
    training, beside = 1000 * kimg / found.images_per_second, beside_of(config, (), count, processes)
    every = max(config.evaluate_every, step), max(config.sample_every, step)
    held = int(memory_mib() * 2**20) if device == "cpu" else 0
    here = here if device == "cpu" else 1  # every GPU has a memory of its own
    more = int((EXTRACTOR_MIB.get(extractor_name(config) or "", 0.0) + COMPUTING_MIB) * 2**20) if device == "cpu" else 0
    # the measured step is in what this process has taken by now
    memory = max(held, int(found.memory)) + more
    grids = moments(kimg, every[1]) + 2  # with that at the start, and that of real images
    grid = beside.grid * max(config.resolution, 40) ** 2 * config.channels
    return Cost(
        memory=here * memory, free=here * (found.free + held), disk=int(grids * grid + 3 * 2**20 + 8 * found.state),
        training=training, measuring=beside.seconds(found.costs, beside.samples or 0, kimg, training, *every),
        before=found.before, processes=here,
    )  # fmt: skip


def say_cost(console: Console, cost: Cost) -> None:
    total = cost.training + cost.measuring + cost.before
    several = f", in {cost.processes} processes" if cost.processes > 1 else ""
    console.print(
        f"cost    {clock(total)} in all: {clock(cost.before)} to begin, {clock(cost.training)} of training, "
        f"{clock(cost.measuring)} of grids and measuring · about {cost.memory / 2**30:.1f} GiB of memory of "
        f"{cost.free / 2**30:.1f} GiB free{several} · {cost.disk / 2**20:,.0f} MiB of disk · dry_run=true stops here"
    )
