"""The keys under `hydra`: where a run is kept, and how several runs are launched."""

import os
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan.config import search
from transgan.config.command_line import CommandLine, quoted, read
from transgan.config.no_effect import of_hydra
from transgan.config.texts import Name
from transgan.config.values import flat, unknown
from transgan.errors import UserError, one_line
from transgan.instantiation import literal


def sentence(error: Exception) -> str:
    """An error of Hydra's in one line, with its cause where that says more."""
    cause = error.__cause__
    more = f" ({one_line(cause)})" if isinstance(cause, OmegaConfBaseException) else ""
    return f"{one_line(error)}{more}"


def attached(
    command: str, config: DictConfig, line: CommandLine, arguments: Sequence[str], mode: RunMode = RunMode.RUN
) -> DictConfig:
    """A copy of a command's configuration with Hydra's own in it, under `hydra`. Raises UserError."""
    choices = [] if line.base else [f"{group}={choice}" for group, choice in line.choices.items()] + line.groups
    loader, name = search.loader(arguments), search.primary(command, arguments)
    own = [*map(parsable, line.hydra)]
    try:
        loaded = loader.load_configuration(name, [*choices, *own], mode, validate_sweep_overrides=False)
    except (HydraException, OmegaConfBaseException) as error:
        groups = [each for each in line.hydra if "/" in read(each).key]
        plain = OmegaConf.to_container(loader.load_configuration(name, [*choices, *groups], mode).hydra, resolve=False)
        raise UserError(*(unknown_keys(line, flat({"hydra": plain})) or [sentence(error)])) from error
    whole = config.copy()
    given = [each for each in arguments if not read(each).of_hydra and not each.startswith("--config-")]
    with flag_override(whole, ["struct", "readonly"], [False, False]):
        whole.hydra = loaded.hydra
        whole.hydra.overrides.task = [literal(each) for each in given]
        whole.hydra.job.override_dirname = literal(",".join(sorted(given)))
    return whole


def parsable(argument: str) -> str:
    """An override that Hydra's grammar has, with quotation marks where it does not fit, as for a path."""
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        key, _, value = argument.partition("=")
        return f"{key}={quoted(value)}"
    return argument


def unknown_keys(line: CommandLine, keys: dict[str, object]) -> list[str]:
    """A sentence for every key of Hydra's that does not exist."""
    overrides = [each for each in map(read, line.hydra) if "/" not in each.key and not each.prefix]
    return [unknown(each.key, keys, ()) for each in overrides if each.key not in keys]


def apply(command: str, config: DictConfig, line: CommandLine, arguments: Sequence[str]) -> None:
    """Lets keys of Hydra's do for one run what they mean: hydra.run.dir is its folder. Raises UserError."""
    if findings := [f"{each}: {wrong}" for each in line.hydra if (wrong := of_hydra(read(each).key))]:
        raise UserError(*findings)
    whole = attached(command, config, line, arguments)
    for name, value in whole.hydra.job.env_set.items():
        os.environ[str(name)] = str(value)
    given = [each for each in line.hydra if read(each).key == "hydra.run.dir"]
    if not given:
        return
    if command != "train":
        raise UserError(f"{given[-1]}: transgan {command} makes no run; leave it out")
    if twice := [f"{key}={text}" for key, text in line.values if key.lstrip("+") in ("name", "runs")]:
        raise UserError(f"{given[-1]} and {', '.join(twice)} both say where the run is kept; give one of them")
    runs, name = os.path.split(os.path.normpath(str(whole.hydra.run.dir)))
    if wrong := Name.wrong(name):
        raise UserError(f"{given[-1]}: a run's name {wrong}; give another folder")
    config.runs, config.name = literal(runs or "."), literal(name)
