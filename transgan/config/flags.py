"""The options of a command line that are no overrides: Hydra's own, as a Hydra user types them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from transgan.errors import UserError

CONFIGS = ("job", "hydra", "all")
REPORTS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
# Options that say where the configuration comes from. They stay among the overrides, as --config-dir=DIR, for
# everything that composes the configuration again.
SOURCES = {"--config-dir": "config_dir", "-cd": "config_dir", "--config-path": "config_path", "-cp": "config_path",
           "--config-name": "config_name", "-cn": "config_name"}  # fmt: skip
SWITCHES = {"--help": "help", "-h": "help", "--hydra-help": "hydra_help", "--resolve": "resolve",
            "--multirun": "multirun", "-m": "multirun", "--run": "run", "-r": "run"}  # fmt: skip
VALUES = {"--package": "package", "-p": "package"}
CHOICES = {"--cfg": ("cfg", CONFIGS), "-c": ("cfg", CONFIGS), "--info": ("info", REPORTS), "-i": ("info", REPORTS)}


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was asked for beside the overrides."""

    help: bool = False
    hydra_help: bool = False
    cfg: str | None = None
    resolve: bool = False
    package: str | None = None
    info: str | None = None
    multirun: bool = False
    run: bool = False

    @property
    def shows(self) -> bool:
        """Whether something is printed in the place of running the command."""
        return bool(self.hydra_help or self.cfg or self.info)


def separate(arguments: Iterable[str]) -> tuple[Flags, list[str]]:
    """The flags among the arguments, and the overrides in their order. Raises UserError for a flag without its value.

    The options of SOURCES are left among the overrides, each as one argument: --config-dir=DIR.
    """
    found: dict[str, Any] = {}
    overrides, waiting = [], list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        if argument in SWITCHES:
            found[SWITCHES[argument]] = True
        elif name in SOURCES or name in VALUES:
            if not equals and (not waiting or waiting[0].startswith("-")):
                raise UserError(f"{name} needs a value after it, such as {name} {EXAMPLES.get(name, 'NAME')}")
            value = value if equals else waiting.pop(0)
            if name in SOURCES:
                overrides.append(f"--{SOURCES[name].replace('_', '-')}={value}")
            else:
                found[VALUES[name]] = value
        elif name in CHOICES:
            field, choices = CHOICES[name]
            if not equals:  # --cfg alone prints the configuration, whatever follows it
                value = waiting.pop(0) if waiting and waiting[0] in choices else choices[0]
            if value not in choices:
                raise UserError(f"{argument}: {name} takes {', '.join(choices[:-1])} or {choices[-1]}")
            found[field] = value
        else:
            overrides.append(argument)
    multirun = found.pop("multirun", False) or "hydra.mode=MULTIRUN" in overrides
    if multirun and "run" in found:
        raise UserError("--run and --multirun contradict each other; give one of them")
    return Flags(**found, multirun=multirun), [each for each in overrides if not each.startswith("hydra.mode=")]


EXAMPLES = {"--config-dir": "conf", "-cd": "conf", "--config-path": "conf", "-cp": "conf", "--package": "generator",
            "-p": "generator"}  # fmt: skip
