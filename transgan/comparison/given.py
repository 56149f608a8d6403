"""The runs that `transgan compare` is given, as records: those that differ only in seed and name are one system."""

import json
import os
from pathlib import Path

from omegaconf import DictConfig

from transgan import files
from transgan.comparison.record import Record
from transgan.errors import UserError
from transgan.runs.resuming import differences


def given_runs(config: DictConfig) -> tuple[list[Record], list[str]]:
    """-> (the runs, each with the name of its system; notes about them)"""
    records: list[Record] = []
    notes: list[str] = []
    kinds: list[list[Record]] = []
    for given in config.run:
        record = Record(files.expanded(given), "", "as they are", 0, config.checkpoint)
        record.seed = record.config["seed"]
        record.before = before(record, given, notes)
        records.append(record)
        same = next((kind for kind in kinds if alike(kind[0], record)), None)
        kinds.append([record]) if same is None else same.append(record)
    taken: set[str] = set()
    for kind in kinds:
        names = [record.folder.name for record in kind]
        name = stem(names) if len(kind) > 1 else names[0]
        name = name if name and name not in taken else names[0]
        name = name if name not in taken else str(kind[0].folder)
        taken.add(name)
        for record in kind:
            record.system = name
    extractors = {json.dumps(r.config.get("extractor"), sort_keys=True): r for r in records}
    if len(extractors) > 1 and config.extractor is None:
        raise UserError(
            "the runs were trained with different extractors; say by which one to compare them, such as "
            "extractor=classifier"
        )
    return records, notes


def before(record: Record, given: str, notes: list[str]) -> Record | None:
    """The run that a run began with, with the one before that, and so on. Adds notes about what cannot be counted."""
    config = record.config if record.counted is None or record.there else {}
    if config.get("init_from"):
        notes.append(f"{given} began with the weights of {config['init_from']}, whose cost is not counted")
    written = (record.counted or record.saved).get("begun_with")
    source = written["path"] if written else (config.get("warm_start") or {}).get("source")
    if not source:
        return None
    earlier = Record(Path(source).parent.parent, "pre-training", "as they are", 0, counted=written)
    if not earlier.there and written is None:
        notes.append(f"{given} began with {source}, which is gone: its cost is not counted")
        return None
    earlier.seed = written["seed"] if written else earlier.config["seed"]
    earlier.before = before(earlier, given, notes)
    return earlier


def stem(names: list[str]) -> str:
    """What the names of one system's runs begin with: gan of gan-0 and gan-1, seed of seed1 and seed12."""
    name = os.path.commonprefix(names)
    if any(each[len(name) : len(name) + 1].isdigit() or each == name for each in names):
        name = name.rstrip("0123456789")  # of a number that goes on
    return name.rstrip("-_. ")


def alike(one: Record, other: Record) -> bool:
    """Whether two runs differ in their seed and in what may change in a run alone, and so do those they began with."""
    found = [
        each
        for each in differences(one.config, other.config)
        if each.partition(":")[0].split(".")[-1] not in ("seed", "source", "sha256", "checkpoint")
    ]
    if not (one.before and other.before and one.before.there and other.before.there):
        sources = [(record.config.get("warm_start") or {}).get("source") for record in (one, other)]
        same_start = sources[0] == sources[1]
    else:
        same_start = alike(one.before, other.before)
    return not found and same_start and one.own_kimg == other.own_kimg
