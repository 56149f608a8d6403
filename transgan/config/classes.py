"""Whether the classes that a configuration names exist and take the arguments it gives them, before any is made."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object

from transgan.errors import one_line

# What keys.py says of arguments is known before; of other classes the annotations say it.
DECLARED = ("transgan.", "torch.", "pytorch_lightning.")
HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def unknown_arguments(node: Any, place: str = "", given: tuple[str, ...] = ()) -> Iterator[str]:
    """A sentence for every class that cannot be imported, and for every argument one does not take or still needs.

    `node` is resolved; `given` are arguments that its own class, if it has one, is given besides.
    """
    if isinstance(node, list):
        for i, each in enumerate(node):
            yield from unknown_arguments(each, f"{place}[{i}]")
    if not isinstance(node, dict):
        return
    target = node.get("_target_")
    if isinstance(target, str):
        yield from of_class(target, node, place, given)
    for key, value in node.items():
        if not place and key == "algorithm" and isinstance(value, dict):  # its parts stand beside it, too
            value = {name: None if part and node.get(name) == part else part for name, part in value.items()}
        yield from unknown_arguments(value, f"{place}.{key}" if place else str(key))


def of_class(target: str, node: dict[str, Any], place: str, given: tuple[str, ...]) -> Iterator[str]:
    try:
        made = get_object(target)
    except Exception as error:  # whatever a module raises that is imported
        cause = error.__cause__ or error
        yield (
            f"{place}._target_={target}: there is no such class here ({one_line(cause)[:200]}); give one as "
            "package.module.Class"
        )
        return
    if not callable(made):
        yield f"{place}._target_={target}: it is no class; give one as package.module.Class"
        return
    name = target.split(".")[-1]
    try:
        takes = inspect.signature(made).parameters.values()
    except (ValueError, TypeError):  # some of C
        return
    names = [each.name for each in takes if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    if not any(each.kind is each.VAR_KEYWORD for each in takes):
        for key in node.keys() - HYDRA - set(names):
            yield f"{place}.{key}: {name} takes no {key}; it takes {', '.join(names) or 'nothing'}"
    if not target.startswith(DECLARED):
        yield from of_other_types(made, node, place, name)
    if node.get("_partial_") or "_args_" in node:
        return
    for each in takes:
        plain = each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.default is each.empty
        if plain and each.name not in {*node, *given}:
            yield f"{place}: {name} needs {each.name}; give {place}.{each.name}="


def of_other_types(made: Any, node: dict[str, Any], place: str, name: str) -> Iterator[str]:
    """A sentence for every plain value that an argument's annotation does not allow."""
    try:
        hints = get_type_hints(vars(made).get("__init__", made) if isinstance(made, type) else made)
    except Exception:  # a name in an annotation that only a type checker imports
        return
    for key in hints.keys() & node.keys():
        if node[key] is not None and not fits(node[key], hints[key]):  # null is filled in, or means the default
            takes = getattr(hints[key], "__name__", str(hints[key])) if not get_args(hints[key]) else str(hints[key])
            yield f"{place}.{key}={node[key]}: {name} takes {takes.replace('NoneType', 'null')} there"


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value may be of an annotated type; of types that no plain value has nothing is said."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(value, dict):  # an object that is made first, or a mapping
        return "_target_" in value or hint not in PLAIN
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin in (list, tuple, Sequence, Iterable) or hint in (list, tuple):
        items = arguments[0] if origin is not tuple and arguments else Any
        return isinstance(value, list | tuple) and all(fits(each, items) for each in value)
    if origin in (dict, Mapping) or hint is dict:
        return False
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or hint not in PLAIN or isinstance(value, hint)


PLAIN = (bool, int, float, str, NoneType)
