"""What `transgan train` reports before its first step: the images, the networks, how far it goes or why it does not."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from transgan.callbacks.patience import TRAIN_ON, sentence
from transgan.data.inspection.short import short
from transgan.files import in_shell
from transgan.numerals import number
from transgan.runs.findings import evaluations_of
from transgan.training.generative import Generative


def say_data(console: Console, config: DictConfig, dataset: Any, heldout: Any, is_new: bool) -> None:
    """The images to train on, and of a new run what is wrong with them."""
    console.print(f"data    {dataset.describe()}")
    if heldout is not None:
        say_heldout(console, heldout, 0)  # a share of what was said
    if is_new and str(config.data._target_).endswith((".Folder", ".Zip")):
        command = f"transgan data check {in_shell(config.data.path)} resolution={config.resolution}"
        if skipped := getattr(dataset, "skipped", None):
            files = f"{len(skipped):,} file{'s' * (len(skipped) != 1)}"
            console.print(f"note    {files} cannot be read, and training goes on without; `{command}` names them")
        for each in short(dataset, heldout):
            console.print(f"note    {each}; `{command}` names them")


def say_heldout(console: Console, heldout: Any, skipped: int) -> None:
    left_out = f"; skipped {skipped:,} unreadable" if skipped else ""
    console.print(f"heldout {len(heldout):,} image{'s' * (len(heldout) != 1)}, to measure against{left_out}")


def nothing_left(config: DictConfig, folder: Path, previous: dict[str, Any]) -> str | None:
    """Why a run is not trained on from its checkpoint, with the way to do so; None if it is."""
    shown = previous["images_seen"] / 1000
    if previous["images_seen"] >= 1000 * config.kimg:
        return (
            f"{folder} is finished: {shown:g} of {config.kimg:g} kimg. "
            f"To extend it, the same command with kimg={2 * config.kimg:g}; "
            "to train another, with name=NAME"
        )
    if why := sentence(previous.get("callbacks", {}).get("Patience"), evaluations_of(config)):
        return f"{folder} has stopped at {shown:g} kimg: {why}. {TRAIN_ON}; to train another, name=NAME"
    return None


def say_plan(
    console: Console, config: DictConfig, module: Generative, count_images: int, previous: dict[str, Any] | None
) -> None:
    networks = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes(module).items())
    kind = "conditional" if config.num_classes else "unconditional"
    console.print(f"model   {networks} parameters; {kind}; {config.precision}")
    done = f", from {previous['images_seen'] / 1000:g}" if previous else ""
    epochs = 1000 * config.kimg / count_images
    console.print(f"plan    to {config.kimg:g} kimg{done} ({number(epochs)} times the data), batch {config.batch_size}")


def sizes(module: Generative) -> dict[str, int]:
    """Parameters of each network."""
    return {name: count(getattr(module, name)) for name in module.networks}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
