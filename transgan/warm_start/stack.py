"""The stack of another kind of network: attention and feed-forward layers, and the norms as well as they go."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from transgan.warm_start.source import LISTS, Source
from transgan.warm_start.weights import amount, parts, transplant

# Further arguments of a stack that its weights' names and shapes depend on.
STACK = ("qkv_bias", "qk_norm", "mlp_layer", "attn_layer", "rotary", "relative_position")


def wanted_shape(gpt: Source) -> dict[str, Any]:
    """The arguments of a network that the GPT determines, with their values."""
    wanted: dict[str, Any] = {key: [gpt.network[key]] for key in LISTS}
    wanted |= {"mlp_ratio": gpt.network["mlp_ratio"], "window_size": None}
    tokens = gpt.network.get("tokens", gpt.network)
    if "patch_size" in tokens:  # otherwise they are pixels, which have no counterpart in a GAN
        wanted["patch_size"] = tokens["patch_size"]
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
            changed = getattr(block, part).start_at(*centre(own))
            norms |= {f"{prefix}{n}": getattr(block, part).get_parameter(n).numel() for n in changed}
            used |= {f"{prefix}{n}" for n in own}
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {
        "copied": {name: sizes[name] for name in copied},
        "norms": norms,
        "from_scratch": {name: n for name, n in sizes.items() if name not in copied and name not in norms},
        "unused": {name: value.numel() for name, value in gpt.weights.items() if name not in used},
    }


def centre(norm: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
    """The scale and the gate of a norm's weights; of one that a style modulates, where the style is zero."""
    if "modulation.bias" not in norm:
        return norm["norm.weight"], norm.get("gamma")
    scale, gate = norm["modulation.bias"].chunk(2)
    return 1 + scale, gate


def lines(name: str, report: dict[str, dict[str, int]], gpt: Source, start: Any) -> list[str]:
    """The report of `copy_stack` as text."""
    shape = ", ".join(f"{key} {gpt.network[key]:g}" for key in (*LISTS, "mlp_ratio"))
    text = [
        f"start   {name} from {gpt.said}: {shape}",
        f"        copied {amount(report['copied'])}: {parts(report['copied'])}",
    ]
    if report["norms"]:
        text.append(f"        set by the GPT's {amount(report['norms'])}: {parts(report['norms'])}")
    text.append(f"        from scratch {amount(report['from_scratch'])}: {parts(report['from_scratch'])}")
    text.append(f"        not used {amount(report['unused'])}: {parts(report['unused'])}")
    how = [f"is frozen for {start.frozen:g} kimg"] if start.frozen else []
    how += [f"has {start.lr_factor:g} of the learning rate"] if start.lr_factor != 1 else []
    return text + [f"        what was copied {', then '.join(how)}"] * bool(how)
