"""Commands on images that the output proposes, with every key that they share: what one of them was given, the next one
needs, too."""

from collections.abc import Mapping

from transgan.files import in_shell

OF_FILES = ("data.labels", "data.white")
TAKEN = {  # command: the shared keys that it takes
    "train": ("resolution", "channels", "holdout", "data.limit", *OF_FILES, "data.on_error"),
    "data check": ("resolution", "channels", "holdout", "data.limit", *OF_FILES),
    "data prepare": ("resolution", "channels", *OF_FILES, "data.on_error"),
}


def proposal(command: str, *paths: object, given: Mapping[str, object]) -> str:
    """A command line for a POSIX shell, to paste. command: a key of TAKEN; given: values by their keys, of which it has
    those that the command takes; None, and a share of 0, are left out."""
    words = [f"{key}={plain(value)}" for key in TAKEN[command] if (value := given.get(key)) not in (None, 0)]
    return " ".join(["transgan", command, *map(in_shell, [*map(str, paths), *words])])


def plain(value: object) -> str:
    """A number without a fraction that says nothing: 255, and not 255.0."""
    return str(value).removesuffix(".0")
