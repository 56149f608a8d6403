"""The names of files that commands write: no two things share a name, and a suffix says what is in the file."""

from pathlib import Path

from transgan.callbacks.interval import moment
from transgan.files import expanded


def evaluation_file(folder: Path, kimg: float, checkpoint: Path, protocol: dict) -> Path:
    """Of a checkpoint of a run, by a protocol, its seed and the steps of a flow, which are no part of the id."""
    steps = "".join(f"-{protocol[key]}" for key in ("steps", "solver", "guidance") if key in protocol)
    name = f"{moment(round(1000 * kimg))}-{checkpoint.stem}-{protocol['id']}-seed{protocol['seed']}{steps}.json"
    return folder / "evaluations" / name


def earlier_evaluation_file(folder: Path, kimg: float, checkpoint: Path, protocol: dict) -> Path:
    """The same as earlier versions named it, of whatever seed was the last."""
    return folder / "evaluations" / f"{round(kimg):06d}-{checkpoint.stem}-{protocol['id']}.json"


def wrong_suffix(key: str, path: str | Path | None, *suffixes: str) -> list[str]:
    """A sentence if the path given for a file says that it is another kind of file; else none."""
    if path is None:
        return []
    named = expanded(path)
    if named.is_dir():
        return [f"{key}={path}: it is a folder, and this is for a file; give it a name that ends in {suffixes[0]}"]
    if named.suffix.lower() in suffixes:
        return []
    others = f" (or {', '.join(suffixes[1:])})" if suffixes[1:] else ""
    return [f"{key}={path}: its name must end in {suffixes[0]}{others}, which is what is written to it"]


def no_file(key: str, path: str | Path, what: str) -> list[str]:
    """A sentence if there is no file to read at the path given for one; else none. what: the file to give."""
    named = expanded(path)
    if named.is_dir():
        return [f"{key}={path}: it is a folder; give {what}"]
    return [] if named.exists() else [f"{key}={path}: there is no such file; give {what}"]


def wrong_folder(key: str, path: str | Path | None, *suffixes: str) -> list[str]:
    """A sentence if the path given for a folder is a file, or has the suffix of one; else none."""
    if path is None:
        return []
    named = expanded(path)
    if named.exists() and not named.is_dir():
        return [f"{key}={path}: it is a file, and this is for a folder; give another name"]
    if not named.is_dir() and named.suffix.lower() in suffixes:
        return [
            f"{key}={path}: this is for a folder of files, and the name is that of a file; leave {named.suffix} out"
        ]
    return []
