"""A whole network: everything that it and the new one have in common, up to the ends of the new one."""

from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from torch import nn

from transgan.warm_start.source import LISTS, Source, article
from transgan.warm_start.weights import amount, parts, transplant

# Arguments that determine names, shapes or the meaning of weights; a network takes those of them that it has.
SHAPE = (
    "patch_size", *LISTS, "mlp_ratio", "style_dim", "prediction", "levels", "quantise", "norm", "transformer", "output",
)  # fmt: skip
WEIGHTLESS = ("checkpointing",)  # arguments of these that determine no weight: the user's stay


def shaping(value: Any) -> Any:
    """The value of an argument without what determines no weight."""
    return {k: v for k, v in value.items() if k not in WEIGHTLESS} if isinstance(value, dict) else value


def set_shape(config: DictConfig, name: str, source: Source, given: set[str]) -> list[str]:
    """Sets the shape of one network. Returns a sentence for every override that contradicts it."""
    network, findings = config[name], list[str]()
    current: Any = OmegaConf.to_container(network)
    OmegaConf.set_struct(config, False)
    for key in SHAPE:
        if key not in current or key not in source.network:
            continue
        own, here = source.network[key], current[key]
        free = {each: f"{name}.{key}.{each}" for each in WEIGHTLESS}
        others = given - set(free.values())
        said = any(each == f"{name}.{key}" or each.startswith(f"{name}.{key}.") for each in others)
        if not said and "config" not in given:
            kept = {each: here[each] for each, word in free.items() if word in given}
            network[key] = own | kept if kept else own
        elif shaping(here) != shaping(own):
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


def other_classes(config: DictConfig, what: str, source: Source) -> list[str]:
    """A sentence where the source has other classes than the data, whose number is known by now."""
    if config.num_classes in (None, source.num_classes):
        return []
    way = "give checkpoint= of one that was trained on them"
    if not config.num_classes and config.conditional is False:
        way = "give conditional=true, or checkpoint= of one without classes"
    own, ours = (f"{count} classes" if count else "no classes" for count in (source.num_classes, config.num_classes))
    return [f"{what} {article(source.kind)} {source.kind} of {own} ({source.path}), and here there are {ours}; {way}"]


def without_gradient(config: DictConfig, part: str, source: Source) -> list[str]:
    """A sentence where the features are those of tokens that have no gradient by the image."""
    tokens = str((source.network.get("tokens") or {}).get("_target_", ""))
    if part != "features" or not tokens or hasattr(get_class(tokens), "patches"):
        return []
    return [
        f"checkpoint={config.checkpoint}: that {source.kind} has tokens of the kind {tokens.split('.')[-1]}, through "
        "which no gradient by the image goes, and the features of algorithm=drifting need one; train it with "
        "tokens=patches"
    ]


def not_mirrored(config: DictConfig, part: str, source: Source) -> list[str]:
    """A sentence where a student, which looks at no real images, is to be shown them mirrored and its flow was not."""
    if part != "teacher" or not config.get("mirror") or source.config["algorithm"].get("mirror"):
        return []
    return [
        f"mirror=true: a student looks at no real images, and the flow of checkpoint={config.checkpoint} was trained "
        "with mirror=false; leave it out, or give a flow trained with mirror=true"
    ]


def guide(config: DictConfig, part: str, source: Source) -> list[str]:
    """Sets the guidance of a teacher that is given none to that of its run. Returns a sentence where it cannot be."""
    if part != "teacher" or "teacher_guidance" not in config.algorithm:
        return []
    theirs, guidance = source.config["algorithm"], config.algorithm.teacher_guidance
    if guidance is None:
        config.algorithm.teacher_guidance = float(theirs.get("guidance") or 1)
    elif guidance != 1 and not (source.num_classes and theirs.get("label_dropout")):
        return [
            f"algorithm.teacher_guidance={guidance:g}: the flow of checkpoint={config.checkpoint} does not know images "
            "without a class; leave it out, or give a flow trained with classes and algorithm.label_dropout=0.1"
        ]
    return []


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
