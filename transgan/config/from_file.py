"""A configuration from a file that somebody has saved, which may refer to its own keys and to nothing else."""

import os
from collections.abc import Collection, Iterator
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser as Grammar
from omegaconf.grammar_parser import parse

from transgan import files, migration
from transgan.errors import UserError
from transgan.extensions import CONF

NEEDED = ("algorithm", "data", "trainer")  # parts without which there is no run
OPTIONAL = ("extractor", "logger", "metrics")
ARITHMETIC = ("product", "patch", "halvings")  # our functions, of compose.py
# Keys that ask for choices, as they are where nothing is left open.
OPEN: dict[str, Any] = {"auto": [], "minutes": None, "hours": None}


def load(path: str) -> DictConfig:
    """The configuration at `path`. Which classes it names is not looked at: overrides may still change them.

    Raises UserError with all findings if it is none or asks for what is on this machine, OSError if there is no file.
    """
    none = f"config={path}: this file is not a configuration; give the config.yaml of a run"
    if os.path.isdir(os.path.expanduser(path)):
        raise UserError(f"config={path}: it is a folder; give the config.yaml of a run")
    try:
        config = OmegaConf.create(files.read_text(os.path.expanduser(path)))
    except (yaml.YAMLError, ValueError, OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{none} ({' '.join(str(error).split())[:200]})") from error
    plain = cast(Any, OmegaConf.to_container(config, resolve=False))
    if not isinstance(plain, dict) or not isinstance(plain.get("algorithm"), dict):
        raise UserError(none)
    found = [
        f"config={path}: {key} asks for ${{{name}:...}}; write the value itself there"
        for key, text in texts(plain)
        for name in (functions(parse(text)) if "${" in text else ())
        if name not in ARITHMETIC  # of OmegaConf's, oc.env and others read what is on this machine
    ]
    if found:
        raise UserError(*found)
    config = OmegaConf.create(migration.config(plain))
    OmegaConf.set_struct(config, True)
    return config


def run_of(path: str, parts: set[str]) -> DictConfig:
    """A run's own config.yaml, in which what repeats a key refers to it again, so that a key given anew changes both.

    parts: the groups an algorithm is made of.
    """
    config = cast(dict[str, Any], OmegaConf.to_container(load(path)))
    new = cast(
        dict[str, Any], OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"))
    )  # keys that came after the run
    config = {key: value for key, value in new.items() if key not in (*parts, "defaults", "hydra")} | config
    for key, value in config["algorithm"].items():
        source = "autoencoder" if key == "network" else key
        if source in parts & set(config) and value == config[source]:
            config["algorithm"][key] = f"${{{source}}}"
    for part in (*parts, "algorithm", "data", "metrics"):
        link(config.get(part), config, part)
    usual = OmegaConf.to_container(OmegaConf.load(CONF / "callbacks" / "default.yaml"))
    config["callbacks"] = relinked(config["callbacks"], usual, config) if "callbacks" in config else usual
    made = OmegaConf.create(config)
    OmegaConf.set_struct(made, True)
    return made


def relinked(node: Any, usual: Any, config: dict[str, Any]) -> Any:
    """`node` with ${key} wherever `usual` has it and the values are the same."""
    if isinstance(node, dict) and isinstance(usual, dict):
        return {key: relinked(value, usual.get(key), config) for key, value in node.items()}
    key = usual[2:-1] if isinstance(usual, str) and usual.startswith("${") else None
    return usual if key in config and config[key] == node else node


def link(node: Any, config: dict[str, Any], place: str) -> None:
    """Writes ${...} for values that follow a key of the run, where they are the same."""
    for key, value in node.items() if isinstance(node, dict) else ():
        top = {"img_size": "resolution", "in_chans": "channels"}.get(key, key)
        follows = (
            top in ("resolution", "channels", "num_classes")
            or place == "algorithm"
            and key in ("batch_size", "micro_batch", "seed", "mirror", "compile")
            or "." in place  # a schedule, of the algorithm or of one of its parts
            and key == "kimg"
            or place == "metrics"
            and key == "extractor"
        )
        if follows and top in config and value == config[top]:
            node[key] = f"${{{top}}}"
        else:
            link(value, config, f"{place}.{key}")


def require_parts(path: str, config: dict) -> None:
    """Refuses a configuration in which a part stands that nothing can be made of, or lacks. Raises UserError."""
    found = [
        f"config={path}: {key} is not a group of keys with a _target_ there; copy it from the config.yaml of a run"
        for key in (*NEEDED, *OPTIONAL)
        if (part := config.get(key)) not in (None, {}) or key in NEEDED  # {}: none was chosen
        if not isinstance(part, dict) or "_target_" not in part
    ]
    if found:
        raise UserError(*found)


def require_chosen(path: str, config: DictConfig, given: Collection[str]) -> None:
    """Refuses a file that leaves settings to be chosen, unless keys that are `given` say what becomes of them: the
    file names parts already, and its values do not say which of them a user meant. Raises UserError."""
    found = {key: value for key, value in OPEN.items() if key not in given and config.get(key) not in (None, value)}
    if found:
        asking = " and ".join(f"{key}=" for key in found)
        way = " ".join(f"{key}={'null' if value is None else value}" for key, value in found.items())
        raise UserError(
            f"config={path}: {asking} there would have settings chosen anew, and the file holds others; give the "
            f"config.yaml of a run, whose settings were chosen, or the words that the file was made of, or {way} to "
            "train with what stands in it"
        )


def texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(key, text) of every text in nested containers."""
    if isinstance(node, str):
        yield place, node
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from texts(value, f"{place}.{key}".lstrip("."))


def functions(node: Any) -> list[str]:
    """The functions that a text's references call: oc.env of ${oc.env:HOME}."""
    own = [node.resolverName().getText()] if isinstance(node, Grammar.InterpolationResolverContext) else []
    return own + [name for child in getattr(node, "children", None) or [] for name in functions(child)]
