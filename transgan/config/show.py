"""What Hydra's options show of a command's configuration in the place of running it: --cfg, --info and --hydra-help."""

import logging
from argparse import Namespace
from collections.abc import Sequence

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan.config import hydra_node, search
from transgan.config.command_line import quoted, split
from transgan.config.compose import compose
from transgan.config.flags import Flags
from transgan.config.own import LITERAL
from transgan.errors import UserError, one_line


def main(command: str, arguments: list[str], flags: Flags) -> int:
    """Prints what the flags ask for. Returns the exit code."""
    if flags.hydra_help:
        hydra(arguments).hydra_help(None, get_args_parser(), Namespace(overrides=[]))
    elif flags.info is not None:
        compose(command, arguments)  # what is wrong is said in our sentences
        report(command, arguments, flags.info)
    else:
        print(configuration(command, arguments, flags), end="")
    return 0


def hydra(arguments: Sequence[str]) -> Hydra:
    return Hydra("transgan", search.loader(arguments))


def report(command: str, arguments: Sequence[str], kind: str) -> None:
    """Hydra's own report. Its handlers of the root logger do not stay."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        hydra(arguments).show_info(kind, search.primary(command, arguments), for_hydra(command, arguments))
    finally:
        root.handlers[:], root.level = before, level


def for_hydra(command: str, arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra's grammar has them: bare words as keys, and paths between quotation marks."""
    line, found = split(command, arguments, []), []
    for key, word in line.values:
        if key.startswith("~"):
            found.append(key)
        else:
            literal = key.split(".")[-1] in LITERAL and key != "seeds"
            found.append(f"{key}={quoted(word) if literal else word}")
    return [*(f"{group}={choice}" for group, choice in line.choices.items()), *line.groups, *line.hydra, *found]


def configuration(command: str, arguments: list[str], flags: Flags) -> str:
    """The composed configuration as YAML: the command's own, Hydra's, or both. Raises UserError."""
    config = compose(command, arguments)
    if flags.cfg in ("hydra", "all"):
        mode = RunMode.MULTIRUN if flags.multirun else RunMode.RUN
        config = hydra_node.attached(command, config, split(command, arguments, []), arguments, mode)
        HydraConfig.instance().set_config(config)
        with flag_override(config.hydra, ["struct", "readonly"], [False, False]):
            del config.hydra["help"], config.hydra["hydra_help"]
    return as_yaml(config, flags)


def as_yaml(config: DictConfig, flags: Flags) -> str:
    """The part of a configuration that --package names. Raises UserError."""
    try:
        if flags.cfg == "hydra" and flags.package in (None, "_global_", "hydra"):
            return OmegaConf.to_yaml({"hydra": OmegaConf.to_container(config.hydra, resolve=flags.resolve)})
        part = config if flags.package in (None, "_global_") else OmegaConf.select(config, str(flags.package))
        if part is None:
            there = ", ".join(key for key in map(str, config) if OmegaConf.is_config(config._get_node(key)))
            raise UserError(f"--package {flags.package}: there is no such package; there are: {there}")
        if not isinstance(part, Container):
            return f"{part}\n"
        head = "" if part is config else f"# @package {flags.package}\n"
        return head + OmegaConf.to_yaml(part, resolve=flags.resolve)
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from error
