"""What users add from outside the package: conf/ in the current folder, configuration folders they name, and plugins.

A configuration folder has the layout of the package's own: conf/generator/mine.yaml is generator=mine. The classes that
its files name are found beside it: `_target_: mine.Generator` is the class Generator of mine.py in the same folder as
conf/. A plugin is an installed package with an entry point of the group `transgan.plugins` whose value is the name of
its module; its own conf/ is searched, and its classes are trusted.
"""

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from sys import path as import_path

PACKAGE = Path(__file__).parent
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # a wheel, a checkout
NAME = "conf"
GROUP = "transgan.plugins"
TARGET = re.compile(r"""_target_["']?\s*[:=]\s*["']?([^\W\d]\w*(?:\.[^\W\d]\w*)+)""")


@dataclass(frozen=True)
class Plugin:
    """An installed package that extends transgan: the module its entry point names, and its conf/ if it has one."""

    module: str
    folder: Path | None


@cache
def plugins() -> tuple[Plugin, ...]:
    """The installed plugins. None of them is imported."""
    modules = sorted({entry.value.partition(":")[0].strip() for entry in entry_points(group=GROUP)})
    return tuple(Plugin(module, folder_of(module)) for module in modules)


def folder_of(module: str) -> Path | None:
    """The conf/ folder of a package, or of the package around a module. Only packages around it are imported."""
    for name in (module, module.rpartition(".")[0]):
        try:
            spec = importlib.util.find_spec(name) if name else None
        except (ImportError, ValueError):
            return None
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (folder := Path(place) / NAME).is_dir():
                return folder
    return None


def own_folder() -> Path | None:
    """conf/ in the current folder, unless it is the package's own."""
    try:
        folder = Path.cwd() / NAME
        return folder if folder.is_dir() and not folder.samefile(CONF) else None
    except OSError:  # the current folder is gone, or may not be looked into
        return None


def configurations(folder: Path) -> Iterator[Path]:
    """The YAML files in a configuration folder and the folders in it."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        yield from (Path(place) / name for name in sorted(names) if name.endswith(".yaml"))


def targets_in(folder: Path) -> set[str]:
    """The classes that the files of a configuration folder name."""
    found: set[str] = set()
    for path in configurations(folder):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            found |= set(TARGET.findall(line.partition(" #")[0])) if not line.lstrip().startswith("#") else set()
    return found


def named() -> frozenset[str]:
    """What the user trusts without saying so: the classes that conf/ in the current folder names, and plugins."""
    folder = own_folder()
    return frozenset(targets_in(folder) if folder else ()) | {plugin.module for plugin in plugins()}


@contextmanager
def importable(folders: Iterable[Path]) -> Iterator[None]:
    """Inside, modules beside these configuration folders can be imported; they come after all that is installed."""
    before = list(import_path)
    import_path.extend(parent for folder in folders if (parent := str(folder.parent)) not in before)
    try:
        yield
    finally:
        import_path[:] = before
