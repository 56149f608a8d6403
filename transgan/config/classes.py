"""Whether the classes that a configuration names exist and take the arguments it gives them, before any is made."""

import inspect
from collections.abc import Iterator

from hydra.utils import get_object

from transgan.errors import one_line

HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def unknown_arguments(node, place: str = "", given: tuple[str, ...] = ()) -> Iterator[str]:
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
        yield from unknown_arguments(value, f"{place}.{key}" if place else str(key))


def of_class(target: str, node: dict, place: str, given: tuple[str, ...]) -> Iterator[str]:
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
    if node.get("_partial_") or "_args_" in node:
        return
    for each in takes:
        plain = each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.default is each.empty
        if plain and each.name not in {*node, *given}:
            yield f"{place}: {name} needs {each.name}; give {place}.{each.name}="
