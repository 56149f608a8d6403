"""What a run cost: time, speed, memory, machine, and the size of its networks."""

import statistics
from typing import Any

from torch import nn

from transgan.data.dataset import readable
from transgan.numerals import number
from transgan.reporting.chart import brief
from transgan.reporting.material import Material

UNKNOWN = "not known"


def costs(material: Material) -> dict[str, str]:
    """name -> what it was, in words; the same names for every run."""
    rows, environment, config = material.stats, material.environment, material.config
    speeds = [row["images_per_second"] for row in rows if row.get("images_per_second", 0) > 0]
    memory = max((row["memory_mib"] for row in rows if "memory_mib" in row), default=0.0)
    return {
        "Images shown": f"{1000 * material.kimg:,.0f}",
        "Time, all of it": duration(rows[-1]["seconds"]) if rows and "seconds" in rows[-1] else UNKNOWN,
        "Time, training steps alone": duration(training_seconds(material)) if speeds else UNKNOWN,
        "Speed": f"{brief(statistics.median(speeds))} images/s (median)" if speeds else UNKNOWN,
        "Largest memory": readable(round(memory * 2**20)) if memory else UNKNOWN,
        "Machine": machine(environment, config),
        "Parameters": parameters(material),
        "Batch": f"{config['batch_size']:,} images a step" if "batch_size" in config else UNKNOWN,
        "Versions": versions(environment),
    }


def training_seconds(material: Material) -> float:
    """Of training steps, from the speed of each line; without evaluations, samples and checkpoints."""
    total, before = 0.0, 0.0
    for row in material.stats:
        if row.get("images_per_second", 0) > 0:
            total += 1000 * (row["kimg"] - before) / row["images_per_second"]
        before = row["kimg"]
    return total


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 20 s, 5 h 10 min, 3 d 4 h."""
    if 0 < seconds < 1:
        return f"{number(seconds, 2)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError


def machine(environment: dict[str, Any], config: dict[str, Any]) -> str:
    """The device, and how many processes and threads."""
    if not environment:
        return UNKNOWN
    trainer = config.get("trainer") or {}
    on_cpu = trainer.get("accelerator") == "cpu" or not environment.get("gpu")
    threads = environment.get("threads")
    device = f"CPU, {threads} thread{'s' if threads != 1 else ''}" if on_cpu else str(environment["gpu"])
    devices = trainer.get("devices", 1)
    several = f"; {devices} processes" if isinstance(devices, int) and devices > 1 else ""
    return f"{device}{several}"


def parameters(material: Material) -> str:
    """Of each network, by name."""
    if material.run is None:
        return UNKNOWN
    module: Any = material.run.module
    return ", ".join(f"{name} {size(getattr(module, name)):,}" for name in module.networks) or UNKNOWN


def size(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def versions(environment: dict[str, Any]) -> str:
    packages = environment.get("packages") or {}
    known = {"transgan": environment.get("transgan"), "torch": packages.get("torch")}
    known["Python"] = environment.get("python")
    return ", ".join(f"{name} {version}" for name, version in known.items() if version) or UNKNOWN
