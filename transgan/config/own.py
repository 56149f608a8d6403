"""What a user may run beside the package's own classes: what is typed, and what their own configurations name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from transgan import extensions, trust
from transgan.config import search

# Keys of paths and names, in which somebody else may have written anything.
LITERAL = {
    "path", "run", "runs", "init_from", "checkpoint", "weights", "out", "against", "heldout", "export", "complete",
    "html", "sheet", "like", "photo", "latent",
    "name", "seeds", "class",
}  # fmt: skip


@contextmanager
def allowed(arguments: Sequence[str]) -> Iterator[None]:
    """Inside, the classes that these arguments and the user's configuration folders name are trusted, and can be
    imported where they lie beside such a folder. Raises UserError for a folder that is not there."""
    folders = [source.folder for source in search.sources(arguments) if source.folder != extensions.CONF]
    names = {name for folder in folders for name in extensions.targets_in(folder)}
    with extensions.importable(folders), trust.also(*typed_targets(arguments), *names):
        yield


def typed_targets(arguments: Sequence[str]) -> set[str]:
    """The names of classes that a user has typed: x._target_=NAME, and x={_target_: NAME, ...} with more inside."""
    found: set[str] = set()
    for argument in arguments:
        key, _, text = argument.removeprefix("--").partition("=")
        last = key.split(".")[-1]
        if "/" in key or last in LITERAL:
            continue
        if last == "_target_":
            found.add(text.strip().strip("'\""))
        elif "_target_" in text:
            with suppress(HydraException, trust.Untrusted):
                value = OverridesParser.create().parse_override(f"key={text}").value()
                found |= {str(name) for name, _ in trust.targets(value, argument)}
    return found - {""}
