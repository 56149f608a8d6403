"""`transgan summary`: the size and the cost of a configuration's networks, counted without making them."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.table import Table
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from transgan import checkpoint, files, trust, warm_start
from transgan.config.classes import unknown_arguments
from transgan.config.compose import compose
from transgan.errors import UserError, setting_up
from transgan.instantiation import container, make
from transgan.runs.folder import open_console
from transgan.runs.machine import networks_of
from transgan.runs.pretraining import shared


def main(config: DictConfig, arguments: list[str]) -> int:
    """Prints parameters and multiply-accumulates of each network and of its parts."""
    with setting_up():
        check(config, arguments)
        console = open_console()
        note = None
        if config.run is not None:
            chosen = checkpoint.read(checkpoint.find(config.run))["config"]
        else:
            count, note = classes(config)
            config.num_classes = count if note is None else None  # what it begins with may know
            chosen = shaped(config, arguments)
            note = None if config.num_classes else note
        chosen = checkpoint.without_weights(chosen)
        trust.require(chosen, "the configuration")
        names = networks_of(chosen["algorithm"])
        found = {name: measure(chosen["algorithm"][name], chosen) for name in names}
    if config.json:
        flat = {f"{network}.{key}": value for network, counts in found.items() for key, value in counts.items()}
        print(json.dumps({"resolution": chosen["resolution"], "num_classes": chosen["num_classes"]} | flat))
        return 0
    for name, counts in found.items():
        target = chosen["algorithm"][name]["_target_"].split(".")[-1]
        table = Table(f"{name} {target}", "parameters", "MMAC per image", box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for part in counts["parts"]:
            table.add_row(f"  {part['name']}", f"{part['parameters']:,}", f"{part['macs'] / 1e6:,.3f}")
        table.add_row("  all", f"{counts['parameters']:,}", f"{counts['macs'] / 1e6:,.3f}", style="bold")
        console.print(table)
    known = f"{chosen['num_classes']} classes" if chosen["num_classes"] else "no classes"
    console.print(f"for {chosen['channels']} x {chosen['resolution']} x {chosen['resolution']} pixels and {known}")
    if note:
        console.print(f"note    {note}")
    return 0


def shaped(config: DictConfig, arguments: list[str]) -> dict[str, Any]:
    """The configuration, its networks of the shape of the run that it begins with: as `transgan train` would, of one
    that is trained first where it is not there."""
    overrides, first = list(config.get("pretraining") or ()), None
    if overrides and config.checkpoint is None and warm_start.begins(config):
        overrides += [word for word in arguments if shared(word)]
        before = compose("train", overrides)
        config.checkpoint = f"{before.runs}/{before.name}"
        if not (files.expanded(config.checkpoint) / "checkpoints").exists():
            before.num_classes = config.num_classes
            first = shaped(before, overrides)
    source = warm_start.settle(config, arguments, first=first)
    if config.num_classes is None:
        config.num_classes = source.num_classes if source is not None else 0
    return container(config)


def check(config: DictConfig, arguments: list[str]) -> None:
    """Refuses keys beside run=, whose own configuration is shown, and classes that are none."""
    if config.run is None:
        algorithm = container(config)["algorithm"]
        if found := list(unknown_arguments(algorithm, "algorithm")):
            raise UserError(*found)
        return
    keys = [word.lstrip("-+").partition("=")[0] for word in arguments if "=" in word]
    if others := [key for key in keys if key not in ("run", "json", "debug") and "/" not in key]:
        raise UserError(
            f"{', '.join(f'{key}=' for key in others)}: the configuration is that of {config.run}; leave "
            "them out, or the run"
        )


def classes(config: DictConfig) -> tuple[int, str | None]:
    """The number of classes of a configuration, and a note where only its data would know it."""
    if config.num_classes is not None or config.conditional is False:
        return config.num_classes or 0, None
    unknown = "the data is not on this machine to say how many classes it has; num_classes=N counts what they add"
    if OmegaConf.missing_keys(config.data):
        return 0, unknown
    data = container(config.data)
    try:
        return make(data | ({"download": False} if "download" in data else {})).num_classes, None
    except (UserError, ValueError, OSError):
        return 0, unknown


def measure(network_config: dict, config: dict) -> dict:
    """{"parameters", "macs", "parts": [{"name", "parameters", "macs"}]} of one network, for one image."""
    with torch.device("meta"):
        network = make(network_config).eval().requires_grad_(False)
        if hasattr(network, "latent_dim"):
            images = torch.empty(1, network.latent_dim)
        else:
            images = torch.empty(1, config["channels"], config["resolution"], config["resolution"])
        labels = torch.zeros(1, dtype=torch.long) if config["num_classes"] else None
    # MATH, because there attention is two matrix products that can be counted
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        if "time" in inspect.signature(network.forward).parameters:  # a flow's
            network(images, torch.zeros(1, device="meta"), labels)
        else:
            network(images, labels)
    flops = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    prefix = type(network).__name__
    parts = [
        {"name": name, "parameters": size(part), "macs": flops.get(f"{prefix}.{name}", 0) // 2}
        for name, part in parts_of(network)
    ]
    whole = {"parameters": size(network), "macs": counter.get_total_flops() // 2}
    rest = {key: value - sum(part[key] for part in parts) for key, value in whole.items()}
    if any(rest.values()):
        parts.append({"name": "itself"} | rest)
    return whole | {"parts": [part for part in parts if part["parameters"] or part["macs"]]}


def parts_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a network, and those in its lists one by one: stages.0, stages.1."""
    for name, part in network.named_children():
        if isinstance(part, nn.ModuleList):
            yield from ((f"{name}.{i}", each) for i, each in part.named_children())
        else:
            yield name, part


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
