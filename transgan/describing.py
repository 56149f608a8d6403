"""From an object to the part of a configuration that builds it again, and back: plain values, `_target_` for classes.

A checkpoint says by it how its networks are built. Objects are described by the arguments of their constructor: those
that `Described` has recorded, or else those that are kept in attributes of the same names, as losses and schedules do.
"""

import inspect
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, Self

HYDRAS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
PLAIN = (str, int, float, type(None))  # bool is an int


class Indescribable(ValueError):
    """A value that no configuration describes, such as a function or an object that does not keep its arguments."""


class Described:
    """A mixin that records, as plain values in `init_arguments`, what an object was constructed with.

    Nothing is recorded where an argument cannot be described; `describe` then refuses the object.
    """

    init_arguments: dict[str, Any]

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        self = super().__new__(cls)
        try:
            bound = signature(cls).bind(*arguments, **keywords)
            bound.apply_defaults()
            self.__dict__["init_arguments"] = {name: describe(value) for name, value in bound.arguments.items()}
        except (TypeError, Indescribable):  # arguments missing: deepcopy has none, and else the constructor says so
            pass
        return self


def describe(value: Any) -> Any:
    """Plain values that `instantiation.build` makes an equal object of. Raises Indescribable."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [describe(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): describe(each) for key, each in value.items()}
    if isinstance(value, type):
        return {"_target_": target(value), "_partial_": True}
    if isinstance(value, partial):
        if not isinstance(value.func, type):
            raise Indescribable(f"{value.func!r} is not a class")
        arguments = {"_args_": describe(value.args)} if value.args else {}
        return {"_target_": target(value.func), "_partial_": True} | arguments | describe(value.keywords)
    return {"_target_": target(type(value))} | constructor_arguments(value)


def construct(description: Any) -> Any:
    """The object that a description is of, without Hydra. Whether its classes may run is for the caller to ask.

    Raises what importing and the constructors raise.
    """
    if isinstance(description, list | tuple):
        return [construct(each) for each in description]
    if not isinstance(description, Mapping):
        return description
    parts = {key: construct(each) for key, each in description.items() if key not in HYDRAS}
    if "_target_" not in description:
        return parts
    module, _, name = str(description["_target_"]).rpartition(".")
    cls, positional = getattr(import_module(module), name), construct(description.get("_args_", ()))
    return partial(cls, *positional, **parts) if description.get("_partial_") else cls(*positional, **parts)


def constructor_arguments(value: Any) -> dict[str, Any]:
    """What an object was constructed with, described. Raises Indescribable."""
    cls, attributes = type(value), getattr(value, "__dict__", {})
    if "init_arguments" in attributes:
        return attributes["init_arguments"]
    if isinstance(value, Described):
        raise Indescribable(f"{cls.__name__} was built with something that cannot be described")
    if cls.__init__ is module_constructor():  # inherited from torch's Module: no arguments
        return {}
    if cls.__init__ is object.__init__:
        if attributes or not hasattr(value, "__dict__") or cls.__new__ is not object.__new__:
            raise Indescribable(f"{cls.__name__} has no constructor that could be called again")
        return {}
    try:
        parameters = signature(cls).parameters.values()
    except (TypeError, ValueError) as error:
        raise Indescribable(f"{cls.__name__} has no signature") from error
    if any(each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) for each in parameters):
        raise Indescribable(f"{cls.__name__} takes any number of arguments")
    if missing := [each.name for each in parameters if not hasattr(value, each.name)]:
        raise Indescribable(f"{cls.__name__} does not keep {', '.join(missing)} in attributes of that name")
    return {each.name: describe(getattr(value, each.name)) for each in parameters}


def module_constructor() -> Any:
    """`__init__` of torch's Module, which torch.compile replaces at its first use; None where there is no torch."""
    torch_nn = sys.modules.get("torch.nn")
    return torch_nn.Module.__init__ if torch_nn is not None else None


def signature(cls: type) -> inspect.Signature:
    """That of the constructor, without `self`."""
    found = inspect.signature(cls.__init__)  # type: ignore[misc]  # of this very class
    return found.replace(parameters=list(found.parameters.values())[1:])


def target(cls: type) -> str:
    """The name by which a class can be imported. Raises Indescribable for those of a script or a function."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if cls.__module__ in ("__main__", "builtins") or "<" in name:
        raise Indescribable(f"{name} cannot be imported by another program")
    return name
