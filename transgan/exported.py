"""Exported generators: a safetensors file with the weights, and in its header, as JSON, what they belong to.

Reading one imports torch and safetensors: no pickle, no Hydra, no Lightning.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transgan import files, trust
from transgan.describing import construct

if TYPE_CHECKING:
    from torch import Tensor

    from transgan.sampling import Sampler

FORMAT = 1
SUFFIX = ".safetensors"
MODEL = f"model{SUFFIX}"  # in a folder
HUB = "hf://"


class ExportError(ValueError):
    """An exported file that is missing, damaged or of another kind; the message says the way out."""


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path names what `transgan export` writes: a safetensors file, a folder with one, a place on the Hub."""
    text = os.fspath(path)
    return text.startswith(HUB) or text.lower().endswith(SUFFIX) or (files.expanded(text) / MODEL).is_file()


def find(path: str | os.PathLike[str]) -> Path:
    """The safetensors file that a path means, downloaded where it is on the Hub. Raises ExportError."""
    text = os.fspath(path)
    if text.startswith(HUB):
        return downloaded(text)
    place = files.expanded(text)
    found = place / MODEL if place.is_dir() else place
    if not found.is_file():
        raise ExportError(f"there is no file {found}; make one with: transgan export runs/NAME to=safetensors")
    return found


def downloaded(address: str) -> Path:
    """The file of hf://USER/NAME or hf://USER/NAME@REVISION, in the cache of huggingface_hub."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", address)
    if match is None:
        raise ExportError(f"{address}: write hf://USER/NAME, or hf://USER/NAME@REVISION")
    try:
        return Path(hf_hub_download(match[1], MODEL, revision=match[2]))
    except (LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, HfHubHTTPError | EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            raise ExportError(f"{address}: the Hub has no such model ({summary(error)}); look at its name") from error
        raise ExportError(
            f"{address}: the Hub cannot be reached ({summary(error)}), and the model is not in the cache; connect, or "
            "give the path of a copy"
        ) from error


def summary(error: BaseException) -> str:
    """The first line of an error."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def read(path: str | os.PathLike[str]) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """What an exported file says of itself, and its weights by name. Raises ExportError."""
    from safetensors import SafetensorError, safe_open

    found = find(path)
    try:
        with safe_open(found, framework="pt") as file:
            header = dict(file.metadata() or {})
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except SafetensorError as error:
        raise ExportError(f"{found} is damaged or no safetensors file ({error}); export it anew, or copy it") from error
    except OSError as error:
        raise ExportError(f"{found} cannot be read: {error.strerror or error}") from error
    try:
        facts = json.loads(header["transgan"])
        number, sampler = facts["format"], facts["sampler"]
    except (KeyError, ValueError, TypeError) as error:
        raise ExportError(
            f"{found} holds weights of another program: its header does not say what they are; give a file of "
            "transgan export"
        ) from error
    if not isinstance(number, int) or number > FORMAT:
        raise ExportError(f"{found} was written by a newer version of transgan; update it: pip install -U transgan")
    if not isinstance(sampler, dict):
        raise ExportError(f"{found}: its header does not say how its network is built; export it anew")
    return facts, weights


def load(path: str | os.PathLike[str]) -> "Sampler":
    """The sampler of an exported file, in eval mode on the CPU; `facts` is what the file says of itself.

    Raises ExportError for what is damaged, of another architecture, or names what may not run.
    """
    from transgan.sampling import Sampler

    facts, weights = read(path)
    try:
        trust.require(facts["sampler"], f"{path}: the header")
        sampler = construct(facts["sampler"])
    except trust.Untrusted as error:
        raise ExportError(str(error)) from error
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise ExportError(
            f"{path} was written by another version of transgan and cannot be built by this one ({summary(error)}); "
            f"use transgan {facts.get('version', 'of that time')}"
        ) from error
    if not isinstance(sampler, Sampler):
        raise ExportError(f"{path}: {type(sampler).__name__} makes no images; export it anew")
    fit(sampler.network, weights, path)
    sampler.facts = facts
    return sampler.eval().requires_grad_(False)


def fit(network: Any, weights: "Mapping[str, Tensor]", path: str | os.PathLike[str]) -> None:
    """Copies the weights. Raises ExportError with the differences if they do not match."""
    own = network.state_dict()
    found = [f"{name} is missing" for name in own if name not in weights]
    found += [f"{name} has no place" for name in weights if name not in own]
    found += [
        f"{name} is {tuple(weights[name].shape)} and not {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if found:
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise ExportError(f"the weights in {path} do not fit its header: {'; '.join(found[:4])}{more}; export it anew")
    network.load_state_dict(weights)
