"""From the words on the command line to a configuration, with every mistake in them found at once.

Hydra composes the groups and reads values; keys and types are checked here, so that a typing error is answered in a
sentence before torch is imported, and so that a path may hold any character.
"""

import difflib
import mimetypes
import os
import re
from math import prod
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transgan.errors import UserError

OmegaConf.register_new_resolver("product", lambda *numbers: prod(numbers), replace=True)      # ${product:3,4} is 12

CONF = next(path for path in (Path(__file__).parent / "conf", Path(__file__).parents[1] / "conf") if path.is_dir())

# Values of these are taken letter by letter: no commas, brackets or equal signs mean anything in them.
PATHS = {"path", "run", "runs", "init_from", "checkpoint", "weights", "out", "against", "heldout", "export", "complete"}
LITERAL = PATHS | {"name", "seeds", "class"}
# Groups that an algorithm is made of; which ones, its own file says.
PARTS = {
    "generator", "discriminator", "loss", "penalty", "consistency", "augmentation", "adaptive", "supervision",
    "optimizer", "tokens", "autoencoder", "warm_start",
}  # fmt: skip
NEEDED = {
    "data.path": "data.path is needed: the folder or zip of images, such as data.path=~/pictures",
    "run": "a run is needed: `transgan {command} runs/NAME`; `ls runs` shows the runs there are",
    "path": "a checkpoint is needed: `transgan {command} PATH`",
}


def compose(command: str, arguments: list[str]) -> DictConfig:
    """The configuration of a command. Raises UserError with all findings."""
    findings: list[str] = []
    values, choices, base = split(command, arguments, findings)
    try:
        if base is not None:
            config = OmegaConf.load(os.path.expanduser(base))
            OmegaConf.set_struct(config, True)
        else:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                chosen = [f"{group}={choice}" for group, choice in choices.items()]
                config = hydra_compose(command.replace("-", "_"), chosen)
                if replaced := set(choices) & (PARTS | {"algorithm"}):
                    plain = [word for word in chosen if not word.startswith("experiment=")]
                    leave_out_foreign(config, hydra_compose("train", [*plain, "~experiment"]), replaced)
            leave_out_unused(config, choices, findings)
        for key, word in values:
            assign(config, key, word, choices, findings)
        for key in sorted(OmegaConf.missing_keys(config)):
            if command == "summary" and not key.startswith(("generator.", "discriminator.")):
                continue                                       # it needs neither data nor features
            findings.append(NEEDED.get(key, f"{key} is needed").format(command=command))
        if findings:
            raise UserError(*findings)
        OmegaConf.to_container(config, resolve=True)           # every ${...} must have a target
        return config
    except OSError as error:
        raise UserError(f"config={base} cannot be read: {error.strerror or error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).split())) from error


def leave_out_foreign(config: DictConfig, plain: DictConfig, parts: set[str]) -> None:
    """Takes out of parts chosen by a person what an experiment has set for others: keys they have not without it."""
    OmegaConf.set_struct(config, False)
    for part in parts:
        for key in set(config[part]) - set(plain[part]):
            del config[part][key]
    OmegaConf.set_struct(config, True)


def leave_out_unused(config: DictConfig, choices: dict, findings: list[str]) -> None:
    """Takes out the parts that nothing refers to: an image GPT has no discriminator, and a GAN no tokens."""
    if "algorithm" not in config:
        return
    parts = OmegaConf.to_container(config, resolve=False)
    used, new = set(), set(parts) - PARTS
    while new:
        used |= new
        new = {word for key in new for word in re.findall(r"\$\{(\w+)[.}]", str(parts[key]))} & set(parts) - used
    OmegaConf.set_struct(config, False)
    for key in set(parts) - used:
        del config[key]
        if key in choices:
            kind = str(config.algorithm.get("_target_", "")).split(".")[-1]
            findings.append(f"{key}={choices[key]}: this algorithm ({kind}) has no {key}; leave it out, or choose "
                            "another algorithm=")
    OmegaConf.set_struct(config, True)


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
            if colon:                           # extractor=timm:resnet50
                values.append((f"{key}.model_name", argument))
            if value in known[key]:
                choices[key] = value
            else:
                near = difflib.get_close_matches(value, known[key], 1)
                if near:
                    choices[key] = near[0]      # so that the other words are judged as they were meant
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
                f": transgan train {folders.pop()}" if len(folders) == 1 else "")
        return (f"{named}: train takes one folder or zip; move them into one folder, where each becomes a class, or "
                "give one of them")
    if command == "import-transgan":
        return f"{named}: import-transgan takes one checkpoint; give one at a time"
    other = ", or `transgan compare` with all of them" if command in ("evaluate", "sample") else ""
    return f"{named}: {command} takes one at a time; give one of them{other}"


def assign(config: DictConfig, key: str, word: str, choices: dict, findings: list[str]) -> None:
    """Sets one key after checking that it exists and that the value is of its kind."""
    add, key = key.startswith("+"), key.lstrip("+")
    keys = flat(OmegaConf.to_container(config, resolve=False))
    if key not in keys and not add:
        findings.append(unknown(key, keys))
        return
    default = keys.get(key)
    value = parse(key, word, default)
    if isinstance(default, list) and key in PATHS:
        value = [*config[key], value]       # one word each
    if not add and (wrong := mismatch(value, default)):
        findings.append(f"{key}={word}: {wrong}")
        return
    if isinstance(default, float) and isinstance(value, int):
        value = float(value)                # so that the key still takes any number when it is given again
    # a schedule gives way to a number: merging would keep its parts
    OmegaConf.update(config, key, value, merge=isinstance(value, dict), force_add=add)


def parse(key: str, word: str, default):
    """A word's value by Hydra's grammar; the word itself where a text is wanted or the grammar does not fit."""
    last = key.split(".")[-1]
    literal = last in PATHS or last in LITERAL and not isinstance(default, list)
    if literal and word in ("null", "???") and default in (None, "???"):
        return None
    is_text = isinstance(default, str) and not default.startswith("${") and default != "auto"
    is_text = is_text and not (default == "???" and word.startswith("{"))      # the class of a module and its arguments
    if not literal and not is_text:
        try:
            override = OverridesParser.create().parse_override(f"key={word}")
            if not override.is_sweep_override():
                return override.value()
        except HydraException:
            pass
    if last in PATHS and word.startswith("~") and os.path.expanduser(word) == word:
        word = os.path.abspath(word)        # the name of a file, not of a person's home
    return word.replace("${", "\\${")


def mismatch(value, default) -> str | None:
    """What is wrong with the kind of a value, judged by the value it replaces."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "it takes true or false"
    if isinstance(default, int):
        return None if number and isinstance(value, int) else "it takes a whole number"
    if isinstance(default, float):
        return None if number else "it takes a number"
    if isinstance(default, list):
        return None if isinstance(value, list) else f"it takes a list, such as [{word_of(value)}]"
    if isinstance(default, dict):
        schedule = str(default.get("_target_", "")).startswith("transgan.schedules")
        if schedule:
            return None if number or isinstance(value, dict) else "it takes a number, or keys of its schedule"
        return None if isinstance(value, dict) else "it is a group of keys; give one of them, as in key.part=value"
    return None


def word_of(value) -> str:
    return "64" if isinstance(value, str) else str(value)


def flat(node, prefix: str = "") -> dict:
    """All dotted keys of nested dicts, inner and outer, with their values."""
    found = {}
    for key, value in node.items():
        found[prefix + str(key)] = value
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
    return found


def unknown(key: str, keys: dict) -> str:
    """The sentence for a key that does not exist, with the nearest one that does."""
    if key == "data.path":
        return ("data.path does not go with data=digits; choose data=folder, zip or another too, or `transgan train "
                "PATH`")
    every = [*keys, *groups()]
    last = key.split(".")[-1]
    same = [k for k in every if k.split(".")[-1] == last]
    near = difflib.get_close_matches(key, same, 1, 0.0) or difflib.get_close_matches(key, every, 1, 0.75)
    if not near:
        by_last = {k.split(".")[-1]: k for k in reversed(every)}
        near = [by_last[k] for k in difflib.get_close_matches(last, by_last, 1)]
        near = near or difflib.get_close_matches(key, every, 1)
    hint = f"did you mean {near[0]}?" if near else "transgan train --cfg shows all keys"
    return f"{key} is not an option; {hint}"
