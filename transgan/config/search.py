"""Where configuration is found, as Hydra's search path, and which choices every group has there.

First the package's own folder, then the plugins', conf/ in the current folder, --config-dir and hydra.searchpath.
--config-path comes before all of them.
"""

import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from packaging.version import Version

from transgan import extensions
from transgan.errors import UserError
from transgan.extensions import CONF

Choices = dict[str, dict[str, list[Path]]]  # group: choice: its files


@dataclass(frozen=True)
class Source:
    """A folder of configurations, and how Hydra reports it: who provides it, and its address."""

    provider: str
    folder: Path
    address: str


def option(arguments: Iterable[str], name: str) -> str | None:
    """The value of the last --name=value among the arguments."""
    values = [each.partition("=")[2] for each in arguments if each.startswith(f"--{name}=")]
    return values[-1] if values else None


def sources(arguments: Sequence[str] = ()) -> list[Source]:
    """In the order in which Hydra looks. Raises UserError for a folder that is not there."""
    found = [Source("main", CONF, str(CONF))]
    for plugin in extensions.plugins():
        if plugin.folder is not None:
            found.append(Source(f"plugin {plugin.module}", plugin.folder, str(plugin.folder)))
    if (own := extensions.own_folder()) is not None:
        found.append(Source("current folder", own, str(own)))
    if (given := option(arguments, "config-dir")) is not None:
        found.append(named("command-line", given, f"--config-dir {given}"))
    for address in searchpath(arguments):
        found.append(named("hydra.searchpath in command-line", address, f"hydra.searchpath: {address}"))
    if (given := option(arguments, "config-path")) is not None:
        found = [named("main", given, f"--config-path {given}"), Source("transgan", CONF, str(CONF)), *found[1:]]
    first: dict[Path, Source] = {}
    for source in found:
        first.setdefault(source.folder, source)
    return list(first.values())


def named(provider: str, address: str, said: str) -> Source:
    """The source that a user names by a path, file://PATH or pkg://PACKAGE.FOLDER. Raises UserError."""
    scheme, separator, place = address.partition("://")
    if separator and scheme == "pkg":
        try:
            spec = importlib.util.find_spec(place.replace("/", "."))
        except (ImportError, ValueError):
            spec = None
        folders = list(spec.submodule_search_locations or ()) if spec is not None else []
        if not folders:
            raise UserError(f"{said}: there is no package {place} here; install it, or give the folder's path")
        return Source(provider, Path(folders[0]), folders[0])  # Hydra 1.4 wants an __init__.py behind pkg://
    folder = Path(os.path.abspath(os.path.expanduser(place if separator and scheme == "file" else address)))
    if not folder.is_dir():
        raise UserError(f"{said}: there is no such folder; give the folder that holds generator/, data/ and others")
    return Source(provider, folder, str(folder))


def searchpath(arguments: Iterable[str]) -> list[str]:
    """The addresses that hydra.searchpath=[...] lists. Raises UserError."""
    given = [each for each in arguments if each.lstrip("+").startswith("hydra.searchpath=")]
    if not given:
        return []
    try:
        value = OverridesParser.create().parse_override(given[-1]).value()
    except HydraException:
        value = None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UserError(f"{given[-1]}: it takes a list of folders and packages, such as [file://mine,pkg://mine.conf]")
    return [str(each) for each in value]


def loader(arguments: Sequence[str] = ()) -> ConfigLoaderImpl:
    """Hydra's loader with all sources; Hydra's own singleton of a running application stays as it is."""
    setup_globals()
    if Version(hydra.__version__) < Version("1.4.0.dev0") and not isinstance(version.getbase(), Version):
        version.setbase("1.3")
    if JobRuntime.instance().get("name") == "UNKNOWN_NAME":
        JobRuntime.instance().set("name", "transgan")
    first, *others = sources(arguments)
    search_path = create_config_search_path(first.address)
    schema = search_path.get_path().pop()
    for source in others:
        search_path.append(source.provider, source.address)
    search_path.get_path().append(schema)
    return ConfigLoaderImpl(search_path)


def choices(arguments: Sequence[str] = ()) -> Choices:
    """Every group's choices: conf/generator/x.yaml is choice x of generator, by the first source that has it."""
    found: Choices = {}
    for source in sources(arguments):
        for path in extensions.configurations(source.folder):
            group = path.parent.relative_to(source.folder).as_posix()
            if group != ".":
                found.setdefault(group, {}).setdefault(path.stem, []).append(path)
    return found


def groups(arguments: Sequence[str] = ()) -> dict[str, list[str]]:
    """The configuration groups and the names of their choices."""
    return {group: sorted(found) for group, found in choices(arguments).items()}


def is_ours(path: Path) -> bool:
    """Whether a configuration file is the package's own."""
    return path.is_relative_to(CONF)


def primary(command: str, arguments: Sequence[str]) -> str:
    """The name of the main configuration: the command's, or --config-name. Raises UserError if it is not there."""
    name = option(arguments, "config-name")
    if name is None:
        return re.sub("[- ]", "_", command)
    name = name.removesuffix(".yaml")
    if location(name, arguments) is None:
        folders = [source.folder for source in sources(arguments)]
        there = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
        raise UserError(
            f"--config-name {name}: none of {', '.join(map(str, folders))} has a {name}.yaml; there are: "
            f"{', '.join(there)}"
        )
    return name


def location(name: str, arguments: Sequence[str]) -> Path | None:
    """The file of a configuration, in the first source that has it."""
    files = (source.folder / f"{name}.yaml" for source in sources(arguments))
    return next((file for file in files if file.is_file()), None)


def composed_of(name: str, overrides: list[str], arguments: Sequence[str] = ()) -> list[Path]:
    """The files that a main configuration and these choices of groups are composed of, those in their lists too."""
    found = loader(arguments).compute_defaults_list(name, overrides, RunMode.RUN).defaults
    files = (location(each.config_path, arguments) for each in found if each.config_path)
    return [file for file in files if file is not None]


def groups_of(name: str, arguments: Sequence[str] = ()) -> set[str]:
    """The groups that a main configuration has choices of."""
    return set(defaults_of(name, arguments))


def default_of(name: str, group: str, arguments: Sequence[str] = ()) -> str:
    """A group's default in a main configuration."""
    return str(defaults_of(name, arguments).get(group))


def defaults_of(name: str, arguments: Sequence[str]) -> dict[str, object]:
    """The groups of a main configuration's defaults list, and of those in it, with their defaults."""
    found: dict[str, object] = {}
    path = location(name, arguments)
    loaded: Any = OmegaConf.load(path) if path is not None else {}
    for entry in loaded.get("defaults", ()):
        if isinstance(entry, str):
            found |= defaults_of(entry, arguments) if entry != "_self_" else {}
        else:
            for key, choice in entry.items():
                found[re.sub(r"^(optional|override) |@.*", "", str(key)).lstrip("/")] = choice
    return found
