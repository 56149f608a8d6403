"""Whether a configuration continues a run, and what changes where it does.

Which settings may change is written in conf/resume.yaml, to which a user's own conf/resume.yaml adds.
"""

import inspect
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_class
from omegaconf import DictConfig

from transgan import files
from transgan.config.search import CONF, sources
from transgan.errors import UserError
from transgan.instantiation import literal, make
from transgan.schedules import schedule

LEAST = 0.03  # of a schedule's range, or of the value: less than that is no jump
LISTS = ("free", "fixed", "architecture")


@dataclass
class Rules:
    """What a change of each key means: `marks` by key, and `repeated`: copy -> the key that is compared instead."""

    marks: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, arguments: Sequence[str] = ()) -> "Rules":
        """Of resume.yaml in every folder of configurations; the user's entries override ours.

        Raises UserError with everything that makes no sense.
        """
        rules, found = cls(), []
        for path in dict.fromkeys(folder / "resume.yaml" for folder in (CONF, *(s.folder for s in sources(arguments)))):
            if path.is_file():
                found += rules.add(path)
        if found:
            raise UserError(*found)
        return rules

    def add(self, path: Path) -> list[str]:
        """Takes the entries of a file. Returns what is wrong with it."""
        try:
            content = yaml.safe_load(files.read_text(path)) or {}
        except (yaml.YAMLError, ValueError, OSError) as error:
            return [f"{path}: {' '.join(str(error).split())}"]
        if not isinstance(content, dict) or set(content) - {*LISTS, "repeated"}:
            return [f"{path}: it holds lists of keys named {', '.join(LISTS)}, and a mapping named repeated"]
        for mark in LISTS:
            entries = content.get(mark) or []
            if not isinstance(entries, list):
                return [f"{path}: {mark} is a list of keys, such as [callbacks.mine]"]
            self.marks |= {str(key): mark for key in entries}
        self.repeated |= {str(copy): str(key) for copy, key in (content.get("repeated") or {}).items()}
        return []

    def mark(self, key: str) -> str:
        """free, fixed or architecture, by the longest entry that is the key or stands above it."""
        parts = key.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((self.marks[each] for each in above if each in self.marks), "fixed")

    def is_repeated(self, key: str, keys: Iterable[str]) -> bool:
        """Whether a key is a copy of another one among `keys`."""
        return any(key.startswith(f"{a}.") and f"{b}{key.removeprefix(a)}" in keys or key == a and b in keys
                   for a, b in self.repeated.items())  # fmt: skip


def leaves(node: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested groups by their dotted keys."""
    if isinstance(node, dict):
        return {k: v for key, value in node.items() for k, v in leaves(value, f"{prefix}{key}.").items()}
    return {prefix.removesuffix("."): node}


def differences(old: dict[str, Any], new: dict[str, Any], rules: Rules | None = None) -> list[str]:
    """Keys whose values differ and may not, as `key: old -> new`; the networks' first, copies left out."""
    rules = rules or Rules.read()
    a, b = leaves(old), leaves(new)
    keys = [
        key
        for key in a | b
        if a.get(key) != b.get(key)  # earlier versions had fewer keys: null is as if there were none
        and rules.mark(key) != "free"
        and not rules.is_repeated(key, a | b)
        and (key in a or not is_default(new, key.split(".")))
    ]
    keys.sort(key=lambda key: rules.mark(key) != "architecture")
    return [f"{key}: {a.get(key, 'absent')} -> {b.get(key, 'absent')}" for key in keys]


def is_default(config: dict[str, Any], key: list[str]) -> bool:
    """Whether a key has the value that its class has without it: what a configuration of an earlier version means."""
    *above, name = key
    node: Any = config
    for each in above:
        node = node[each]
    target = node.get("_target_")
    if target is None or not str(target).startswith("transgan."):
        return False
    parameter = inspect.signature(get_class(target)).parameters.get(name)
    return parameter is not None and parameter.default is not parameter.empty and parameter.default == node[name]


def refuse_other(folder: Path, found: list[str], force: bool, rules: Rules | None = None) -> None:
    """Raises UserError if a run in `folder` was trained with settings this one may not change."""
    rules = rules or Rules.read()
    architecture = [each for each in found if rules.mark(each.partition(":")[0]) == "architecture"]
    if architecture:
        raise UserError(
            f"{folder} holds a run of another architecture ({'; '.join(architecture)}); "
            f"give this one another name=, or take back the change: {as_begun(folder)}"
        )
    if found and not force:
        raise UserError(
            f"{folder} holds a run with other settings ({'; '.join(found)}); "
            "give this one another name=, or continue it with the change by force=true, or as it was: "
            f"{as_begun(folder)}"
        )


def as_begun(folder: Path) -> str:
    """The argument that continues a run with its own settings, whatever else has changed."""
    return shlex.quote(f"config={folder / 'config.yaml'}")


def settle(config: DictConfig, dataset: Any) -> None:
    """Fills in what only the data knows: the number of classes; and where the data is, whatever the current folder."""
    if config.conditional is True and not dataset.num_classes:
        raise ValueError(
            "conditional=true needs classes and the data has none; make a sub-folder per class, or leave it at auto"
        )
    config.num_classes = dataset.num_classes if config.conditional else 0
    if "path" in config.data and config.data.path:
        config.data.path = literal(str(files.expanded(config.data.path).resolve()))


def keep_order(config: DictConfig, previous: dict[str, Any]) -> None:
    """Leaves the images in the order that a run was begun with: earlier versions had that of the published files."""
    before = previous["config"].get("data") or {}
    if config.data.get("_target_") == before.get("_target_") and "order" in config.data:
        config.data.order = before.get("order")


def jumps(previous: dict[str, Any], config: dict[str, Any]) -> str | None:
    """A sentence about the schedules that jump where a run continues, with the overrides that keep them, or None.

    previous: the checkpoint, with "config" and "images_seen". config: the resolved configuration it continues with.
    """
    images, before = previous["images_seen"], previous["config"]
    last = max(0, images - before["batch_size"])  # what the last step was taken at
    old, new = (dict(schedules(each["algorithm"], "algorithm")) for each in (before, config))
    found: list[str] = []
    keeping: list[str] = []
    for key in [key for key in new if key in old and dict in (type(old[key]), type(new[key]))]:
        one, other = (schedule(make(each) if isinstance(each, dict) else each) for each in (old[key], new[key]))
        values = [each(round(images * i / 16)) for each in (one, other) for i in range(33)]
        size = min(max(abs(one(images)), abs(other(images))), max(values) - min(values))
        if abs(other(images) - one(images)) <= LEAST * size:
            continue
        back = "back up " if other(images) > one(images) and key.endswith("lr") else ""
        found.append(f"{key} goes from {one(last):.3g} {back}to {other(images):.3g}")
        lengths = [each.get("kimg") for each in (old[key], new[key]) if isinstance(each, dict)]
        if len(set(lengths)) == 2:
            keeping.append(f"{key}.kimg={lengths[0]:g}")
    if not found:
        return None
    why = f"kimg was {before['kimg']:g} and is {config['kimg']:g}, and schedules that end with the run follow it: "
    stay = f"; to keep the old schedules, add {' '.join(keeping)}" if keeping else ""
    return why * bool(keeping) + ", ".join(found) + stay


def schedules(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """(key, schedule's group of keys or number) of everything in nested groups where a schedule may stand."""
    if isinstance(node, dict) and str(node.get("_target_", "")).startswith("transgan.schedules."):
        yield place, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from schedules(value, f"{place}.{key}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield place, node
