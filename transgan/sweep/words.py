"""The arguments of a sweep: what all jobs have in common, what differs between them, and what is for Hydra itself."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from transgan.config.own import LITERAL
from transgan.errors import UserError, one_line

PATHS = LITERAL - {"name", "seeds", "class"}


@dataclass
class Words:
    """`common`: for every job, as they were typed. `swept`: one per key, in Hydra's grammar. `hydra`: hydra.* keys."""

    common: list[str] = field(default_factory=list)
    swept: dict[str, Override] = field(default_factory=dict)
    hydra: list[str] = field(default_factory=list)

    @property
    def typed(self) -> list[str]:
        """The swept arguments as Hydra's sweepers take them."""
        return [str(override.input_line) for override in self.swept.values()]


def separate(arguments: Iterable[str], options: Callable[[str], Sequence[str] | None]) -> Words:
    """Sorts the arguments of `transgan train -m`. `options(group)`: the choices of a group, for glob().

    Raises UserError with all findings.
    """
    found = Words()
    findings: list[str] = []
    for argument in arguments:
        try:
            place(argument, found, options)
        except UserError as error:
            findings += error.findings
    if findings:
        raise UserError(*findings)
    return found


def place(argument: str, found: Words, options: Callable[[str], Sequence[str] | None]) -> None:
    """Adds one argument to the kind of words it belongs to. Raises UserError for a sweep over nothing."""
    key, equals, value = argument.partition("=")
    if key.lstrip("+~").startswith(("hydra.", "hydra/")):
        (found.common if key.startswith("hydra.searchpath") else found.hydra).append(argument)
        return
    is_path = key.lstrip("+").split(".")[-1] in PATHS and os.path.exists(os.path.expanduser(value))
    if not equals or argument.startswith("-") or "/" in key or is_path:  # flags, and paths with a comma
        found.common.append(argument)
        return
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException as error:
        if value.lstrip().startswith(("choice(", "range(", "interval(", "glob(", "shuffle(", "sort(")):
            raise UserError(f"{argument}: {one_line(error)}") from error
        found.common.append(argument)  # whether it is right depends on the job's other values
        return
    if not override.is_sweep_override():
        found.common.append(as_typed(argument) if value.startswith(("'", '"')) else argument)
        return
    if isinstance(override.value(), Glob):
        override = chosen(override, options)
    if isinstance(override.value(), RangeSweep) and not list(override.sweep_string_iterator()):
        raise UserError(f"{argument}: the range is empty; write range(first,last+1) or range(first,last+1,step)")
    found.swept[override.get_key_element()] = override


def chosen(override: Override, options: Callable[[str], Sequence[str] | None]) -> Override:
    """glob(*) as a choice between the names that it matches. Raises UserError."""
    group = override.key_or_group
    names = options(group)
    pattern = override.value()
    assert isinstance(pattern, Glob)
    if not names:
        raise UserError(f"{override.input_line}: glob is for groups such as loss, and {group} is none; write a,b,c")
    matched = pattern.filter(list(names))
    if not matched:
        raise UserError(f"{override.input_line}: it matches none of {', '.join(names)}")
    return OverridesParser.create().parse_override(f"{override.get_key_element()}=choice({','.join(matched)})")


def product(swept: Iterable[Override]) -> list[tuple[str, ...]]:
    """The overrides of every job of Hydra's basic sweeper, in its order. Raises UserError for an interval."""
    swept = list(swept)
    if found := [str(each.input_line) for each in swept if isinstance(each.value(), IntervalSweep)]:
        raise UserError(
            *(f"{each}: interval is for hydra/sweeper=optuna; write values, a,b or range()" for each in found)
        )
    lists = [[f"{each.get_key_element()}={value}" for value in each.sweep_string_iterator()] for each in swept]
    return [tuple(job) for job in itertools.product(*lists)]


def corners(swept: Iterable[Override]) -> list[tuple[str, ...]]:
    """Overrides that try every end of an interval or a range and every choice once: what a search may ask for."""
    ends = []
    for each in swept:
        value, key = each.value(), each.get_key_element()
        if isinstance(value, IntervalSweep):
            ends.append([f"{key}={value.start}", f"{key}={value.end}"])
        else:
            ends.append([f"{key}={one}" for one in each.sweep_string_iterator()])
    first = [each[0] for each in ends]
    others = [tuple([*first[:place], one, *first[place + 1 :]]) for place, each in enumerate(ends) for one in each[1:]]
    return [tuple(first), *others]


def as_typed(override: str) -> str:
    """An override in Hydra's grammar as a user types it: without quotation marks and escapes, true and not True."""
    key, _, _ = override.partition("=")
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return override
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    return f"{key}={value}" if isinstance(value, str) else override
