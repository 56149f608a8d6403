"""The list that follows from what has been measured: combinations of changes that helped, or the finals of the best.

    python -m benchmarks.recipes.follow combine LIST.yaml [...] --rows FOLDER/rows.jsonl --trials 8 > LIST_2.yaml
    python -m benchmarks.recipes.follow finals LIST.yaml [...] --rows FOLDER/rows.jsonl --seconds 600 --seeds 0 1 2

Each list and task gets the same number of trials, so that all systems are tuned alike, without anybody's taste. In
a list each idea is a change of its base; those that made their base better, the most of it first, are put upon the best
idea, one by one and all together.
"""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.recipes.__main__ import ideas_of, merged, settings_of

Distances = dict[tuple[str, str, tuple[str, ...]], float]  # of a task, a system and its settings


def distances(rows: list[dict[str, Any]], seconds: float) -> Distances:
    """The mean over the seeds that there are, of trials with this budget."""
    found: dict[Any, list[float]] = {}
    for row in rows:
        if row["budget"] == seconds:
            key = row["task"], row["system"], tuple(row["settings"])
            found.setdefault(key, []).append(row["numbers"]["fd_classifier"])
    return {key: sum(each) / len(each) for key, each in found.items()}


def ranked(path: Path, task: str, known: Distances) -> list[tuple[float, str]]:
    """The ideas of a list that were measured on a task: (distance, name), best first."""
    ideas = ideas_of(path)["ideas"]
    keys = {name: (task, *settings_of(ideas, name)) for name in ideas}
    found = {name: known.get((task, system, tuple(settings))) for name, (task, system, settings) in keys.items()}
    return sorted((value, name) for name, value in found.items() if value is not None)


def changes(path: Path, task: str, known: Distances) -> list[tuple[float, list[str]]]:
    """(the distance as a share of its base's, the settings) of the ideas that made their base better, best first."""
    ideas, measured = ideas_of(path)["ideas"], {name: value for value, name in ranked(path, task, known)}
    found = []
    for name, value in measured.items():
        base = (ideas[name] or {}).get("base")
        if base in measured and value < measured[base]:
            found.append((value / measured[base], ideas[name]["set"]))
    return sorted(found, key=lambda each: each[0])


def root(ideas: dict[str, Any], name: str) -> str:
    """The idea at the bottom of another one."""
    base = (ideas[name] or {}).get("base")
    return root(ideas, base) if base else name


def keys(settings: list[str]) -> set[str]:
    return {each.split("=")[0].lstrip("+~") for each in settings}


def combined(path: Path, task: str, known: Distances, trials: int) -> dict[str, Any]:
    """Up to `trials` ideas: the best of a list with one, two and more of the changes of other keys that helped."""
    order = ranked(path, task, known)
    if not order:
        return {}
    ideas, best = ideas_of(path)["ideas"], order[0][1]
    system, settings = settings_of(ideas, best)
    changed = keys([each for each in settings if each not in settings_of(ideas, root(ideas, best))[1]])
    own = [each for _, each in changes(path, task, known) if not keys(each) & changed]
    sets = [chosen for count in range(1, len(own) + 1) for chosen in combinations(own, count)]
    sets = [
        chosen for chosen in sets if sum(len(keys(each)) for each in chosen) == len(set().union(*map(keys, chosen)))
    ]
    rank = {id(each): i for i, each in enumerate(own)}
    sets.sort(key=lambda chosen: (sum(rank[id(each)] for each in chosen) / len(chosen) ** 1.5, len(chosen)))
    found: dict[str, Any] = {}
    for chosen in sets:
        new = settings
        for each in chosen:
            new = merged(new, each)
        names = "+".join(str(rank[id(each)] + 1) for each in chosen)
        if (task, system, tuple(new)) not in known and len(found) < trials:
            found[f"{best}+{names}_{task}"] = {"system": system, "set": new, "tasks": [task]}
    return found


def finals(path: Path, task: str, known: Distances, count: int) -> dict[str, Any]:
    """The best ideas of a list on a task."""
    ideas = ideas_of(path)["ideas"]
    found = {}
    for _, name in ranked(path, task, known)[:count]:
        system, settings = settings_of(ideas, name)
        found[name if name.endswith(task) else f"{name}_{task}"] = {"system": system, "set": settings, "tasks": [task]}
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes.follow")
    parser.add_argument("what", choices=["combine", "finals"])
    parser.add_argument("lists", nargs="+", type=Path)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=8, help="combine: at most so many for each list and task")
    parser.add_argument("--best", type=int, default=1, help="finals: so many of each list and task")
    parser.add_argument("--seconds", type=float, help="finals: the budget")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args(arguments)
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    ideas: dict[str, Any] = {}
    seconds = options.seconds
    for path in options.lists:
        config = ideas_of(path)
        known = distances(rows, config["seconds"])
        for task in config["tasks"]:
            if options.what == "combine":
                ideas |= combined(path, task, known, options.trials)
                seconds = config["seconds"]
            else:
                ideas |= finals(path, task, known, options.best)
    tasks = sorted({task for idea in ideas.values() for task in idea["tasks"]})
    new = {"tasks": tasks, "seconds": seconds or 600, "seeds": options.seeds, "ideas": ideas}
    sys.stdout.write(OmegaConf.to_yaml(OmegaConf.create(new)))


if __name__ == "__main__":
    main()
