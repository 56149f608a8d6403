"""From the arguments of a command to a configuration, with every mistake in them found at once.

Hydra composes the groups; keys and values are checked here, by what keys.py declares, so that a typing error is
answered in a sentence before torch is imported, and so that a path may hold any character.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import omegaconf
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan import trust
from transgan.config import from_file as saved_file
from transgan.config import hydra_node, search
from transgan.config.command_line import CommandLine, read, split
from transgan.config.flags import separate
from transgan.config.own import typed_targets
from transgan.config.search import default_of, groups, groups_of, is_ours, primary
from transgan.config.values import assign, delete, flat, mistaken, plain
from transgan.errors import UserError, one_line

# ${product:3,4} is 12. Before OmegaConf 2.4 the other name is that of another function.
old = omegaconf.__version__.startswith(("2.0", "2.1", "2.2", "2.3"))
register: Callable[..., None] = getattr(OmegaConf, "register_new_resolver" if old else "register_resolver")
register("product", lambda *numbers: prod(numbers), replace=True)
# ${patch:32} is 8, the largest power of two that divides 32 pixels into 4 tokens or more, and ${patch:32,8} that for 8;
# ${halvings:32} is 2: so many halvings before patches of 2 give as many tokens.
register("patch", lambda side, tokens=4: patch_of(side, tokens), replace=True)
register("halvings", lambda side, tokens=4: max(0, patch_of(side, tokens).bit_length() - 2), replace=True)


def patch_of(side: int, tokens: int = 4) -> int:
    """The largest power of two that divides a side in pixels into at least so many tokens."""
    return max((2**i for i in range(16) if side % 2**i == 0 and side // 2**i >= tokens), default=1)


# Groups that an algorithm is made of; which ones, its own file says.
PARTS = {
    "generator", "discriminator", "loss", "penalty", "consistency", "augmentation", "adaptive", "supervision",
    "matching", "optimizer", "tokens", "autoencoder", "warm_start",
}  # fmt: skip
NETWORKS = {"generator", "discriminator"}
NEEDED = {
    "data.path": "data.path is needed: the folder or zip of images, such as data.path=~/pictures",
    "run": "a run is needed: `transgan {command} runs/NAME`; `ls runs` shows the runs there are",
    "export to": "a format is needed: to=safetensors, onnx, torch, web or hub; --help says what each is",
    "data check data.path": "a folder or zip of images is needed: `transgan data check PATH`",
    "data prepare data.path": "a folder or zip of images is needed: `transgan data prepare PATH OUT.zip`",
    "out": "a zip to write is needed: `transgan {command} PATH OUT.zip`",
    "path": "a checkpoint is needed: `transgan {command} PATH`",
}


def compose(command: str, arguments: list[str]) -> DictConfig:
    """The configuration of a command. Raises UserError with all findings."""
    findings: list[str] = []
    arguments = separate(arguments)[1]
    line = split(command, arguments, findings)
    base = line.base
    try:
        if base is None:
            config = from_groups(command, line.choices, findings, line, arguments)
        else:
            config = saved_file.run_of(base, PARTS)
        with trust.also(*typed_targets(arguments)):
            settle(command, config, line.values, findings, base)
        if base is not None:
            saved_file.require_parts(base, plain(config, resolve=True))
            saved_file.require_chosen(base, config, {key for key, _ in line.values})
        if line.hydra:
            hydra_node.apply(command, config, line, arguments)
        return config
    except trust.Untrusted as error:
        raise UserError(str(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(*findings, hydra_node.sentence(error)) from error
    except OSError as error:
        raise UserError(f"config={base} cannot be read: {error.strerror or error}") from error


def settle(
    command: str, config: DictConfig, values: list[tuple[str, str]], findings: list[str], base: str | None = None
) -> None:
    """Sets `values` in `config`, and sees that all of it makes sense. Raises UserError with all findings.

    base: the file it comes from, which may name no class that is not trusted: else trust.Untrusted.
    """
    known = groups()
    for key, text in values:
        if key.startswith("~"):
            delete(command, config, key[1:], text, known, findings)
        else:
            assign(command, config, key, text, known, findings)
    with reported(values, findings):
        missing = sorted(OmegaConf.missing_keys(config))
    given = {key for key, _ in values}
    for key in missing:
        if key in given:  # there is a finding about its value
            continue
        if command == "summary" and not key.startswith(("generator.", "discriminator.")):
            continue  # it needs neither data nor features
        sentence = NEEDED.get(f"{command} {key}", NEEDED.get(key, f"{key} is needed"))
        findings.append(sentence.format(command=command))
    if findings:
        raise UserError(*findings)
    given_values = {key.lstrip("+"): text for key, text in values}
    with reported(values):
        resolved = plain(config, resolve=True)
    if base is not None:
        trust.require(resolved, f"config={base}: the file")
    if wrong := list(mistaken(command, resolved, given_values)):
        own = [sentence for sentence in wrong if sentence.partition("=")[0] in given_values]
        raise UserError(*(own or wrong))  # and not all those that refer to them


@contextmanager
def reported(values: list[tuple[str, str]], findings: Iterable[str] = ()) -> Iterator[None]:
    """A ${...} without a target is a UserError that names the override it is in, beside the other findings."""
    try:
        yield
    except (OmegaConfBaseException, RecursionError) as error:
        given = ", ".join(f"{key}={text}" for key, text in values if "${" in text)
        reason = f"{given}: it refers to nothing here, or to itself; write the value" if given else one_line(error)
        raise UserError(*(findings if findings and not given else [*findings, reason])) from error


def all_ours(command: str, arguments: list[str]) -> bool:
    """Whether what a command's configuration is composed of are files of the package alone."""
    line = split(command, separate(arguments)[1], [])
    chosen = [f"{group}={choice}" for group, choice in line.choices.items()]
    files = search.composed_of(primary(command, arguments), [*chosen, *line.groups], arguments)
    return line.base is None and all(map(is_ours, files))


def keys_of(config: DictConfig) -> list[str]:
    """All dotted keys, and those below a part that is another's value."""
    return list(flat(plain(config)))


def from_groups(
    command: str, choices: dict[str, str], findings: list[str], line: CommandLine | None = None,
    arguments: Sequence[str] = (),
) -> DictConfig:  # fmt: skip
    """The command's defaults, with the choices of groups and nothing that belongs to others."""
    line, name = line or CommandLine(), primary(command, arguments)
    known = search.choices(arguments)
    own = groups_of(name, arguments)
    for group in [group for group in choices if group not in own]:
        ours = any(is_ours(path) for paths in known[group].values() for path in paths)
        way = "leave it out" if ours else f"+{group}={choices[group]} adds it"
        findings.append(f"{group}={choices.pop(group)}: transgan {command} has no {group}; {way}")
    for override in map(read, line.groups):
        if override.prefix.startswith("+") and override.package is None and override.key in own:
            way = f"{override.key}=[{default_of(name, override.key, arguments)},{override.value}] adds one"
            raise UserError(*findings, f"{override.argument}: there is a choice of {override.key} already; {way}")
    hydra = search.loader(arguments)
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    config = hydra.load_configuration(name, [*chosen, *line.groups], RunMode.RUN)
    experiment = config.hydra.runtime.choices.get("experiment")
    with_recipe = choices.get("recipe", "none") != "none"
    with flag_override(config, ["struct", "readonly"], [False, False]):
        del config["hydra"]
    findings += needed(command, config, line)
    overrides = [*chosen, *line.groups]
    if experiment and with_recipe:
        keys = keys_set(known["recipe"], choices["recipe"])
        config = recipe_first(config, loaded(hydra, name, overrides, "experiment"), keys)
    if experiment and (replaced := set(choices) & (PARTS | {"algorithm"})):
        without = loaded(hydra, name, overrides, *(group for group in ("experiment", "recipe") if group in own))
        leave_out_foreign(config, without, replaced)
        for part in replaced & {*NETWORKS, "algorithm"}:
            rest = [each for each in overrides if read(each).key != part]
            if choices[part] == hydra.load_configuration(name, rest, RunMode.RUN).hydra.runtime.choices[part]:
                continue  # the experiment's own
            if part in NETWORKS:  # of the size that its own file says
                config[part] = without[part]
                continue
            # rates are of the data; which steps are taken is of the algorithm
            for key in [key for key, value in config[part].items() if isinstance(value, bool)]:
                config[part][key] = without[part][key]
        if all(is_ours(path) for path in known["experiment"].get(experiment, ())):
            for part in replaced:  # of a user's own part the package's experiments know nothing
                if not is_ours(known[part][choices[part]][0]) and part in without:
                    config[part] = without[part]
    leave_out_unused(config, choices, findings)
    return config


def loaded(hydra: ConfigLoaderImpl, name: str, overrides: list[str], *without: str) -> DictConfig:
    """The configuration without some groups."""
    rest = [each for each in overrides if read(each).key not in without]
    config = hydra.load_configuration(name, [*rest, *(f"~{group}" for group in without)], RunMode.RUN)
    with flag_override(config, ["struct", "readonly"], [False, False]):
        del config["hydra"]
    return config


def keys_set(files: dict[str, list[Path]], choice: str) -> set[Any]:
    """The keys that a file of a group sets, or another of the group in its defaults list, beside choosing parts."""
    file: Any = OmegaConf.load(files[choice][0])
    bases = [entry.rpartition("/")[2] for entry in file.get("defaults", ()) if isinstance(entry, str)]
    keys = set(file) - {"defaults"}
    return keys.union(*(keys_set(files, base) for base in bases if base in files and base != choice))


def recipe_first(config: DictConfig, recipe: DictConfig, keys: set[Any]) -> DictConfig:
    """Of an experiment's `config`, what a recipe that the user chose does not say: images, and how they are measured.

    recipe: the configuration without the experiment. keys: what the recipe sets beside choosing parts.
    """
    OmegaConf.set_struct(config, False)
    for key in recipe:
        if key in PARTS or key == "algorithm" or key in keys:
            config[key] = recipe._get_node(key)
    OmegaConf.set_struct(config, True)
    return config


def needed(command: str, config: DictConfig, line: CommandLine) -> Iterator[str]:
    """A sentence for every group that was left out, by ~group or group=null, although something needs it."""
    text = str(plain(config))
    for override in map(read, line.groups):
        group = override.key
        if config.get(group) or command not in ("train", "summary"):
            continue
        if group in saved_file.NEEDED or re.search(rf"\$\{{{re.escape(group)}[.}}]", text):
            yield f"{override.argument}: transgan {command} needs one; choose another {group}="


def leave_out_foreign(config: DictConfig, without: DictConfig, parts: set[str]) -> None:
    """Takes out of the parts that the user chose what an experiment or a recipe has set for others: keys that they lack
    `without` these."""
    OmegaConf.set_struct(config, False)
    for part in parts:
        if without[part] is None:
            config[part] = None
        for key in set(config[part] or ()) - set(without[part] or ()):
            del config[part][key]
    OmegaConf.set_struct(config, True)


def leave_out_unused(config: DictConfig, choices: dict, findings: list[str]) -> None:
    """Takes out the parts that nothing refers to: an image GPT has no discriminator, and a GAN no tokens."""
    if "algorithm" not in config:
        return
    parts = plain(config)
    used, new = set(), set(parts) - PARTS
    while new:
        used |= new
        new = {word for key in new for word in re.findall(r"\$\{(\w+)[.}]", str(parts[key]))} & set(parts) - used
    OmegaConf.set_struct(config, False)
    for key in set(parts) - used:
        del config[key]
        if key in choices:
            kind = str(config.algorithm.get("_target_", "")).split(".")[-1]
            findings.append(
                f"{key}={choices[key]}: this algorithm ({kind}) has no {key}; leave it out, or choose "
                "another algorithm="
            )
    OmegaConf.set_struct(config, True)
