"""From the arguments of a command to keys with their values, choices of groups, and what bare words mean."""

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transgan.config.bare import of_images, positional, refuse_several
from transgan.config.keys import AUTO
from transgan.config.search import Choices, choices, is_ours, option

# The prefix says to add a key or to delete it, the package where a group's choice goes.
OVERRIDE = re.compile(r"(~|\+\+|\+|)([^=@]*)(?:@([^=]*))?(=(?s:.*))?")
OWN_AUTO = ("conditional", "compile")  # have a meaning for auto themselves
KEY = re.compile(r"[^\W\d][\w.]*(/[\w./]+)?")


@dataclass(frozen=True)
class Override:
    """One argument, as Hydra reads it: prefix key @package =value. Without = the value is None."""

    argument: str
    prefix: str
    key: str
    package: str | None
    value: str | None

    @property
    def of_hydra(self) -> bool:
        """Whether it is for Hydra's own configuration."""
        return self.key == "hydra" or self.key.startswith(("hydra.", "hydra/"))


@dataclass
class CommandLine:
    """What the arguments say. `values` has what is set and deleted, in order; a key's prefix is in front of it."""

    values: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)  # other overrides of groups, for Hydra as they are
    hydra: list[str] = field(default_factory=list)
    base: str | None = None  # the file after config=


def read(argument: str) -> Override:
    """Takes an argument apart."""
    text = argument.removeprefix("--")
    found = OVERRIDE.fullmatch(text)
    if found is None:  # an @ after the first one
        key, _, value = text.partition("=")
        return Override(argument, "", key, None, value)
    prefix, key, package, value = found.groups()
    return Override(argument, prefix, key, package, None if value is None else value[1:])


def split(command: str, arguments: Sequence[str], findings: list[str]) -> CommandLine:
    """The arguments in their kinds; every mistake in them is one finding more."""
    line, known, bare = CommandLine(), choices(arguments), False
    asked = chosen_by_itself(arguments) if command == "train" else set()
    for argument in arguments:
        if argument.startswith(("--config-dir=", "--config-path=", "--config-name=")):
            continue  # search.py reads them
        override = read(argument)
        if override.key in asked and override.value == "auto":
            continue
        if override.of_hydra and KEY.fullmatch(override.key):
            if not override.key.startswith("hydra.searchpath"):  # search.py reads it
                line.hydra.append(argument)
        elif override.key in known and (override.value is not None or override.prefix == "~"):
            choose(override, known, line, findings, explicit=option(arguments, "config-path") is not None)
        elif is_deletion(override):
            line.values.append((f"~{override.key}", "" if override.value is None else override.value))
        elif override.value is None or "/" in override.key or is_checkpoint_file(argument):
            bare = True
            positional(command, argument, line.values, findings)
        elif override.package is not None:
            near = difflib.get_close_matches(override.key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(sorted(known))}"
            findings.append(f"{argument}: {override.key} is not a group, and only a group's choice has a package{hint}")
        elif override.key == "config" and command == "train" and not override.prefix:
            line.base = override.value
        else:
            line.values.append((override.prefix + override.key, override.value))
    if line.base is not None and (line.choices or line.groups):
        given = ", ".join([*line.choices, *line.groups])
        findings.append(f"with config=, {given} cannot be chosen anew; override single keys instead")
    if bare:
        refuse_several(command, line.values, findings)
        places = [value for key, value in line.values if key == "data.path"]
        if command == "train" and line.base is None and places:
            of_images(places[-1], line.values, line.choices, line.hydra)
    if asked and line.choices.get("experiment") != "folder":
        before = dict(line.values).get("auto", "[]")[1:-1].split(",")
        line.values.append(("auto", f"[{','.join(sorted(asked.union(filter(None, map(str.strip, before)))))}]"))
    return line


def chosen_by_itself(arguments: Sequence[str]) -> set[str]:
    """The keys that are to be chosen: those given as KEY=auto, for which auto is no value of their own."""
    given = [read(argument) for argument in arguments if argument.endswith("=auto")]
    return {each.key for each in given if each.key in AUTO and each.key not in OWN_AUTO and not each.prefix}


def is_checkpoint_file(argument: str) -> bool:
    """Whether this is a file in the current folder, named as Lightning's ModelCheckpoint does: epoch=0-step=4.ckpt."""
    return argument.startswith("epoch=") and argument.endswith(".ckpt") and os.path.isfile(argument)


def is_deletion(override: Override) -> bool:
    """Whether ~key asks to leave a key out: ~/images and ~alice, where there is such a user, are paths."""
    if override.prefix != "~" or KEY.fullmatch(override.key) is None or "/" in override.key:
        return False
    return override.value is not None or os.path.expanduser(override.argument) == override.argument


def choose(override: Override, known: Choices, line: CommandLine, findings: list[str], explicit: bool) -> None:
    """Takes a choice of a group, if there is such a choice; else there is one finding more."""
    group, argument = override.key, override.argument.removeprefix("--")
    if override.prefix == "~":
        line.groups.append(argument)
        return
    value, plain = override.value or "", override.package is None and not override.prefix
    value, colon, model = (value, "", "") if value.startswith("[") else value.partition(":")
    if colon:  # extractor=timm:resnet50
        line.values.append((f"{group}.model_name", model))
    several: list[str | None] = []
    for each in listed(value):
        several.append(each)
        if each == "null" and "null" not in known[group]:
            continue
        if each not in known[group]:
            near = difflib.get_close_matches(each, known[group], 1)
            several[-1] = near[0] if near else None  # so that the other overrides are checked as they were meant
            hint = f"did you mean {near[0]}? " if near else ""
            if all(part in known[group] for part in each.split(",")):
                hint = "with -m there is one run for each of them. "
            there = ", ".join(sorted(known[group]))
            findings.append(f"{group}={each}: there is no such {group}; {hint}There are: {there}")
        elif not explicit and (other := ambiguous(known[group][each])):
            findings.append(f"{group}={each}: {other} is not the package's own file of this name; rename it")
    if plain and several == ["null"]:  # Hydra takes it only where the default is null, too
        line.groups.append(f"~{group}")
    elif plain and len(several) == 1 and several[0] is not None and not value.startswith("["):
        line.choices[group] = several[0]
    elif several == listed(value):  # and none of them is wrong
        line.groups.append(argument)


def listed(value: str) -> list[str]:
    """The choices in a and in [a,b]."""
    return [each.strip() for each in value[1:-1].split(",")] if re.fullmatch(r"\[.*\]", value) else [value]


def ambiguous(files: list[Path]) -> str | None:
    """A user's file with the name of one of the package's, unless they hold the same."""
    others = [path for path in files if not is_ours(path)]
    if len(others) in (0, len(files)):
        return None
    own = next(path for path in files if is_ours(path)).read_bytes()
    return next((str(path) for path in others if path.read_bytes() != own), None)


def quoted(text: str) -> str:
    """A text as one value of Hydra's grammar, whatever is in it."""
    escaped = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", text)
    return f"'{escaped}{escaped[len(escaped.rstrip(chr(92))) :]}'"
