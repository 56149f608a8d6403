"""From the words of a command line to keys with their values, choices of groups, and what bare words mean."""

import difflib
import mimetypes
import os
from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from transgan import trust

PACKAGE = Path(__file__).parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # a wheel, a checkout

# Keys of paths and names, in which somebody else may have written anything.
LITERAL = {
    "path", "run", "runs", "init_from", "checkpoint", "weights", "out", "against", "heldout", "export", "complete",
    "name", "seeds", "class",
}  # fmt: skip


def groups() -> dict[str, list[str]]:
    """The configuration groups and their choices: conf/generator/x.yaml is choice x of generator."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONF.iterdir() if folder.is_dir()
    }


def split(command: str, arguments: list[str], findings: list[str]):
    """Words to (key, value) pairs, choices of groups, and the path after config= if there is one."""
    values: list[tuple[str, str]] = []
    choices: dict[str, str] = {}
    base = None
    known, bare = groups(), False
    for argument in arguments:
        key, equals, value = argument.removeprefix("--").partition("=")
        if not equals or "/" in key:
            bare = True
            positional(command, argument, values, choices, findings)
        elif key == "config" and command == "train":
            base = value
        elif key in known:
            value, colon, argument = value.partition(":")
            if colon:  # extractor=timm:resnet50
                values.append((f"{key}.model_name", argument))
            if value in known[key]:
                choices[key] = value
            else:
                near = difflib.get_close_matches(value, known[key], 1)
                if near:
                    choices[key] = near[0]  # so that the other words are judged as they were meant
                hint = f"did you mean {near[0]}? " if near else ""
                findings.append(f"{key}={value}: there is no such {key}; {hint}There are: {', '.join(known[key])}")
        else:
            values.append((key, value))
    if base is not None and choices:
        findings.append(f"with config=, {', '.join(choices)} cannot be chosen anew; override single keys instead")
    if bare:
        refuse_several(command, values, findings)
    return values, choices, base


def positional(command: str, word: str, values: list, choices: dict, findings: list[str]) -> None:
    """A bare word is a run, a checkpoint to import, or the pictures of train."""
    if word.startswith("-"):
        findings.append(f"{word} is not an option; options are written key=value, see transgan {command} --help")
    elif command != "train":
        values.append(("path" if command == "import-transgan" else "run", word))
    elif not os.path.exists(os.path.expanduser(word)):
        findings.append(f"{word} is neither an option (key=value) nor a folder or zip of images")
    else:
        choices.setdefault("experiment", "folder")
        if os.path.isfile(os.path.expanduser(word)):
            choices.setdefault("data", "zip")
        values.append(("data.path", word))


def refuse_several(command: str, values: list, findings: list[str]) -> None:
    """None of several places is passed over, nor is a single picture taken for all there are."""
    key = {"train": "data.path", "import-transgan": "path"}.get(command, "run")
    places = [value for name, value in values if name == key]
    if command != "compare" and (len(places) > 1 or command == "train" and places and is_picture(places[0])):
        findings.append(one_place(command, places))


def is_picture(word: str) -> bool:
    """Whether a word is one file of pixels, by its name."""
    return os.path.isfile(os.path.expanduser(word)) and (mimetypes.guess_type(word)[0] or "").startswith("image/")


def one_place(command: str, words: list[str]) -> str:
    """The sentence for words that are no one folder, zip or run."""
    named = ", ".join(words[:3]) + (f" and {len(words) - 3:,} more" if len(words) > 3 else "")
    if command == "train":
        folders = {os.path.dirname(word) or "." for word in words}
        if all(is_picture(word) for word in words):
            return f"{named}: train takes a folder or a zip, not single files; give the folder that holds them" + (
                f": transgan train {folders.pop()}" if len(folders) == 1 else ""
            )
        return (
            f"{named}: train takes one folder or zip; move them into one folder, where each becomes a class, or "
            "give one of them"
        )
    if command == "import-transgan":
        return f"{named}: import-transgan takes one checkpoint; give one at a time"
    other = ", or `transgan compare` with all of them" if command in ("evaluate", "sample") else ""
    return f"{named}: {command} takes one at a time; give one of them{other}"


def typed_targets(arguments: list[str]) -> set[str]:
    """The names of classes that a person has typed: x._target_=NAME, and x={_target_: NAME, ...} with more inside."""
    found: set[str] = set()
    for argument in arguments:
        key, _, word = argument.removeprefix("--").partition("=")
        last = key.split(".")[-1]
        if "/" in key or last in LITERAL:
            continue
        if last == "_target_":
            found.add(word.strip().strip("'\""))
        elif "_target_" in word:
            with suppress(HydraException, trust.Untrusted):
                value = OverridesParser.create().parse_override(f"key={word}").value()
                found |= {str(name) for name, _ in trust.targets(value, argument)}
    return found - {""}
