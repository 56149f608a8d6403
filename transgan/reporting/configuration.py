"""The configuration of runs, where several differ, and the commands that make, continue and use a run."""

import os
from pathlib import Path
from typing import Any

import yaml

from transgan.reporting.material import Material
from transgan.runs.proposals import measuring, typed
from transgan.runs.resuming import Rules, leaves

ABSENT = "–"
PLACES = (  # they differ without meaning anything
    "name", "runs", "logger.save_dir", "logger.name", "logger.run_name", "logger.store", "data.path",
)  # fmt: skip


def differences(materials: list[Material]) -> list[list[str]]:
    """Head and rows: a key and its value in each run, for every key that is not equal in all of them; copies of a key
    within a configuration are left out."""
    rules = Rules.read()
    every = [leaves(material.config) for material in materials]
    keys = list(dict.fromkeys(key for each in every for key in each))
    rows: list[list[str]] = []
    others: list[str] = []  # parts that are of different classes, and so have different keys
    for key in sorted(keys, key=lambda key: (key.count("."), not key.endswith("._target_"))):
        if key in PLACES or rules.is_repeated(key, keys) or any(key.startswith(part) for part in others):
            continue
        values = [written(each[key]) if key in each else ABSENT for each in every]
        if len(set(values)) > 1:
            rows.append([key, *values])
            if key.endswith("._target_"):
                others.append(key.removesuffix("_target_"))
    rows.sort(key=lambda row: keys.index(row[0]))
    return [["key", *(material.name for material in materials)], *rows]


def written(value: Any) -> str:
    """A value as YAML has it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def commands(material: Material) -> list[tuple[str, str]]:
    """(what it does, a command line to paste), for the folder in which the report is made."""
    run = material.given
    data = ["data.path=NEW_FOLDER"] if material.moved else []
    found = []
    recorded = material.environment.get("command")
    if isinstance(recorded, list) and recorded and all(isinstance(each, str) for each in recorded):
        found.append(("made it or continued it last, in the folder where it was started", typed(*recorded)))
    config = material.folder / "config.yaml"
    if config.is_file():
        at = shown(config)
        runs, name = place_of(material)
        if material.algorithm:
            planned = material.planned or 1.0
            longer = [] if not material.finished else [f"kimg={2 * planned:g}"]
            what = "continues it to twice its length" if material.finished else "continues it"
            if material.out_of_patience is not None:
                longer.append("patience=null")
            longer += data
            what = what if material.run is not None else "trains it, from the beginning: there is no checkpoint"
            found.append((what, typed("transgan", "train", f"config={at}", f"runs={runs}", f"name={name}", *longer)))
        again = typed("transgan", "train", f"config={at}", f"runs={runs}", f"name={name}-again", *data)
        found.append(("trains it again, as another run", again))
    if material.run is not None:
        if "metrics=none" not in ((material.run.facts.get("chosen") or {}).get("arguments") or ()):  # of one image
            measured = measuring(material.config, bool(material.class_names))
            measured += ["against=NEW_FOLDER"] if data else []
            found.append(("measures it, between floor and ceiling", typed("transgan", "evaluate", run, *measured)))
        found += [
            ("makes a grid of images", typed("transgan", "sample", run, "to=grid", "seeds=0-99")),
        ]
    found.append(("writes this report again", typed("transgan", "report", run)))
    return found


def place_of(material: Material) -> tuple[str, str]:
    """(runs=, name=) by which the run is this very folder, wherever it was moved."""
    folder = Path(os.path.abspath(material.folder))
    name = Path(str(material.config.get("name") or folder.name))
    if not name.is_absolute() and folder.parts[-len(name.parts) :] == name.parts:
        return shown(Path(*folder.parts[: -len(name.parts)])), name.as_posix()
    return shown(folder.parent), folder.name


def shown(path: Path) -> str:
    """A path relative to the current folder where it is inside, else from the root."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative
