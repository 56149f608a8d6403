"""The configuration with which a run goes on: what its command changes, and for the rest what the run has.

The defaults of a later version are others. What a setting would be by the command that the run was begun with, composed
today, says which differences are the user's and which are the version's: a merge of three.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from transgan import checkpoint, files, warm_start
from transgan.errors import UserError
from transgan.instantiation import container, escaped
from transgan.runs.resuming import Rules, differences, is_default, keep_order, refuse_other, settle

ABSENT = object()


def keep_settings(config: DictConfig, arguments: list[str], last: Path) -> list[str]:
    """Gives `config`, composed from `arguments`, the settings of the run whose checkpoint is `last`, wherever only the
    defaults have changed since. Nothing changes where there is no such run, no record of the command it was begun with,
    or where a user's own files are in use, whose changes are the user's.

    Returns the keys that were set.
    """
    with suppress(checkpoint.CheckpointError, OSError):  # what is wrong with it is said where it is resumed
        if last.exists():
            previous = checkpoint.read(last)
            return merge(config, arguments, previous, begun_with(previous, last.parent.parent))
    return []


def begun_with(previous: dict[str, Any], folder: Path) -> list[str] | None:
    """The arguments of the command that wrote a checkpoint: of earlier versions, env.json holds them."""
    if isinstance(found := previous.get("arguments"), list):
        return [str(each) for each in found]
    with suppress(OSError, ValueError, KeyError, TypeError):
        program, command, *arguments = files.read_json(folder / "env.json")["command"]
        if (program, command) == ("transgan", "train"):
            return [str(each) for each in arguments]
    return None


def merge(config: DictConfig, arguments: list[str], previous: dict[str, Any], begun: list[str] | None) -> list[str]:
    """See keep_settings. begun: the arguments that the run was begun with."""
    from transgan.config.command_line import read
    from transgan.config.compose import all_ours, compose

    if begun is None or not all_ours("train", arguments):
        return []
    saved, rules, found = previous["config"], Rules.read(arguments), list[str]()
    length = f"kimg={float(saved['kimg'])}"  # schedules that end with the run follow its length: compare at one
    try:
        then, base, new = (
            compose("train", begun),
            compose("train", [*begun, length]),
            compose("train", [*arguments, length]),
        )
    except UserError:  # of a version that had other keys, or of files that are gone
        return []
    fill_in(base, begun, previous)
    fill_in(new, arguments, previous)
    fill_in(config, arguments, previous)
    asked = {read(word).key for word in arguments if word not in begun}
    for through_references in (False, True):  # what refers to another key follows it
        for path, value in list(own(saved, container(base), container(new), rules)):
            places = [path, *(tuple(key.split(".")) for key in referred(new, path))]
            if any(inside(place, key) for place in places for key in asked):
                continue
            if put(new, path, escaped(value), through_references):
                put(config, path, following(value, saved["kimg"]), through_references)
                found.append(".".join(path))
    if then.kimg == config.kimg != saved["kimg"]:  # free to change, but a default of today is no change
        config.kimg = saved["kimg"]
        found.append("kimg")
    OmegaConf.set_struct(config, True)
    return found


def inside(path: tuple[str, ...], key: str) -> bool:
    """Whether a key is at this path, above or below it."""
    return all(one == other for one, other in zip(path, key.split("."), strict=False))


def referred(config: DictConfig, path: tuple[str, ...]) -> list[str]:
    """The keys that the value at a path refers to."""
    node: Any = config
    for name in path:
        node = node._get_node(name) if isinstance(node, DictConfig) and not node._is_interpolation() else None
    return re.findall(r"\$\{([\w.]+)\}", str(node._value())) if node is not None and node._is_interpolation() else []


def following(value: Any, kimg: float) -> Any:
    """A value in which the schedules that ended with a run of this length end with the run again."""
    if not isinstance(value, dict):
        return escaped(value)
    is_schedule = str(value.get("_target_", "")).startswith("transgan.schedules.")
    return {
        key: "${kimg}" if is_schedule and key == "kimg" and each == kimg else following(each, kimg)
        for key, each in value.items()
    }


def fill_in(config: DictConfig, arguments: list[str], previous: dict[str, Any]) -> None:
    """What a run's configuration has from its data and from the model it started from."""
    config.num_classes = previous["config"].get("num_classes")
    keep_order(config, previous)
    warm_start.settle(config, arguments, previous["config"])


def own(
    saved: dict, base: Any, new: dict, rules: Rules, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of what a run has and a new configuration has not, where that is no change of its user's.

    base: the configuration by the command of then. A value is ABSENT where the run has no such key.
    """
    for name in dict.fromkeys([*new, *saved]):
        path = (*above, str(name))
        one, then, now = (each.get(name, ABSENT) if isinstance(each, dict) else ABSENT for each in (saved, base, new))
        if one == now or all(each is None or each is ABSENT for each in (one, now)):
            continue
        if isinstance(one, dict) and isinstance(now, dict) and one.get("_target_") == now.get("_target_"):
            yield from own(one, then, now, rules, path)
            continue
        key = ".".join(path)
        if then != now or rules.mark(key) == "free":
            continue
        if one is ABSENT:
            if not counts(new, name, top=not above):
                continue
            if not above:
                one = None  # others refer to it
        yield path, one


def counts(new: dict, name: str, top: bool) -> bool:
    """Whether a run that has no such key is another one with it: a part, or an argument that has not its class's own
    value."""
    from transgan.config.compose import PARTS

    if "_target_" in new:
        return not is_default(new, [name])
    return top and name in PARTS and isinstance(new[name], dict) and "_target_" in new[name]


def put(config: DictConfig, path: tuple[str, ...], value: Any, through_references: bool) -> bool:
    """Sets or takes out one key, unless it, or a group it is in, refers to another: False. A key that refers to another
    is set all the same where `through_references`."""
    OmegaConf.set_struct(config, False)
    node: Any = config
    for name in path[:-1]:
        node = node._get_node(name)
        if not isinstance(node, DictConfig) or node._is_interpolation():
            return False
    there = node._get_node(path[-1])
    if there is not None and there._is_interpolation() and not through_references:
        return False
    if value is ABSENT:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return True


def require_same(
    config: DictConfig, arguments: list[str], previous: dict[str, Any], dataset: Any, folder: Path
) -> None:
    """Refuses to continue a run with settings it was not trained with."""
    found, rules = other_settings(arguments, previous, folder, dataset), Rules.read(arguments)
    if dataset.is_same(previous.get("data")):
        found = [each for each in found if not each.startswith("data.")]  # another way to the same images
    else:
        found.append(f"data: {(previous.get('data') or 'none')[:8]} -> {dataset.fingerprint[:8]} (other images)")
    refuse_other(folder, found, config.force, rules)


def other_settings(arguments: list[str], previous: dict[str, Any], folder: Path, dataset: Any = None) -> list[str]:
    """What the run in `folder` was trained with otherwise than `arguments` say, as `key: old -> new`. Without a data
    set it has as many classes as the run, and may be other images."""
    from transgan.config.compose import compose

    # schedules that end with the run follow its length: compare at the old one
    same_length = compose("train", [*arguments, f"kimg={float(previous['config']['kimg'])}"])
    merge(same_length, arguments, previous, begun_with(previous, folder))
    keep_order(same_length, previous)
    settle(same_length, dataset or SimpleNamespace(num_classes=previous["config"].get("num_classes") or 0))
    warm_start.settle(same_length, arguments, previous["config"])
    before = previous["config"] | {"callbacks": previous.get("watched_by")}
    return differences(before, container(same_length), Rules.read(arguments))


def said(kept: list[str]) -> str:
    """The sentence about the keys that keep_settings has set."""
    names = list(dict.fromkeys(kept))
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"as it was begun, although today's defaults are others: {', '.join(names[:6])}{more}"
