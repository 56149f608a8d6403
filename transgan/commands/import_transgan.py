"""`transgan import-transgan`: a run of ours from a checkpoint that TransGAN's published code has written."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import checkpoint, files, official
from transgan.config.compose import compose
from transgan.errors import UserError, setting_up
from transgan.instantiation import container, make
from transgan.runs.folder import open_console, prepare, require_space, write_description
from transgan.runs.images import is_run
from transgan.runs.proposals import typed


def main(config: DictConfig, arguments: list[str]) -> int:
    """Writes the run `runs/name` with config.yaml and checkpoints/last.ckpt. Returns the exit code."""
    with setting_up():
        console = open_console()
        path = files.expanded(config.path)
        folder = files.expanded(config.runs) / config.name
        last = folder / "checkpoints" / "last.ckpt"
        if last.exists():
            raise UserError(f"{folder} holds a run already; give another name=")
        if path.is_dir() and is_run(path):
            raise UserError(ours(path))
        states, left = weights(load(path), path)
        architecture, resolved, states = fit(states, config.architecture, path, config)
        module = checkpoint.build(resolved)
        for name, state in states.items():
            getattr(module, name).load_state_dict(state)
        require_space(folder, 4 * sum(value.numel() for value in module.state_dict().values()))
        prepare(folder)
        write_description(folder, resolved, arguments, "import-transgan")
        checkpoint.AtomicCheckpointIO().save_checkpoint(
            {
                "state_dict": module.state_dict(), "config": resolved, "images_seen": round(1000 * config.kimg),
                "data": None, "class_names": [],
            },
            last,
        )  # fmt: skip
    console.print(f"found   {', '.join(states)} of TransGAN's {architecture} in {path}")
    if left:
        console.print(f"left    {', '.join(left)}: of the training there, not of the networks")
    if "discriminator" not in states:
        console.print("note    there is no discriminator in it: the run has an untrained one")
    sampling, report = typed("transgan", "sample", folder, "to=grid"), typed("transgan", "report", folder)
    console.print(f"written to {last}\nnext    {sampling} · {report}")
    return 0


def load(path: Path) -> dict:
    """What is in the file, read without running code from it."""
    core = getattr(np, "_core", None) or np.core
    scalars: list[Any] = [(core.multiarray.scalar, f"numpy.{name}.multiarray.scalar") for name in ("core", "_core")]
    kinds: list[Any] = [np.dtype, *(type(np.dtype(kind)) for kind in (np.float32, np.float64))]
    if path.is_dir():
        raise UserError(f"{path}: it is a folder; give the file that the published code has written")
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}; give the file that the published code has written")
    if path.suffix in checkpoint.EXPORTS:
        raise UserError(f"{path} is an export of transgan, and not a checkpoint of TransGAN's published code")
    try:
        with torch.serialization.safe_globals([*scalars, *kinds]):  # its FID is a number of numpy's
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it likes, depending on where a file breaks
        raise UserError(f"{path} is damaged, or holds more than tensors and plain values and is not opened") from error
    if not isinstance(contents, dict) or not contents:
        raise UserError(f"{path} holds neither weights by name nor a training checkpoint")
    return contents


def ours(path: Path) -> str:
    """What to say of a run or checkpoint of transgan."""
    return (
        f"{path} is of a run of transgan already, and needs no import: `{typed('transgan', 'sample', path)}` makes "
        f"its images, and init_from={path} of `transgan train` begins with its weights"
    )


def weights(contents: dict, path: Path) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """-> ({our network: weights by their published names}, entries that are no weights). Raises UserError."""
    if all(isinstance(value, Tensor) for value in contents.values()):
        if {"cls_token", "module.cls_token"} & set(contents):
            raise UserError(f"{path} holds a discriminator alone; a run needs a generator")
        return {"generator": contents, "generator_ema": contents}, []
    if {"state_dict", "config", "images_seen"} <= set(contents):
        raise UserError(ours(path))
    known = (*official.WEIGHTS, *official.OTHERS)
    unknown = [key for key in contents if key not in known]
    if unknown:
        raise UserError(
            f"{path} is not a checkpoint of TransGAN's published code: {', '.join(map(str, unknown))} is "
            f"unknown; it knows {', '.join(known)}, or weights alone"
        )
    states = {ours: contents[theirs] for theirs, ours in official.WEIGHTS.items() if theirs in contents}
    if not {"generator", "generator_ema"} & set(states):
        raise UserError(f"{path} holds no generator: neither gen_state_dict nor avg_gen_state_dict")
    for missing, other in (("generator", "generator_ema"), ("generator_ema", "generator")):
        states.setdefault(missing, states.get(other))
    return states, [key for key in contents if key in official.OTHERS]


def fit(
    states: dict, wanted: str | None, path: Path, config: DictConfig
) -> tuple[str, dict, dict[str, dict[str, Tensor]]]:
    """-> (architecture, its resolved configuration, the weights by our names). UserError lists all differences."""
    if wanted is not None and wanted not in official.STAGES:
        raise UserError(f"architecture={wanted}: there are {', '.join(official.STAGES)}")
    tried = {}
    for architecture in [wanted] if wanted else official.STAGES:
        resolved = container(recipe(architecture, config))
        with torch.device("meta"):
            networks = {name: make(resolved[name]) for name in ("generator", "discriminator")}
        fitted, findings = {}, []
        for name, state in states.items():
            shapes = {key: tuple(each.shape) for key, each in networks[name.removesuffix("_ema")].state_dict().items()}
            fitted[name], found = official.from_official(state, shapes, architecture)
            findings += [f"{name}: {each}" for each in found]
        if not findings:
            return architecture, resolved, fitted
        tried[architecture] = findings
    nearest = min(tried, key=lambda name: len(tried[name]))
    raise UserError(
        f"{path} does not hold the weights of TransGAN's {nearest}"
        + (", which is the nearest" if wanted is None else "")
        + f"; nothing was written. {len(tried[nearest])} differences:",
        *tried[nearest],
    )


def recipe(architecture: str, config: DictConfig) -> DictConfig:
    """The configuration of the published network's experiment, under the run's name."""
    overrides = [f"experiment=transgan_{architecture}", f"name={config.name}", f"runs={config.runs}"]
    images = config.data.path or ("data/celebahq" if architecture == "celebahq256" else None)
    composed = compose("train", overrides + ([f"data.path={images}"] if images else []))
    composed.num_classes = 0  # which training fills in from the data
    return composed
