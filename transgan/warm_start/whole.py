"""A whole network: everything that it and the new one have in common, up to the ends of the new one."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from transgan import checkpoint
from transgan.warm_start.source import LISTS, Source, article
from transgan.warm_start.weights import amount, parts, transplant

# Arguments that determine names, shapes or the meaning of weights; a network takes those of them that it has.
SHAPE = (
    "patch_size", *LISTS, "mlp_ratio", "style_dim", "prediction", "levels", "quantise", "norm", "transformer", "output",
)  # fmt: skip


def set_shape(config: DictConfig, name: str, source: Source, given: set[str]) -> list[str]:
    """Sets the shape of one network. Returns a sentence for every override that contradicts it."""
    network, findings = config[name], list[str]()
    current: Any = OmegaConf.to_container(network)
    OmegaConf.set_struct(config, False)
    for key in SHAPE:
        if key not in current or key not in source.network:
            continue
        own, here = source.network[key], current[key]
        said = any(each == f"{name}.{key}" or each.startswith(f"{name}.{key}.") for each in given)
        if not said and "config" not in given:
            network[key] = own
        elif here != own:
            findings.append(
                f"{name}.{key}={here}: the {source.kind} of checkpoint={config.checkpoint} has {key} {own}; leave it "
                f"out, or give another {source.kind}"
            )
    OmegaConf.set_struct(config, True)
    return findings


def fill_in(config: DictConfig, part: str, source: Source) -> None:
    """algorithm.PART becomes the source's network."""
    OmegaConf.set_struct(config, False)
    config.algorithm[part] = source.network
    OmegaConf.set_struct(config, True)


def require_classes(source: Source, classes: int, what: str) -> None:
    """Raises CheckpointError for a source of other classes than the data has."""
    own = source.network.get("num_classes", 0)
    if own != classes:
        raise checkpoint.CheckpointError(
            f"{what} begins with {article(source.kind)} {source.kind} of {own} classes ({source.path}), and these "
            f"images have {classes}; give checkpoint= of one that was trained on them"
        )


def copy_network(source: Source, network: nn.Module, start: Any) -> dict[str, dict[str, int]]:
    """Copies the weights that `start` (training/pretrained.py) selects. Returns the report:
    {"copied", "from_scratch", "unused": {name: number of parameters}}."""
    copied = start.copied(network)
    transplant(source.weights, copied)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return {
        "copied": {name: sizes[name] for name in copied},
        "from_scratch": {name: n for name, n in sizes.items() if name not in copied},
        "unused": {name: value.numel() for name, value in source.weights.items() if name not in copied},
    }


def lines(name: str, report: dict[str, dict[str, int]], source: Source, start: Any) -> list[str]:
    """The report of `copy_network` as text."""
    text = [
        f"start   {name} from {source.said}",
        f"        copied {amount(report['copied'])}: {parts(report['copied'])}",
    ]
    for key, said in (("from_scratch", "from scratch"), ("unused", "not used")):
        if report[key]:
            text.append(f"        {said} {amount(report[key])}: {parts(report[key])}")
    return text + [f"        {said}" for said in start.described()]
