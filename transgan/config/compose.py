"""From the words on the command line to a configuration, with every mistake in them found at once.

Hydra composes the groups; keys and values are checked here, by what keys.py declares, so that a typing error is
answered in a sentence before torch is imported, and so that a path may hold any character.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transgan import trust
from transgan.config import from_file as saved_file
from transgan.config.command_line import CONF, groups, split, typed_targets
from transgan.config.values import assign, flat, mistaken
from transgan.errors import UserError, one_line

OmegaConf.register_new_resolver("product", lambda *numbers: prod(numbers), replace=True)  # ${product:3,4} is 12

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
        config = from_groups(command, choices, findings) if base is None else from_file(base)
        with trust.also(*typed_targets(arguments)):
            settle(command, config, values, findings, base)
        if base is not None:
            saved_file.require_parts(base, OmegaConf.to_container(config, resolve=True))
        return config
    except trust.Untrusted as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"config={base} cannot be read: {error.strerror or error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(*findings, one_line(error)) from error


def settle(
    command: str, config: DictConfig, values: list[tuple[str, str]], findings: list[str], base: str | None = None
) -> None:
    """Sets `values` in `config`, and sees that all of it makes sense. Raises UserError with all findings.

    base: the file it comes from, which may name no class that is not trusted: else trust.Untrusted.
    """
    for key, word in values:
        assign(command, config, key, word, groups(), findings)
    with told(values, findings):
        missing = sorted(OmegaConf.missing_keys(config))
    for key in missing:
        if command == "summary" and not key.startswith(("generator.", "discriminator.")):
            continue  # it needs neither data nor features
        findings.append(NEEDED.get(key, f"{key} is needed").format(command=command))
    if findings:
        raise UserError(*findings)
    words = {key.lstrip("+"): word for key, word in values}
    with told(values):
        resolved = OmegaConf.to_container(config, resolve=True)
    if base is not None:
        trust.require(resolved, f"config={base}: the file")
    if wrong := list(mistaken(command, resolved, words)):
        own = [sentence for sentence in wrong if sentence.partition("=")[0] in words]
        raise UserError(*(own or wrong))  # and not all those that refer to them


@contextmanager
def told(values: list[tuple[str, str]], findings: Iterable[str] = ()) -> Iterator[None]:
    """A ${...} without a target is a UserError that names the word it is in, beside the other findings."""
    try:
        yield
    except (OmegaConfBaseException, RecursionError) as error:
        given = ", ".join(f"{key}={word}" for key, word in values if "${" in word)
        reason = f"{given}: it refers to nothing here, or to itself; write the value" if given else one_line(error)
        raise UserError(*findings, reason) from error


def keys_of(config: DictConfig) -> list[str]:
    """All dotted keys, and those below a part that is another's value."""
    return list(flat(OmegaConf.to_container(config, resolve=False)))


def from_groups(command: str, choices: dict, findings: list[str]) -> DictConfig:
    """The command's defaults, with the choices of groups and nothing that belongs to others."""
    own = groups_of(command)
    for group in [group for group in choices if group not in own]:
        findings.append(f"{group}={choices.pop(group)}: transgan {command} has no {group}; leave it out")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = [f"{group}={choice}" for group, choice in choices.items()]
        config = hydra_compose(command.replace("-", "_"), chosen)
        if replaced := set(choices) & (PARTS | {"algorithm"}):
            plain = [word for word in chosen if not word.startswith("experiment=")]
            leave_out_foreign(config, hydra_compose("train", [*plain, "~experiment"]), replaced)
    leave_out_unused(config, choices, findings)
    return config


def from_file(path: str) -> DictConfig:
    """A run's own config.yaml. What it says twice is said once again, so that a key given anew changes both."""
    config = OmegaConf.to_container(saved_file.load(path))
    new = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"))  # keys that came after the run
    config = {key: value for key, value in new.items() if key not in (*PARTS, "defaults")} | config
    for key, value in config["algorithm"].items():
        source = "autoencoder" if key == "network" else key
        if source in PARTS & set(config) and value == config[source]:
            config["algorithm"][key] = f"${{{source}}}"
    for part in ("generator", "discriminator", "autoencoder", "algorithm", "data", "augmentation", "metrics"):
        link(config.get(part), config, part)
    usual = OmegaConf.to_container(OmegaConf.load(CONF / "callbacks" / "default.yaml"))
    config["callbacks"] = relinked(config["callbacks"], usual, config) if "callbacks" in config else usual
    config = OmegaConf.create(config)
    OmegaConf.set_struct(config, True)
    return config


def relinked(node, usual, config: dict):
    """`node` with ${key} wherever `usual` has it and the values are the same."""
    if isinstance(node, dict) and isinstance(usual, dict):
        return {key: relinked(value, usual.get(key), config) for key, value in node.items()}
    key = usual[2:-1] if isinstance(usual, str) and usual.startswith("${") else None
    return usual if key in config and config[key] == node else node


def link(node, config: dict, place: str) -> None:
    """Writes ${...} for values that follow a key of the run, where they are the same."""
    for key, value in node.items() if isinstance(node, dict) else ():
        top = {"img_size": "resolution", "in_chans": "channels"}.get(key, key)
        follows = (
            top in ("resolution", "channels", "num_classes")
            or place == "algorithm"
            and key in ("batch_size", "seed", "mirror", "compile")
            or place.startswith("algorithm.")
            and key == "kimg"
            or place == "metrics"
            and key == "extractor"
        )
        if follows and top in config and value == config[top]:
            node[key] = f"${{{top}}}"
        else:
            link(value, config, f"{place}.{key}")


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
            findings.append(
                f"{key}={choices[key]}: this algorithm ({kind}) has no {key}; leave it out, or choose "
                "another algorithm="
            )
    OmegaConf.set_struct(config, True)


def groups_of(command: str) -> set[str]:
    """The groups that a command has choices of."""
    found = set()
    for entry in OmegaConf.load(CONF / f"{command.replace('-', '_')}.yaml").get("defaults", ()):
        found |= groups_of(entry) if isinstance(entry, str) and entry != "_self_" else set()
        found |= set(entry) if not isinstance(entry, str) else set()
    return found
