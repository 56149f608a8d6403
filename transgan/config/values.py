"""Sets the values of keys that exist, have an effect and take them; checks all values of a configuration at once."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transgan import migration
from transgan.config.elsewhere import called_here
from transgan.config.keys import declared
from transgan.config.no_effect import instead
from transgan.config.texts import Location, Text
from transgan.config.types import REFERENCE, Free, Kind, Part, is_sweep, parsed

OPEN = (  # for more
    "callbacks", "metrics.measures", "augmentation.steps", "suite.systems", "suite.pretraining", "suite.claims",
)  # fmt: skip


def plain(config: DictConfig, resolve: bool = False) -> dict[str, Any]:
    """A configuration as nested containers of Python."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve))


def assign(command: str, config: DictConfig, key: str, text: str, groups: Iterable[str], findings: list[str]) -> None:
    """Sets one key, if it exists, has an effect, and takes this text; else there is one finding more."""
    keys = flat(plain(config))
    try:
        value = taken(command, keys, key, text, groups)
    except ValueError as error:
        findings.append(str(error))
        return
    key = key.lstrip("+")
    if several(command, key):
        value = [*keys[key], value]  # as they were written: a path may hold a ${
    # a schedule gives way to a number or to another schedule: merging would keep its parts
    merge = isinstance(value, dict) and not ("_target_" in value and is_schedule(keys.get(key)))
    try:
        OmegaConf.update(config, key, value, merge=merge, force_add=True)
    except OmegaConfBaseException as error:  # of half a reference
        findings.append(f"{key}={text}: {str(error).splitlines()[0]}")


def taken(command: str, keys: dict, key: str, text: str, groups: Iterable[str]) -> Any:
    """The value that a text is for a key, of all of the configuration's `keys`. Raises ValueError with the sentence.

    With a + in front the key is new: an argument that a class takes besides.
    """
    add, key = key.startswith("+"), key.lstrip("+")
    place = key.rpartition(".")[0]
    default, parent = keys.get(key), keys.get(place)
    if wrong := instead(command, key, text, default):
        raise ValueError(f"{key}={text}: {wrong}")
    made = isinstance(parent, dict) and "_target_" in parent
    if key not in keys and not (add and isinstance(parent, dict) and (made or place in OPEN)):
        way = f" (+{key}={text} gives its class a new argument)" if made else ""
        raise ValueError(unknown(key, keys, groups) + way)
    kind = Location() if several(command, key) else kind_of(command, key, default, parent)
    try:
        value = text if refers(text, kind) else kind.read(text)
        return known(value, default) if isinstance(value, dict) and isinstance(default, dict) else value
    except ValueError as error:
        sweep = "; with -m there is one run for each of them" if is_sweep(text) else ""
        raise ValueError(f"{key}={text}: {error}{sweep}") from error


def delete(command: str, config: DictConfig, key: str, text: str, groups: Iterable[str], findings: list[str]) -> None:
    """Leaves one key out, if it exists and is an argument of a class; else there is one finding more.

    With a text the key's value must be that.
    """
    keys = flat(plain(config))
    said = f"~{key}={text}" if text else f"~{key}"
    place, _, last = key.rpartition(".")
    parent = keys.get(place)
    if key not in keys:
        findings.append(f"~{unknown(key, keys, groups)}")
    elif not isinstance(parent, dict) or last == "_target_" or not removable(parent, place, keys[key]):
        findings.append(f"{said}: transgan {command} needs it; give it another value, {key}=VALUE")
    elif text and parsed(text) != keys[key]:
        findings.append(f"{said}: its value is {keys[key]}; leave ={text} out, or correct it")
    else:
        with flag_override(config, ["struct", "readonly"], [False, False]):
            del OmegaConf.select(config, place)[last]


def removable(parent: dict, place: str, value: object) -> bool:
    """Whether a key is an argument that a class has a default for, or one of several objects beside each other."""
    return "_target_" in parent or place in OPEN or isinstance(value, dict) and "_target_" in value


def several(command: str, key: str) -> bool:
    """Whether a key holds a list and is given several times, one thing a word."""
    return command in ("compare", "report") and key == "run"


def kind_of(command: str, key: str, default: object, parent: object) -> Kind:
    """What the key is declared to take; what nobody declares is for the class it is an argument of."""
    kind = declared(command, key, parent.get("_target_") if isinstance(parent, dict) else None)
    return kind or (Part() if isinstance(default, dict) else Free())


def refers(text: str, kind: Kind) -> bool:
    """Whether a text is a reference such as ${resolution}; in texts and paths nothing is."""
    return not isinstance(kind, Text) and REFERENCE.fullmatch(text) is not None


def is_schedule(default: object) -> bool:
    return isinstance(default, dict) and str(default.get("_target_", "")).startswith("transgan.schedules.")


def known(value: dict, default: dict) -> dict:
    """The mapping, if it says what it replaces or adds nothing to it. Raises ValueError."""
    unknown = [] if "_target_" in value or not default else [str(key) for key in value if key not in default]
    if unknown:
        raise ValueError(f"there is no {', '.join(unknown)} in it; it has {', '.join(default)}")
    return value


def mistaken(command: str, node: dict, given: dict, place: str = "") -> Iterator[str]:
    """A sentence for every value in a resolved configuration that its key does not take."""
    target = node.get("_target_")
    for name, value in node.items():
        key = f"{place}{name}"
        kind = declared(command, key, target if isinstance(target, str) else None)
        if kind is not None and value != "???":
            try:
                kind.check(value)
            except ValueError as error:
                yield f"{key}={given.get(key, value)}: {error}"
                continue
        if isinstance(value, dict):
            yield from mistaken(command, value, given, f"{key}.")


def flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All dotted keys of nested dicts, inner and outer, with their values."""
    found = {}
    for key, value in node.items():
        found[prefix + str(key)] = value
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
    return found


def unknown(key: str, keys: dict, groups: Iterable[str]) -> str:
    """The sentence for a key that does not exist, with the nearest one that does."""
    if key == "data.path":
        return (
            "data.path does not go with data=digits; choose data=folder, zip or another too, or `transgan train PATH`"
        )
    for old, new in migration.KEYS.items():
        if f"{key}.".startswith(f"{old}."):
            return f"{key} is not an option any more; it is called {new}{key.removeprefix(old)}"
    every = [*keys, *groups]
    if here := called_here(key, every):
        return f"{key} is not an option; here it is {here}"
    last = key.split(".")[-1]
    same = [k for k in every if k.split(".")[-1] == last]
    near = difflib.get_close_matches(key, same, 1, 0.0) or difflib.get_close_matches(key, every, 1, 0.75)
    if not near:
        by_last = {k.split(".")[-1]: k for k in reversed(every)}
        near = [by_last[k] for k in difflib.get_close_matches(last, by_last, 1)]
        near = near or difflib.get_close_matches(key, every, 1)
    hint = f"did you mean {near[0]}?" if near else "--cfg shows all keys"
    return f"{key} is not an option; {hint}"
