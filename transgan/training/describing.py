"""From a module that was made in Python to the configuration that `transgan train` would have made it from.

A checkpoint of one's own Trainer carries it, so that the checkpoint can be loaded without the script that wrote it.
"""

import inspect
from functools import partial
from typing import Any

from torch import nn

PLAIN = (bool, int, float, str, type(None))


class Indescribable(TypeError):
    """An object whose constructor arguments are not known."""


def describe(value: Any) -> Any:
    """A value as plain containers: `{_target_: package.Class, argument: ...}` for an object. Raises Indescribable.

    The arguments of an object are its `init_arguments`, if it has recorded them, or else the attributes that have the
    names of its constructor's parameters.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [describe(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: describe(each) for key, each in value.items()}
    if isinstance(value, partial) and not value.args:
        return {"_target_": name_of(value.func), "_partial_": True} | describe(value.keywords)
    if isinstance(value, type) or inspect.isfunction(value):
        return {"_target_": name_of(value), "_partial_": True}
    return {"_target_": name_of(type(value))} | describe(arguments_of(value))


def name_of(thing: Any) -> str:
    """The full name under which a class or function can be imported. Raises Indescribable if there is none."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<")
    if not module or "<" in name or module in ("__main__", "builtins"):
        raise Indescribable(f"{thing!r} cannot be imported by a name")
    return f"{module}.{name}"


def arguments_of(thing: Any) -> dict[str, Any]:
    """The arguments that an object was made with. Raises Indescribable if it has not kept them."""
    if (recorded := getattr(thing, "init_arguments", None)) is not None:
        return dict(recorded)
    if isinstance(thing, nn.Module):  # whose attributes are often something else than its arguments
        raise Indescribable(f"{type(thing).__name__} has not recorded its arguments as init_arguments")
    found = {}
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(thing, name):
            raise Indescribable(f"{type(thing).__name__} has not kept its argument {name}")
        found[name] = getattr(thing, name)
    return found


def describe_arguments(target: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """`{_target_: ..., argument: ...}`, without the arguments that cannot be described."""
    found = {"_target_": f"{target.__module__}.{target.__qualname__}"}
    for name, value in arguments.items():
        try:
            found[name] = describe(value)
        except Indescribable:
            continue
    return found
