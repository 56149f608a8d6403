"""Which names in a configuration may be turned into something that runs.

A checkpoint and a `config=FILE` come from anywhere, and a `_target_` can stand anywhere in them. Allowed are classes of
our own parts, torch's layers and optimizers, what conf/ takes from Lightning, and what the user has named: in the files
of conf/ in the current folder or of --config-dir, on the command line, or in $TRANSGAN_TRUST (a:b:c: packages, modules
and classes); installed plugins too. A name is checked before anything of it is imported, since importing runs code, and
then by what it means: `transgan.data.files.os.system` is none of ours.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any

from transgan import extensions

OURS = {
    "augmentation", "callbacks", "consistency", "data", "layers", "losses", "matching", "metrics", "models",
    "penalties", "sampling", "schedules", "supervision", "training",
}  # fmt: skip
TORCH = {  # where a class may stand: what it must be
    r"torch\.nn(\.modules\.[a-z]\w*)?": ("torch.nn.modules", "Module"),
    r"torch\.optim(\.[a-z]\w*)?": ("torch.optim", "Optimizer"),
}
LIGHTNING = {
    "pytorch_lightning.Trainer", "pytorch_lightning.strategies.DDPStrategy",
    *(f"pytorch_lightning.loggers.{name}Logger" for name in ("CSV", "MLFlow", "TensorBoard", "Wandb")),
    *(f"pytorch_lightning.callbacks.{name}" for name in (
        "EarlyStopping", "LearningRateMonitor", "ModelCheckpoint", "RichProgressBar", "TQDMProgressBar", "Timer",
    )),
}  # fmt: skip
PLAIN = (str, int, float, type(None))  # bool is an int

typed: ContextVar[frozenset[str]] = ContextVar("typed", default=frozenset())


class Untrusted(ValueError):
    """A configuration that names something to run which the user has not named; the message says the way out."""


@contextmanager
def also(*names: str) -> Iterator[None]:
    """Inside, these classes, modules or packages are trusted, too."""
    before = typed.set(typed.get() | frozenset(names))
    try:
        yield
    finally:
        typed.reset(before)


def require(config: object, source: str) -> None:
    """Refuses a configuration of plain containers if any `_target_` in it is not trusted, wherever it stands.

    `source` begins the sentence: "x.ckpt: the checkpoint". Raises Untrusted with all of them.
    """
    own = os.environ.get("TRANSGAN_TRUST", "").split(":")
    said = frozenset(filter(None, map(str.strip, own))) | typed.get() | extensions.named()
    places: dict[str, list[str]] = {}
    for target, place in targets(config, source):
        places.setdefault(target, []).append(place)
    reasons: dict[str, list[str]] = {}
    for target in places:
        if reason := refusal(target, said):
            reasons.setdefault(reason, []).append(target)
    if reasons:
        raise Untrusted("; ".join(
            f"{source} asks to run {', '.join(f'{target} (at {listed(places[target])})' for target in found)}, {reason}"
            + (f"; {WAY.format(':'.join(found))}" if reason == FOREIGN else "")
            for reason, found in reasons.items()
        ))  # fmt: skip


def listed(places: list[str]) -> str:
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(places[:3]) + more


def targets(config: object, source: str) -> Iterator[tuple[str, str]]:
    """Every `_target_` in nested containers and the key it stands at. Raises Untrusted for what is no plain value."""
    waiting, seen = [(config, "")], set()
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, PLAIN):
            continue
        if id(node) in seen:  # a file may hold a container twice, or in itself
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            if "_target_" in node:
                yield str(node["_target_"]), place or "its top"
            inside = list(node.items())
        elif isinstance(node, list | tuple):
            inside = list(enumerate(node))
        else:
            raise Untrusted(
                f"{source} holds a {type(node).__name__} at {place or 'its top'}, and a configuration has "
                "texts, numbers, lists and groups of keys alone; restore it from a copy, or use another"
            )
        waiting += [(child, f"{place}.{key}".lstrip(".")) for key, child in reversed(inside)]


FOREIGN = "which is neither a class of transgan nor a layer or optimizer of torch"
WAY = "if it is yours, start in the folder whose conf/ names it; if you trust that code, set TRANSGAN_TRUST={}"
NO_NAME = "which is not the name of a class"
NOT_OURS = "which is no class of this version of transgan; use the version it was written by"


def refusal(target: str, said: frozenset[str]) -> str | None:
    """Why a name may not be turned into something that runs; None if it may. `said`: names the user trusts."""
    if not all(name.isidentifier() for name in target.split(".")) or "." not in target:
        return NO_NAME
    if built_in(target):
        return None
    trusting = [name for name in said if target == name or target.startswith(f"{name}.")]
    if not trusting:
        return NOT_OURS if target.startswith("transgan.") else FOREIGN
    try:
        found = located(target)
    except Exception as error:  # of many kinds: importing runs the code that is trusted
        return (
            f"which cannot be imported here ({type(error).__name__}: {' '.join(str(error).split())}); install it, "
            "or name its folder in PYTHONPATH"
        )
    home = f"{getattr(found, '__module__', '')}."
    # a trusted package has more in it than its own: my_package.os.system
    if target in trusting or home.startswith(tuple(f"{name}." for name in trusting)) or known(found):
        return None
    return FOREIGN


@cache
def built_in(target: str) -> bool:
    """Whether a name means a class that a configuration may always name. Imports nothing but our parts and torch."""
    module, _, name = target.rpartition(".")
    ours = module.split(".")[0] == "transgan" and len(module.split(".")) > 1 and module.split(".")[1] in OURS
    if target in LIGHTNING:
        return True
    if name.startswith("_") or not ours and not any(re.fullmatch(pattern, module) for pattern in TORCH):
        return False
    try:
        return known(vars(import_module(module)).get(name))
    except ImportError:
        return False


def known(found: object) -> bool:
    """Whether something is one of our classes, or a layer or an optimizer of torch: a class, and not a function."""
    if not isinstance(found, type):
        return False
    home = found.__module__
    if home.startswith("transgan."):
        return home.split(".")[1] in OURS
    return any(
        f"{home}.".startswith(f"{package}.") and issubclass(found, getattr(import_module(package), kind))
        for package, kind in TORCH.values()
    )


def located(target: str) -> Any:
    """What a name of a trusted package means. Raises ImportError or AttributeError, or what importing raises."""
    names = target.split(".")
    for count in range(len(names) - 1, 0, -1):
        module = ".".join(names[:count])
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if count > 1 and module.startswith(error.name or " "):  # the rest may be a class in a module
                continue
            raise
        for name in names[count:]:
            found = getattr(found, name)
        return found
