"""How long the runs of equal seconds are: chosen once for each system of a suite, so that more seeds change none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transgan import files
from transgan.comparison.jobs import Job

OWN = (     # arguments of a single run
    "runs", "name", "seed", "checkpoint", "kimg", "log_every", "evaluate_every", "sample_every", "checkpoint_every",
)  # fmt: skip
ALIKE = 1.3  # by how much a length may differ from today's speed and still be one of as many seconds


def kept(runs: Path, name: str, settings: dict[str, Any], fresh: Callable[[], float], job: Callable[..., Job]) -> float:
    """Kimg of the runs of equal seconds called `name`: what was chosen before for these settings, else `fresh()`.

    It is written to runs/lengths.json. Runs of earlier versions have none there: then the length is that of the runs
    that are there, where all have the same. A run is trained to its end at a learning rate that falls to nothing, and
    one that were given another length would be trained on after that. job(seed, kimg) is the run that it would be.
    """
    file = runs / "lengths.json"
    overrides = [each for each in job(0, 1.0).arguments if each.partition("=")[0] not in OWN]
    settings = settings | {"arguments": overrides}
    known = files.read_json(file) if file.exists() else {}
    if name in known and known[name]["settings"] == settings:
        return float(known[name]["kimg"])
    kimg = fresh()
    there = [each.parent for each in runs.glob(f"{name}-*/env.json")]
    earlier = {length for each in there if (length := length_of(each, job)) is not None}
    if name not in known and len(earlier) == 1:
        (only,) = earlier
        kimg = only if 1 / ALIKE < only / kimg < ALIKE else kimg
    files.write_json(file, known | {name: {"kimg": kimg, "settings": settings}})
    return kimg


def length_of(folder: Path, job: Callable[..., Job]) -> float | None:
    """The kimg= that a run was trained by; None where it was another command."""
    command = files.read_json(folder / "env.json")["command"][2:]
    seed = folder.name.rpartition("-")[2]
    kimg = next((each.removeprefix("kimg=") for each in command if each.startswith("kimg=")), None)
    if kimg is None or not seed.isdigit() or command != list(job(int(seed), float(kimg)).arguments):
        return None
    return float(kimg)
