"""Runs the trials of lists: see __init__.py."""

import argparse
import fnmatch
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from benchmarks.recipes.task import Task, prepare
from benchmarks.recipes.trial import Trial
from transgan.runs.memory import keep_freed_memory


def ideas_of(path: Path) -> dict[str, Any]:
    """A list: {tasks, seconds, seeds, ideas: {name: {system, base, set, tasks, ...}}}."""
    return OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[return-value]


def settings_of(ideas: dict[str, Any], name: str) -> tuple[str, list[str]]:
    """-> (system, settings) of an idea: those of its base, with its own behind them."""
    idea = ideas[name] or {}
    system, settings = settings_of(ideas, idea["base"]) if idea.get("base") else ("ours", [])
    return idea.get("system", system), merged(settings, idea.get("set") or [])


def merged(settings: list[str], others: list[str]) -> list[str]:
    """Settings of the same key take the place of earlier ones; ~KEY takes out a key and those below it."""
    found = {each.split("=")[0]: each for each in settings}
    for each in others:
        if each.startswith("~"):
            found = {
                key: value for key, value in found.items() if not (key.lstrip("+") + ".").startswith(each[1:] + ".")
            }
            continue
        found.pop(each.split("=")[0], None)
        found[each.split("=")[0]] = each
    return list(found.values())


def trials_of(path: Path) -> list[Trial]:
    config = ideas_of(path)
    found = []
    for seed in config["seeds"]:
        for name, idea in config["ideas"].items():
            idea = idea or {}
            if seed not in idea.get("seeds", config["seeds"]) or idea.get("abstract"):
                continue
            system, settings = settings_of(config["ideas"], name)
            for task in idea.get("tasks", config["tasks"]):
                seconds, version = idea.get("seconds", config["seconds"]), config.get("version", 1)
                found.append(Trial(task, seconds, seed, name, system, tuple(settings), version))
    return found


def waiting(lists: list[Path], out: Path, only: str) -> list[Trial]:
    """Trials that are neither done nor taken by another process."""
    done = {json.loads(line)["id"] for line in read(out / "rows.jsonl")}
    found = {}
    for path in lists:
        found |= {trial.id: trial for trial in trials_of(path) if fnmatch.fnmatch(f"{trial.task}/{trial.idea}", only)}
    return [trial for id, trial in found.items() if id not in done and not taken(out / "taken" / id)]


def read(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def taken(path: Path) -> bool:
    """Whether a process that lives has taken the trial."""
    try:
        os.kill(int(path.read_text()), 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    return True


def take(path: Path) -> bool:
    if path.exists() and not taken(path):
        path.unlink(missing_ok=True)
    try:
        with open(path, "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def run(trial: Trial, task: Task, out: Path) -> None:
    """In a child of its own, so that a trial leaves nothing behind."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        torch.set_num_threads(1)
        keep_freed_memory()  # as `transgan train` does; also for the baselines
        row = trial.run(task, out / "grids")
        with open(out / "rows.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        print(said(row), flush=True)
    except BaseException:
        (out / "failed" / trial.id).write_text(f"{trial}\n{traceback.format_exc()}")
        print(f"{trial.task}/{trial.idea} seed {trial.seed}: {traceback.format_exc().splitlines()[-1]}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(0)


def said(row: dict[str, Any]) -> str:
    numbers = row["numbers"]
    others = " ".join(
        f"{name.split('_')[0]} {value:.3g}"
        for name, value in numbers.items()
        if name.startswith(("rec", "mesh", "spr", "class"))
    )
    curve = " ".join(f"{point['fd_classifier']:.3g}" for point in row["curve"])
    return (
        f"{row['task']:16s} {row['idea']:34s} {row['seed']} {row['seconds']:6.1f} s {row['images'] / 1000:7.2f} kimg "
        f"{row['steps']:6d} steps  fd {numbers['fd_classifier']:7.3f} ({curve})  {others}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes")
    parser.add_argument("lists", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of cifar10-train.zip and the like")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="*", help="TASK/IDEA, with wildcards")
    parser.add_argument("--num-samples", type=int, default=2500)
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="EXTRACTOR=WEIGHTS", help="distances by other features, at the end"
    )
    parser.add_argument("--wait", action="store_true", help="look again every 5 s when all is done: lists may grow")
    options = parser.parse_args()
    for name in ("grids", "taken", "failed"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    tasks: dict[str, Task] = {}
    others = {name: Path(path) for name, path in (each.split("=", 1) for each in options.also)}
    while True:
        queue = [
            t for t in waiting(options.lists, options.out, options.only) if not (options.out / "failed" / t.id).exists()
        ]
        if not queue:
            if not options.wait:
                return
            time.sleep(5)
            continue
        trial = queue[0]
        if not take(options.out / "taken" / trial.id):
            continue
        if trial.task not in tasks:
            tasks[trial.task] = prepare(trial.task, options.data, options.num_samples, others)
        run(trial, tasks[trial.task], options.out)
        (options.out / "taken" / trial.id).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
