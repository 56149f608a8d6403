"""Where weights come from: a file that was named, the caches of this machine, and the internet only when asked."""

import hashlib
import os
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from transgan import files


def find(
    named: Sequence[tuple[str, str | Path | None]],
    cached: Iterable[Path],
    download: bool,
    fetch: Callable[[], str | Path],
    missing: Callable[[str], str],
) -> Path:
    """The path of the weights, from the first of these that has them; else ValueError.

    named       pairs (what named it, path or None): such a file is used or refused, never replaced by another
    cached      paths at which the file may lie
    download    whether `fetch()` may be called, which brings the file and returns its path, or raises OSError
    missing     turns what is wrong into one sentence with the way out
    """
    for source, given in named:
        if given:
            path = files.expanded(given).absolute()
            if not path.is_file():
                raise ValueError(missing(f"{source} names {path}, where there is no file"))
            return path
    for path in cached:
        if path.is_file():
            return path
    if not download:
        raise ValueError(missing("the weights are not on this machine, and download is off"))
    try:
        return Path(fetch())
    except OSError as error:  # no network, no such host, a time-out, a full or read-only disk
        raise ValueError(missing(f"the weights could not be downloaded: {one_line(error)}")) from error


def folder(*names: str) -> list[Path]:
    """Where files of these names would lie in the folder $TRANSGAN_WEIGHTS, if that is set."""
    named = os.environ.get("TRANSGAN_WEIGHTS")
    if not named:
        return []
    path = files.expanded(named).absolute()
    if not path.is_dir():
        raise ValueError(f"TRANSGAN_WEIGHTS names {path}, where there is no folder: name one with weights in it.")
    return [path / name for name in names]


def torch_hub(name: str) -> Path:
    """Where torch hub keeps a file of this name; for a user without a home folder, where we do."""
    folder = Path(torch.hub.get_dir())
    return ((files.cache_folder("hub") if folder.parts[0] == "~" else folder) / "checkpoints" / name).absolute()


def hugging_face(repository: str, name: str) -> list[Path]:
    """Where the cache of the Hugging Face hub has a file, as a list: empty if it has not. Opens no connection."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, name)
    return [Path(path)] if isinstance(path, str) else []  # it also answers that there is no such file


def fetch(address: str, path: Path, verify: Callable[[str, int, str], None] = lambda place, size, digest: None) -> Path:
    """Download to `path`; the name appears only when every byte is there and `verify` has not raised."""
    digest, size = hashlib.sha256(), 0
    with files.replacing(path) as file, urllib.request.urlopen(address, timeout=30) as answer:
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            size += len(block)
        verify(f"What came from {address}", size, digest.hexdigest())
    return path


@contextmanager
def loading(path: Path, network: str) -> Iterator[None]:
    """Whatever goes wrong inside is one sentence: `path` does not hold weights of `network`."""
    try:
        yield
    except Exception as error:  # of many kinds: zip, pickle, safetensors, missing keys, shapes
        raise ValueError(
            f"{path} does not hold weights of {network} ({type(error).__name__}: {one_line(error)})."
        ) from error


def load_own(network: nn.Module, path: str | Path, what: str) -> str:
    """Fill `network` with the state dict in a torch file that only the user can provide; returns the file's hash."""

    def missing(wrong: str) -> str:
        return f"{what[0].upper()}{what[1:]}: {wrong}; give extractor.weights=PATH."

    found = find([("extractor.weights", path)], [], False, Path, missing)
    with loading(found, what):
        network.load_state_dict(torch.load(found, map_location="cpu", weights_only=True))
    return files.sha256(found)


def one_line(error: object, length: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= length else f"{text[:length]} ..."
