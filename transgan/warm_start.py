"""Warm start: a GAN's networks that are `from_gpt` have the shape of an image GPT and begin with its stack's weights.

`settle` gives a configuration the GPT's shape before anything is built, and `begin` gives the built networks its
weights. `warm_start.generator` and `warm_start.discriminator`, made by conf/*/from_gpt.yaml, say which they are.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from transgan import checkpoint, files
from transgan.errors import UserError
from transgan.instantiation import literal

KINDS = {"ImageGPT": "image GPT", "MaskedImages": "masked model"}
LISTS = ("dim", "depth", "num_heads")  # of one number, for the one stage
# What decides the names and the shapes of a stack's weights, besides.
STACK = ("qkv_bias", "qk_norm", "mlp_layer", "attn_layer", "rotary", "relative_position")


@dataclass
class Pretrained:
    """What a warm start needs of a checkpoint: where it is, how its network was made, and the EMA weights.

    A model of masked images will do as well.
    """

    kind: str
    path: Path
    sha256: str
    network: dict
    weights: dict[str, Tensor]
    kimg: float


def read(path: str) -> Pretrained:
    """The image GPT, or masked model, of a run folder or checkpoint. Raises CheckpointError if it is none."""
    file = checkpoint.find(path)
    saved = checkpoint.read(file)
    network = saved["config"]["algorithm"].get("network", {})
    prefix = "network_ema."
    weights = {n.removeprefix(prefix): v for n, v in saved["state_dict"].items() if n.startswith(prefix)}
    if not {*LISTS, "mlp_ratio", "tokens"} <= set(network) or not any(n.startswith("stages.0.") for n in weights):
        kind = str(saved["config"]["algorithm"].get("_target_", "another kind")).split(".")[-1]
        raise checkpoint.CheckpointError(
            f"checkpoint={path}: that is a run of {kind}, and a warm start takes an image GPT's or a masked model's; "
            "train one with algorithm=image_gpt or algorithm=masked"
        )
    sha256 = files.sha256(file)
    kind = str(network["_target_"]).split(".")[-1]
    return Pretrained(KINDS.get(kind, kind), file.resolve(), sha256, network, weights, saved["images_seen"] / 1000)


def settle(config, arguments: list[str], previous: dict | None = None) -> Pretrained | None:
    """Gives the networks that are from_gpt the shape of the GPT; what a user has said otherwise is refused.

    Returns the GPT. Where no network needs one it is None, and where `previous` is the configuration of a run that goes
    on, which has all of this already. Raises UserError with all findings.
    """
    names = [name for name in ("generator", "discriminator") if (config.get("warm_start") or {}).get(name) is not None]
    said = {word.lstrip("-+").partition("=")[0] for word in arguments}
    if previous is not None:
        repeat(config, names, said, previous)
        return None
    if not names:
        if "warm_start.sha256" in said:
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
    findings, source = [], f"checkpoint={config.checkpoint}"
    for key, own in (("resolution", gpt.network["img_size"]), ("channels", gpt.network["in_chans"])):
        if config[key] != own:
            findings.append(
                f"{key}={config[key]}: the {gpt.kind} of {source} has {key} {own}; give {key}={own}, or an "
                f"{gpt.kind} trained with {key}={config[key]}"
            )
    for name in names:
        findings += give_shape(config, name, gpt, said)
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


def wanted_shape(gpt: Pretrained) -> dict:
    """The keys of a network that are the GPT's, with their values."""
    wanted = {key: [gpt.network[key]] for key in LISTS} | {"mlp_ratio": gpt.network["mlp_ratio"], "window_size": None}
    if "patch_size" in gpt.network["tokens"]:  # else its tokens are pixels, which have no counterpart in a GAN
        wanted["patch_size"] = gpt.network["tokens"]["patch_size"]
    return wanted


def give_shape(config, name: str, gpt: Pretrained, said: set[str]) -> list[str]:
    """Sets the shape of one network. Returns a sentence for everything a user has said otherwise."""
    network, findings, source = config[name], [], f"checkpoint={config.checkpoint}"
    for key, value in wanted_shape(gpt).items():
        here = OmegaConf.to_container(network)[key]
        if f"{name}.{key}" in said or "config" in said:
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
        here = OmegaConf.to_container(network)["transformer"].get(key)
        if f"{name}.transformer.{key}" in said and here != theirs.get(key):
            findings.append(
                f"{name}.transformer.{key}={here}: the {gpt.kind} of {source} has "
                f"{theirs.get(key, 'the default')}; leave it out, or give another {gpt.kind}"
            )
        elif key in theirs:
            network.transformer[key] = theirs[key]
    OmegaConf.set_struct(config, True)
    return findings


def repeat(config, names: list[str], said: set[str], previous: dict) -> None:
    """Fills in what a run that goes on was given when it began, for comparison with what is asked for now."""
    before = previous.get("warm_start") or {}
    names = [name for name in names if before.get(name) is not None]  # of others the comparison says what is new
    if not names:
        return
    for key in ("source", "sha256"):
        config.warm_start[key] = before[key] and literal(str(before[key]))
    OmegaConf.set_struct(config, False)
    for name in names:
        for key in (*LISTS, "mlp_ratio", "window_size", "patch_size"):
            if f"{name}.{key}" not in said:
                config[name][key] = previous[name][key]
        for key in set(STACK) & set(previous[name]["transformer"]):
            if f"{name}.transformer.{key}" not in said:
                config[name].transformer[key] = previous[name]["transformer"][key]
    OmegaConf.set_struct(config, True)


def begin(gpt: Pretrained, module) -> list[str]:
    """Copies the stack into the networks of a module that are from_gpt, and into the average. Returns what to say."""
    said = []
    for name, start in module.pretrained.items():
        network = getattr(module, name)
        if start.copied(network):
            said += lines(name, copy_stack(gpt, network, start), gpt, start)
    module.ema.load_state_dict(getattr(module, module.networks[0]).state_dict())
    return said


def transplant(weights: dict[str, Tensor], places: dict[str, Tensor]) -> None:
    """Copies the weights that have these names into their places. Raises CheckpointError unless every one fits."""
    found = []
    for name, place in places.items():
        there = tuple(weights[name].shape) if name in weights else "nothing"
        if there != tuple(place.shape):
            found.append(f"{name} is {there} there and {tuple(place.shape)} here")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise checkpoint.CheckpointError(f"the pre-trained weights do not fit: {'; '.join(found[:3])}{more}")
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(weights[name])


def copy_stack(gpt: Pretrained, network: nn.Module, start) -> dict[str, dict[str, int]]:
    """Copies what `start` (training/pretrained.py) wants of the GPT's stack into the network.

    Returns the report: {"copied", "norms", "fresh", "left": {name: number of parameters}}.
    """
    places = start.copied(network)
    transplant(gpt.weights, places)
    used, norms = set(places), {}
    for i, block in enumerate(network.stages[0].blocks[: start.blocks] if start.norms else ()):
        for part in ("norm1", "norm2"):
            place = f"stages.0.blocks.{i}.{part}"
            own = {n.removeprefix(f"{place}."): v for n, v in gpt.weights.items() if n.startswith(f"{place}.")}
            changed = getattr(block, part).start_at(own["norm.weight"], own.get("gamma"))
            norms |= {f"{place}.{n}": getattr(block, part).get_parameter(n).numel() for n in changed}
            used |= {f"{place}.{n}" for n in own}
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {
        "copied": {name: sizes[name] for name in places},
        "norms": norms,
        "fresh": {name: n for name, n in sizes.items() if name not in places and name not in norms},
        "left": {name: value.numel() for name, value in gpt.weights.items() if name not in used},
    }


def lines(name: str, report: dict, gpt: Pretrained, start) -> list[str]:
    """The report in words."""
    shape = ", ".join(f"{key} {gpt.network[key]:g}" for key in (*LISTS, "mlp_ratio"))
    said = [
        f"start   {name} from the {gpt.kind} of {gpt.path} ({gpt.kimg:g} kimg, sha256 {gpt.sha256[:12]}): {shape}",
        f"        copied {amount(report['copied'])}: {parts(report['copied'])}",
    ]
    if report["norms"]:
        said.append(f"        set by the GPT's {amount(report['norms'])}: {parts(report['norms'])}")
    said.append(f"        fresh {amount(report['fresh'])}: {parts(report['fresh'])}")
    said.append(f"        left behind {amount(report['left'])}: {parts(report['left'])}")
    how = [f"does not move for {start.frozen:g} kimg"] if start.frozen else []
    how += [f"has {start.lr_factor:g} of the learning rate"] if start.lr_factor != 1 else []
    return said + [f"        what was copied {', then '.join(how)}"] * bool(how)


def amount(sizes: dict[str, int]) -> str:
    return f"{len(sizes)} tensors, {sum(sizes.values()):,} parameters"


def parts(sizes: dict[str, int]) -> str:
    """The layers that parameters belong to, those of blocks by their kind."""
    kinds = {"attn": "attention", "mlp": "feed-forward", "norm1": "norms", "norm2": "norms"}
    found = []
    for name in sizes:
        parts = name.split(".")
        word = parts[0]
        if word == "stages":
            word = "LayerScale" if parts[-1] == "gamma" else kinds[parts[4]]
            word += " of the blocks"
        if word not in found:
            found.append(word)
    return ", ".join(found) or "nothing"
