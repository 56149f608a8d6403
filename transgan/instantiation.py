"""From a part of a configuration to the object that it describes, by Hydra; nothing is built that is not trusted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from transgan import trust


def make(config: Any, **arguments: Any) -> Any:
    """The object that a part of a configuration describes, given these arguments besides.

    A `${` that a plain configuration holds belongs to a text, such as a path. Raises ValueError for what may not be run
    (trust.Untrusted), for what is no part, and for keys that the class does not take or lacks.
    """
    parts = checked(config)
    with saying_what_does_not_fit(parts):
        return instantiate(parts | {"_partial_": True}, _convert_="all")(**arguments)


def build(config: Any) -> Any:
    """The same without further arguments; what else a constructor raises is wrapped in Hydra's exception."""
    parts = checked(config)
    with saying_what_does_not_fit(parts):
        return instantiate(parts, _convert_="all")


def arguments(parts: dict) -> dict:
    """Arguments of a constructor, each as plain values or a part -> the objects that they describe."""
    trust.require(parts, "the configuration")
    return instantiate(escaped(escaped(parts)), _convert_="all")


class Misfit(ValueError):
    """A part whose keys are not the arguments of its class."""


@contextmanager
def saying_what_does_not_fit(config: dict) -> Iterator[None]:
    try:
        yield
    except (InstantiationException, TypeError) as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else error
        found = re.search(r"(\w+)\.__init__\(\) (.*argument.*)", str(cause), re.DOTALL)
        if not isinstance(cause, TypeError) or found is None:
            raise
        place = re.search(r"full_key: (\S+)", str(error))
        where = f"{place[1]}: " if place else ""
        raise Misfit(f"{where}{found[1]} {found[2]}; transgan train --cfg shows what it takes") from error


def checked(config: Any) -> dict[str, Any]:
    """A trusted part as Hydra takes it, with every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    if not isinstance(plain, dict) or "_target_" not in plain:
        raise ValueError(f"{str(plain)[:80]!r} describes no part: it has no _target_; name a class there")
    trust.require(plain, "the configuration")
    return escaped(escaped(plain))  # Hydra resolves twice


def container(config: Any) -> dict[str, Any]:
    """A configuration as nested dicts and lists, with every reference resolved."""
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def escaped(node: Any) -> Any:
    """Nested containers in which OmegaConf reads every text as it is: a `${` begins no reference."""
    if isinstance(node, dict):
        return {key: escaped(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [escaped(value) for value in node]
    return literal(node) if isinstance(node, str) else node


def literal(text: str) -> str:
    """OmegaConf reads \\${ as ${, and of the backslashes before it every second one."""
    return re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", text)
