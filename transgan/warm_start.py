"""Warm start: the networks of a GAN that are `from_gpt` have the shape of an image GPT and its pretrained weights.

`settle` gives a configuration the GPT's shape before anything is built, and `begin` copies its weights into the
networks. `warm_start.generator` and `warm_start.discriminator`, set by conf/*/from_gpt.yaml, say which networks these
are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from transgan import checkpoint, files
from transgan.errors import UserError
from transgan.instantiation import literal

KINDS = {"ImageGPT": "image GPT", "MaskedImages": "masked model"}
LISTS = ("dim", "depth", "num_heads")  # with one number per stage, of which a GPT has one
# Further arguments of a stack that its weights' names and shapes depend on.
STACK = ("qkv_bias", "qk_norm", "mlp_layer", "attn_layer", "rotary", "relative_position")


@dataclass
class Source:
    """An image GPT or masked model to start from: its checkpoint, its network's configuration and its EMA weights."""

    kind: str
    path: Path
    sha256: str
    network: dict[str, Any]
    weights: dict[str, Tensor]
    kimg: float


def read(path: str) -> Source:
    """The image GPT or masked model of a run folder or checkpoint. Raises CheckpointError for another kind of run."""
    file = checkpoint.find(path)
    saved = checkpoint.read(file)
    network = saved["config"]["algorithm"].get("network", {})
    prefix = "network_ema."
    weights = {n.removeprefix(prefix): v for n, v in saved["state_dict"].items() if n.startswith(prefix)}
    if not {*LISTS, "mlp_ratio", "tokens"} <= set(network) or not any(n.startswith("stages.0.") for n in weights):
        kind = str(saved["config"]["algorithm"].get("_target_", "another kind")).split(".")[-1]
        raise checkpoint.CheckpointError(
            f"checkpoint={path}: that is a run of {kind}, and a warm start needs an image GPT or a masked model; "
            "train one with algorithm=image_gpt or algorithm=masked"
        )
    sha256 = files.sha256(file)
    kind = str(network["_target_"]).split(".")[-1]
    return Source(KINDS.get(kind, kind), file.resolve(), sha256, network, weights, saved["images_seen"] / 1000)


def settle(config: DictConfig, arguments: list[str], previous: dict | None = None) -> Source | None:
    """Gives the networks that are from_gpt the shape of the GPT, unless overrides contradict it.

    Returns the GPT; None where no network needs one, or where `previous` is the configuration of the run to resume,
    which includes the shape already. Raises UserError with all findings.
    """
    names = [name for name in ("generator", "discriminator") if (config.get("warm_start") or {}).get(name) is not None]
    given = {word.lstrip("-+").partition("=")[0] for word in arguments}
    if previous is not None:
        repeat(config, names, given, previous)
        return None
    if not names:
        if "warm_start.sha256" in given:
            raise UserError("warm_start.sha256: no network is from_gpt; add generator=from_gpt, or leave it out")
        if config.get("checkpoint") is not None:
            raise UserError(
                f"checkpoint={config.checkpoint}: nothing takes its weights; add generator=from_gpt, "
                "discriminator=from_gpt or both, or start a run of the same networks with init_from="
            )
        return None
    if config.checkpoint is None:
        raise UserError(
            f"{names[0]}=from_gpt needs checkpoint=RUN, the run of an image GPT or a masked model; train "
            "one with algorithm=image_gpt or algorithm=masked"
        )
    if config.init_from is not None:
        raise UserError(
            f"init_from={config.init_from} would replace all weights, those of checkpoint="
            f"{config.checkpoint} too; give one of them"
        )
    gpt = read(config.checkpoint)
    findings, source = list[str](), f"checkpoint={config.checkpoint}"
    for key, own in (("resolution", gpt.network["img_size"]), ("channels", gpt.network["in_chans"])):
        if config[key] != own:
            findings.append(
                f"{key}={config[key]}: the {gpt.kind} of {source} has {key} {own}; give {key}={own}, or an "
                f"{gpt.kind} trained with {key}={config[key]}"
            )
    for name in names:
        findings += set_shape(config, name, gpt, given)
    known = config.warm_start.sha256
    if known not in (None, gpt.sha256):
        findings.append(
            f"{source}: not the file that the configuration names, its sha256 is {gpt.sha256[:12]} and not "
            f"{known[:12]}; restore that file, or give warm_start.sha256=null"
        )
    config.warm_start.source, config.warm_start.sha256 = literal(str(gpt.path)), gpt.sha256
    if findings:
        raise UserError(*findings)
    return gpt


def wanted_shape(gpt: Source) -> dict[str, Any]:
    """The arguments of a network that the GPT determines, with their values."""
    wanted: dict[str, Any] = {key: [gpt.network[key]] for key in LISTS}
    wanted |= {"mlp_ratio": gpt.network["mlp_ratio"], "window_size": None}
    if "patch_size" in gpt.network["tokens"]:  # otherwise its tokens are pixels, which have no counterpart in a GAN
        wanted["patch_size"] = gpt.network["tokens"]["patch_size"]
    return wanted


def set_shape(config: DictConfig, name: str, gpt: Source, given: set[str]) -> list[str]:
    """Sets the shape of one network. Returns a sentence for every override that contradicts it."""
    network, findings, source = config[name], list[str](), f"checkpoint={config.checkpoint}"
    current: Any = OmegaConf.to_container(network)
    for key, value in wanted_shape(gpt).items():
        here = current[key]
        if f"{name}.{key}" in given or "config" in given:
            if here != value and key != "window_size":
                own = value[0] if isinstance(value, list) else value
                findings.append(
                    f"{name}.{key}={here}: the {gpt.kind} of {source} has {key} {own}; leave it out, or "
                    f"give another {gpt.kind}"
                )
        else:
            network[key] = value
    theirs = gpt.network.get("transformer", {})
    OmegaConf.set_struct(config, False)
    for key in STACK:
        here = current["transformer"].get(key)
        if f"{name}.transformer.{key}" in given and here != theirs.get(key):
            findings.append(
                f"{name}.transformer.{key}={here}: the {gpt.kind} of {source} has "
                f"{theirs.get(key, 'the default')}; leave it out, or give another {gpt.kind}"
            )
        elif key in theirs:
            network.transformer[key] = theirs[key]
    OmegaConf.set_struct(config, True)
    return findings


def repeat(config: DictConfig, names: list[str], given: set[str], previous: dict) -> None:
    """Fills in the shape that a resumed run was given when it began, for comparison with the present configuration."""
    before = previous.get("warm_start") or {}
    names = [name for name in names if before.get(name) is not None]  # others differ anyway
    if not names:
        return
    for key in ("source", "sha256"):
        config.warm_start[key] = before[key] and literal(str(before[key]))
    OmegaConf.set_struct(config, False)
    for name in names:
        for key in (*LISTS, "mlp_ratio", "window_size", "patch_size"):
            if f"{name}.{key}" not in given:
                config[name][key] = previous[name][key]
        for key in set(STACK) & set(previous[name]["transformer"]):
            if f"{name}.transformer.{key}" not in given:
                config[name].transformer[key] = previous[name]["transformer"][key]
    OmegaConf.set_struct(config, True)


def begin(gpt: Source, module: Any) -> list[str]:
    """Copies the stack into the networks of a module that are from_gpt, and into the EMA. Returns a report in lines."""
    report = []
    for name, start in module.pretrained.items():
        network = getattr(module, name)
        if start.copied(network):
            report += lines(name, copy_stack(gpt, network, start), gpt, start)
    module.ema.load_state_dict(getattr(module, module.networks[0]).state_dict())
    return report


def transplant(weights: dict[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
    """Copies weights into the parameters of the same names. Raises CheckpointError unless all of them fit."""
    found = []
    for name, parameter in parameters.items():
        there = tuple(weights[name].shape) if name in weights else "nothing"
        if there != tuple(parameter.shape):
            found.append(f"{name} is {there} in the checkpoint and {tuple(parameter.shape)} in the network")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise checkpoint.CheckpointError(f"the pretrained weights do not fit: {'; '.join(found[:3])}{more}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def copy_stack(gpt: Source, network: Any, start: Any) -> dict[str, dict[str, int]]:
    """Copies the weights of the GPT's stack that `start` (training/pretrained.py) selects into the network.

    Returns the report: {"copied", "norms", "from_scratch", "unused": {name: number of parameters}}.
    """
    copied: dict[str, nn.Parameter] = start.copied(network)
    transplant(gpt.weights, copied)
    used, norms = set(copied), dict[str, int]()
    for i, block in enumerate(network.stages[0].blocks[: start.blocks] if start.norms else ()):
        for part in ("norm1", "norm2"):
            prefix = f"stages.0.blocks.{i}.{part}."
            own = {n.removeprefix(prefix): v for n, v in gpt.weights.items() if n.startswith(prefix)}
            changed = getattr(block, part).start_at(own["norm.weight"], own.get("gamma"))
            norms |= {f"{prefix}{n}": getattr(block, part).get_parameter(n).numel() for n in changed}
            used |= {f"{prefix}{n}" for n in own}
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {
        "copied": {name: sizes[name] for name in copied},
        "norms": norms,
        "from_scratch": {name: n for name, n in sizes.items() if name not in copied and name not in norms},
        "unused": {name: value.numel() for name, value in gpt.weights.items() if name not in used},
    }


def lines(name: str, report: dict[str, dict[str, int]], gpt: Source, start: Any) -> list[str]:
    """The report of `copy_stack` as text."""
    shape = ", ".join(f"{key} {gpt.network[key]:g}" for key in (*LISTS, "mlp_ratio"))
    text = [
        f"start   {name} from the {gpt.kind} of {gpt.path} ({gpt.kimg:g} kimg, sha256 {gpt.sha256[:12]}): {shape}",
        f"        copied {amount(report['copied'])}: {parts(report['copied'])}",
    ]
    if report["norms"]:
        text.append(f"        set by the GPT's {amount(report['norms'])}: {parts(report['norms'])}")
    text.append(f"        from scratch {amount(report['from_scratch'])}: {parts(report['from_scratch'])}")
    text.append(f"        not used {amount(report['unused'])}: {parts(report['unused'])}")
    how = [f"is frozen for {start.frozen:g} kimg"] if start.frozen else []
    how += [f"has {start.lr_factor:g} of the learning rate"] if start.lr_factor != 1 else []
    return text + [f"        what was copied {', then '.join(how)}"] * bool(how)


def amount(sizes: dict[str, int]) -> str:
    return f"{len(sizes)} tensors, {sum(sizes.values()):,} parameters"


def parts(sizes: dict[str, int]) -> str:
    """The layers that parameters belong to; within blocks by their kind."""
    kinds = {"attn": "attention", "mlp": "feed-forward", "norm1": "norms", "norm2": "norms"}
    found = dict[str, None]()
    for name in sizes:
        layer, *inside = name.split(".")
        if layer == "stages":
            layer = "LayerScale" if inside[-1] == "gamma" else kinds[inside[3]]
            layer += " of the blocks"
        found[layer] = None
    return ", ".join(found) or "nothing"
