"""What this machine cannot do: devices it does not have, networks and batches larger than its memory."""

import importlib.util
import os
from typing import Any

import torch
from hydra.utils import get_class
from omegaconf import DictConfig
from pytorch_lightning.strategies import StrategyRegistry

from transgan.data import control_groups
from transgan.errors import UserError
from transgan.instantiation import make


def impossible_here(config: DictConfig) -> list[str]:
    """A sentence for everything a configuration of `transgan train` asks for that this machine does not have."""
    found = []
    accelerator = config.trainer.get("accelerator", "auto")
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        found.append(f"trainer.accelerator={accelerator}: this machine has no GPU that torch can use; use trainer=cpu")
    missing = {"mps": not torch.backends.mps.is_available(), "tpu": importlib.util.find_spec("torch_xla") is None}
    if missing.get(accelerator):
        found.append(f"trainer.accelerator={accelerator}: this machine has none that torch can use; use trainer=cpu")
    strategy = config.trainer.get("strategy", "auto")
    if isinstance(strategy, str) and strategy not in (known := ("auto", *StrategyRegistry.available_strategies())):
        found.append(f"trainer.strategy={strategy}: Lightning has no such strategy; there are {', '.join(known)}")
    devices = config.trainer.get("devices", 1)
    gpus = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and isinstance(devices, int) and devices > gpus > 0:
        found.append(f"trainer.devices={devices}: this machine has {gpus} GPU; give that many or fewer")
    on_cpu = accelerator == "cpu" or accelerator == "auto" and not gpus and not torch.backends.mps.is_available()
    if on_cpu and devices != "auto" and (not isinstance(devices, int) or devices < 1):
        found.append(f"trainer.devices={devices}: a CPU's processes have no numbers; give how many of them, such as 1")
    nodes = config.trainer.get("num_nodes", 1)
    if nodes > 1 and not {"MASTER_ADDR", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID"} & set(os.environ):
        found.append(
            f"trainer.num_nodes={nodes}: nothing says where the other machines are, and this one would "
            "wait for them; start it by srun or torchrun on every machine, or leave it out"
        )
    if config.compile not in (None, "auto", *torch.compiler.list_backends(())):
        backends = ", ".join(torch.compiler.list_backends())
        found.append(f"compile={config.compile}: torch has no such backend here; there are auto, {backends}")
    if sentence := batch_memory(config):
        found.append(sentence)
    return found


def batch_memory(config: DictConfig) -> str | None:
    """A sentence if not even the pixels of one batch, as float numbers, fit into this machine's memory."""
    size = 4 * config.batch_size * config.channels * config.resolution**2
    if size <= memory():
        return None
    return (
        f"batch_size={config.batch_size} with resolution={config.resolution}: the pixels of one batch take "
        f"{size / 2**30:,.0f} GiB, and there are {memory() / 2**30:,.0f} GiB of memory; give a smaller one"
    )


def require_memory(config: dict[str, Any], copies: int) -> int:
    """The bytes of all networks; 0 where they cannot be made, which making them says better.

    Refuses those that do not fit into this machine's memory `copies` times. Raises UserError with their sizes.

    `config` is a complete resolved configuration, whose algorithm names the networks.
    """
    sizes = sizes_of(config)
    need, there = copies * sum(sizes.values()), memory()
    if need > there:
        listed = ", ".join(f"{name} {size / 2**30:,.1f} GiB" for name, size in sizes.items())
        raise UserError(
            f"training these networks takes {need / 2**30:,.0f} GiB of memory at least ({listed}, "
            f"{copies} times), and there are {there / 2**30:,.0f} GiB; give a smaller dim, depth or "
            "resolution"
        )
    return sum(sizes.values())


def sizes_of(config: dict[str, Any]) -> dict[str, int]:
    """Bytes of each network. Raises UserError for sizes that no tensor can have."""
    algorithm = config["algorithm"]
    try:
        with torch.device("meta"):
            return {name: held(make(algorithm[name])) for name in networks_of(algorithm)}
    except (RuntimeError, OverflowError) as error:
        if isinstance(error, RuntimeError) and "overflow" not in str(error):
            return {}  # making it for real says better what is wrong
        raise UserError("the networks are larger than any memory; give a smaller dim, depth or resolution") from error
    except Exception:
        return {}


def networks_of(algorithm: dict[str, Any]) -> tuple[str, ...]:
    """The names of the networks of an algorithm's class."""
    kind: Any = get_class(algorithm["_target_"])
    found: tuple[str, ...] = kind.networks
    return found


def held(network: torch.nn.Module) -> int:
    """Bytes of the parameters and buffers of a network."""
    return sum(each.numel() * each.element_size() for each in (*network.parameters(), *network.buffers()))


def memory() -> int:
    """Bytes of this machine's memory, or of what a container or a batch system lets this process have of it."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system says
        there = 2**63
    return min(there, control_groups.limit())


def device_named(name: str) -> str:
    """The device that auto, cpu, cuda or cuda:1 means on this machine. Raises UserError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        raise UserError(f"device={name}: this machine has no GPU that torch can use; use device=cpu")
    if int(name.partition(":")[2] or 0) >= gpus:
        raise UserError(f"device={name}: this machine has {gpus} GPU; the first is cuda:0")
    return name


def device_findings(name: str) -> list[str]:
    """What is wrong with a device's name, for a list of findings."""
    try:
        device_named(name)
    except UserError as error:
        return list(error.findings)
    return []
