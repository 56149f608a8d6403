"""Which networks of a configuration begin with another run: their shapes, and once they are built their weights."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from transgan.errors import UserError
from transgan.instantiation import literal
from transgan.warm_start import stack, whole
from transgan.warm_start.source import LISTS, Source, article, one_of, planned, read, ways

STACKS = ["image GPT", "masked model", "flow"]
WHOLE = ["flow", "one-step generator"]
FROZEN = {  # parts of an algorithm that are another run's network, not trained: of which kind, and whether it is needed
    "features": (["masked model"], False),
    "teacher": (["flow"], True),
}


def settle(
    config: DictConfig, arguments: list[str], previous: dict | None = None, first: dict | None = None
) -> Source | None:
    """Gives the networks that begin with another run their shape, unless overrides contradict it.

    Of a configuration that knows its number of classes, that of the source must be the same.

    Returns the source; None where no network needs one, or where `previous` is the configuration of the run to resume,
    which includes the shape already. first: the configuration of the run at checkpoint=, where that is yet to be
    trained: then there are shapes alone, and nothing to `begin` with. Raises UserError with all findings.
    """
    names, parts = parts_of(config)
    given = {word.lstrip("-+").partition("=")[0] for word in arguments}
    if previous is not None:
        repeat(config, names, parts, given, previous)
        return None
    if not names and (not parts or config.checkpoint is None and not needs(parts)):
        if "warm_start.sha256" in given:
            raise UserError(
                "warm_start.sha256: no network is from_gpt or from_flow; add generator=from_gpt, or leave it out"
            )
        if config.get("checkpoint") is not None:
            raise UserError(
                f"checkpoint={config.checkpoint}: nothing takes its weights; add generator=from_gpt, "
                "discriminator=from_gpt or both, from_flow for a flow, or begin with all weights of a run: init_from="
            )
        return None
    kinds = kinds_of(config, names, parts)
    if config.checkpoint is None:
        what = named(config, names[0]) if names else f"algorithm={chosen(config)}"
        raise UserError(f"{what} needs checkpoint=RUN, the run of {one_of(kinds)}; train one with {ways(kinds)}")
    if config.init_from is not None:
        raise UserError(
            f"init_from={config.init_from} would replace all weights, those of checkpoint="
            f"{config.checkpoint} too; give one of them"
        )
    source = read(config.checkpoint, kinds) if first is None else planned(first, config.checkpoint, kinds)
    findings, said = list[str](), f"checkpoint={config.checkpoint}"
    for key, own in (("resolution", source.network["img_size"]), ("channels", source.network["in_chans"])):
        if config[key] != own:
            findings.append(
                f"{key}={config[key]}: the {source.kind} of {said} has {key} {own}; give {key}={own}, or "
                f"{article(source.kind)} {source.kind} trained with {key}={config[key]}"
            )
    for name in names:
        findings += (whole if whole_of(config, name) else stack).set_shape(config, name, source, given)
    for part in parts:
        whole.fill_in(config, part, source)
        findings += whole.without_gradient(config, part, source) + whole.not_mirrored(config, part, source)
        findings += whole.guide(config, part, source)
    begun = [named(config, name) for name in names if whole_of(config, name)]
    if whats := [f"{each} begins with" for each in begun] or [f"algorithm={chosen(config)} begins with"] * bool(parts):
        findings += whole.other_classes(config, whats[0], source)
    known = config.warm_start.sha256
    if known not in (None, source.sha256):
        findings.append(
            f"{said}: not the file that the configuration names, its sha256 is {source.sha256[:12]} and not "
            f"{known[:12]}; restore that file, or give warm_start.sha256=null"
        )
    config.warm_start.source, config.warm_start.sha256 = literal(str(source.path)), source.sha256
    if findings:
        raise UserError(*findings)
    return source


def parts_of(config: DictConfig) -> tuple[list[str], list[str]]:
    """The networks that begin with another run, and the parts of the algorithm that are one of another run."""
    start = config.get("warm_start") or {}
    names = [
        name for name in ("generator", "discriminator") if start.get(name) is not None and name in config.algorithm
    ]
    return names, [part for part in FROZEN if part in config.algorithm]


def begins(config: DictConfig) -> bool:
    """Whether anything takes the weights of another run."""
    return any(parts_of(config))


def whole_of(config: DictConfig, name: str) -> bool:
    """Whether a network begins with a whole network, and not with a stack."""
    return str(config.warm_start[name]._target_).endswith(".PretrainedNetwork")


def named(config: DictConfig, name: str) -> str:
    """generator=from_gpt, for a sentence."""
    return f"{name}={'from_flow' if whole_of(config, name) else 'from_gpt'}"


def needs(parts: list[str]) -> bool:
    """Whether one of the parts has to be given."""
    return any(FROZEN[part][1] for part in parts)


def kinds_of(config: DictConfig, names: list[str], parts: list[str]) -> list[str]:
    """What the run to begin with may be."""
    wanted = [FROZEN[part][0] for part in parts]
    wanted += [WHOLE if whole_of(config, name) else STACKS for name in names]
    if not (found := [kind for kind in wanted[0] if all(kind in each for each in wanted)]):
        raise UserError(
            f"{named(config, names[0])} and algorithm={chosen(config)} begin with runs of two kinds; leave one out"
        )
    return found


def chosen(config: DictConfig) -> str:
    """The name of the algorithm, for a sentence."""
    return str(config.algorithm._target_).split(".")[-1].lower()


def repeat(config: DictConfig, names: list[str], parts: list[str], given: set[str], previous: dict) -> None:
    """Fills in the shape that a resumed run was given when it began, for comparison with the present configuration."""
    before = previous.get("warm_start") or {}
    names = [name for name in names if before.get(name) is not None]  # others differ anyway
    parts = [part for part in parts if previous["algorithm"].get(part) is not None]
    if not names and not parts:
        return
    for key in ("source", "sha256"):
        config.warm_start[key] = before[key] and literal(str(before[key]))
    OmegaConf.set_struct(config, False)
    for part in parts:
        config.algorithm[part] = previous["algorithm"][part]
        if config.algorithm.get(f"{part}_guidance", 1) is None:
            config.algorithm[f"{part}_guidance"] = previous["algorithm"].get(f"{part}_guidance")
    for name in names:
        shape = whole.SHAPE if whole_of(config, name) else (*LISTS, "mlp_ratio", "window_size", "patch_size")
        for key in shape:
            if key in previous[name] and f"{name}.{key}" not in given:
                config[name][key] = previous[name][key]
        theirs = previous[name].get("transformer") or {}
        for key in set(stack.STACK) & set(theirs):
            if f"{name}.transformer.{key}" not in given:
                config[name].transformer[key] = theirs[key]
    OmegaConf.set_struct(config, True)


def begin(source: Source, module: Any) -> list[str]:
    """Copies the weights into the networks of a module that begin with the source, and into the EMA. Returns a report
    in lines. Raises CheckpointError where they do not fit."""
    report = []
    for name, start in getattr(module, "pretrained", {}).items():
        network = getattr(module, name)
        if hasattr(start, "described"):
            report += whole.lines(name, whole.copy_network(source, network, start), source, start)
        elif start.copied(network):
            report += stack.lines(name, stack.copy_stack(source, network, start), source, start)
    for part in FROZEN:
        if (network := getattr(module, part, None)) is not None:
            network.load_state_dict(source.weights)
            report.append(f"start   {part}: {source.said}")
    module.ema.load_state_dict(getattr(module, module.networks[0]).state_dict())
    return report
