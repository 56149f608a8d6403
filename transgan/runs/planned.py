"""The settings that a run chooses by itself: those named by auto=, without those that its command gives.

What is chosen stands in front of the command's own arguments, as if the user had written it: so it is checked,
compared, saved and continued like everything else. A run that continues takes what was chosen when it began.
"""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from transgan import checkpoint, files
from transgan.config.command_line import chosen_by_itself, read
from transgan.config.compose import compose
from transgan.cores import cores
from transgan.data.free_memory import free_memory
from transgan.errors import UserError, setting_up
from transgan.planning import Choice, Facts, Measured, choose, spend
from transgan.planning.choice import FIRST, KEYS, arguments
from transgan.planning.look import facts_of
from transgan.planning.settings import INCEPTION, LITE0
from transgan.runs.beside import beside_of, likelihood_of, preparing
from transgan.runs.findings import require_penalty
from transgan.runs.measuring import Trial
from transgan.runs.timed import minutes_of, note

SAMPLES = "metrics.num_samples"
OF_TIME = (
    "kimg",
    SAMPLES,
    "log_every",
    "sample_every",
    "evaluate_every",
    "checkpoint_every",
)  # follow minutes=
OF_IMAGES = {"conditional", "extractor", "metrics", "batch_size"}  # follow how many images there are, of which classes
EXTRACTING = {"inception": INCEPTION, "efficientnet_lite0": LITE0}  # seconds of a core for an image
CHEAP = 0.0004  # of extractors trained on the images themselves
SLACK = 1.15  # memory that allocators and libraries take, over what tensors hold
SPARE = 0.9  # of the free memory, at most
FASTER = 0.9  # more threads are worth it where a step takes at most so much of its time


@dataclass
class Plan:
    """choices: what was chosen; wanted: keys to choose before a step is measured; left: those to choose after it;
    facts: what they depend on; began: when planning did, by time.monotonic(); kept: what was chosen when the run
    began, as arguments; note: what is to be said of the command."""

    choices: list[Choice] = field(default_factory=list)
    wanted: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    facts: Facts | None = None
    minutes: float | None = None
    began: float = field(default_factory=time.monotonic)
    kept: list[str] = field(default_factory=list)
    note: str | None = None

    @property
    def arguments(self) -> list[str]:
        """All that was chosen for this run, whenever it was."""
        return [*self.kept, *arguments(self.choices)]


def planned(config: DictConfig, given: list[str]) -> tuple[DictConfig, list[str], Plan]:
    """-> (the configuration, the arguments that describe it completely, what was chosen and what is left to choose)

    config: composed from the arguments `given`. Raises UserError.
    """
    minutes, began = minutes_of(config), time.monotonic()
    auto = set(config.get("auto") or ()) | (set(OF_TIME) if minutes is not None else set())
    keys = {each.key.split("@")[0] for each in map(read, given)} - chosen_by_itself(given)
    last = files.expanded(config.runs) / config.name / "checkpoints" / "last.ckpt"
    if last.exists():
        return continued(config, given, keys, last, minutes)
    there = {key for key in auto if key in ("recipe", "extractor", "metrics") or has(config, key)}
    wanted = there - keys
    if SAMPLES in wanted - chosen_by_itself(given) and config.metrics.num_samples is not None:
        wanted.remove(SAMPLES)  # metrics=paper says how many, and numbers are to be had by it
    plan = Plan(left=frozenset(wanted - set(FIRST)), minutes=minutes, began=began)
    data: Any = config.get("data") or {}
    if wanted & set(FIRST) and str(data.get("_target_", "")).endswith((".Folder", ".Zip")):
        with setting_up():
            device = device_of(config.trainer.get("accelerator", "auto"))
            limit = data.get("limit")
            facts = facts_of(data.path, data.get("labels"), limit, config.holdout, device, minutes)
            plan.facts = replace(facts, half=half(device), processes=processes_of(config))
        plan.wanted = frozenset(wanted)
        as_given = ("precision", config.precision) if "recipe" in keys else None
        found = [each for each in choose(plan.facts, keys) if each.key in wanted]
        plan.choices = [each for each in found if (each.key, each.value) != as_given]
    if not plan.choices:
        return config, given, plan
    whole = [*plan.arguments, *given]
    config = compose("train", whole)
    plan.left = frozenset(key for key in plan.left if has(config, key))  # none of metrics=none
    return config, whole, plan


def revised(plan: Plan, dataset: Any) -> list[Choice]:
    """What is chosen otherwise once the images were read, of which some may have been unreadable. What they were read
    with stays as it was chosen."""
    if plan.facts is None:
        return []
    counts = dataset.labels.bincount().tolist() if dataset.num_classes else []
    plan.facts = replace(plan.facts, count=len(dataset), classes=tuple(each for each in counts if each))
    before = {each.key: each.value for each in plan.choices}
    found = [each for each in choose(plan.facts) if each.key in plan.wanted & OF_IMAGES]
    if "conditional" in before and all(each.key != "conditional" for each in found):
        found.append(Choice("conditional", False, "no classes to tell apart"))
    changed = [each for each in found if each.value != before.get(each.key)]
    others = {each.key for each in changed}
    plan.choices = [*(each for each in plan.choices if each.key not in others), *changed]
    return changed


def continued(
    config: DictConfig, given: list[str], keys: set[str], last: Path, minutes: float | None
) -> tuple[DictConfig, list[str], Plan]:
    """What was chosen when the run began; its length anew where it is given another time."""
    chosen: dict[str, Any] = {}
    with suppress(checkpoint.CheckpointError, OSError):  # what is wrong with it is said where it is resumed
        previous = checkpoint.read(last)
        chosen = previous.get("chosen") or {}
    kept = list(chosen.get("arguments", ()))
    if minutes is not None and minutes != chosen.get("minutes") and "kimg" not in keys:
        seconds = previous.get("callbacks", {}).get("Session", {}).get("seconds", 0.0)
        shown = previous["images_seen"]
        if seconds > 0 and shown > 0:
            kimg = max(float(f"{60 * minutes * shown / seconds / 1000:.3g}"), shown / 1000)
            kept = [word for word in kept if read(word).key != "kimg"]
            kept.append(Choice("kimg", kimg, "").argument)
    in_file = set(chosen.get("arguments", ())) if "config" in keys else set()
    before = [word for word in kept if read(word).key not in keys and word not in in_file]
    plan = Plan(minutes=chosen.get("minutes") if minutes is None else minutes, kept=kept, note=note(config, given))
    whole = [*before, *given]
    return (compose("train", whole) if before else config), whole, plan


def unsaid(config: DictConfig) -> list[Choice]:
    """Resolution and channels as training would choose them, of those that a command on images alone is not given."""
    left = {key for key in ("resolution", "channels") if config[key] is None}
    data = config.data
    facts = facts_of(data.path, data.labels, data.limit, config.holdout, device_of(), None) if left else None
    return [each for each in choose(facts) if each.key in left] if facts else []


def has(config: DictConfig, key: str) -> bool:
    """Whether a configuration has this key: with metrics=none there is no metrics.num_samples."""
    group, _, name = key.rpartition(".")
    return name in (config.get(group) or {}) if group else name in config


def device_of(accelerator: str = "auto") -> str:
    """The kind of device that a run would be on."""
    if accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available():
        return "cuda"
    return "mps" if accelerator in ("mps", "auto", "gpu") and torch.backends.mps.is_available() else "cpu"


def half(device: str) -> bool:
    """Whether a GPU computes in bfloat16; those before Ampere imitate it, slowly."""
    return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def processes_of(config: DictConfig) -> int:
    """Of a run, as far as its command says it."""
    devices, nodes = config.trainer.get("devices", 1), config.trainer.get("num_nodes", 1)
    return max(1, devices) * nodes if isinstance(devices, int) else 1


@dataclass
class Fitted:
    """A module that is thrown away, whose steps fit into memory: images of a step on this process, and at once; bytes
    that a step takes and that are free; and the threads to try, or the number that was given."""

    trial: Trial
    batch: int
    micro_batch: int | None
    memory: int
    free: int
    threads: list[int]


def fitted(
    plan: Plan, config: DictConfig, resolved: dict[str, Any], dataset: Any, heldout: Any, device: torch.device,
    processes: int, here: int = 1,
) -> Fitted:  # fmt: skip
    """Counts the memory of a step on this process's device. here: processes that share this machine's memory. Raises
    UserError for what does not fit."""
    batch = -(-config.batch_size // processes)
    choosing = "threads" in plan.left and device.type == "cpu" and processes == 1
    usual = None if choosing else config.threads or torch.get_num_threads()
    torch.set_num_threads(usual or 1)
    trial = Trial(resolved, dataset, heldout, device)
    require_penalty(trial.module, config.batch_size, processes)
    spare = int(SPARE * free_bytes(device, here) / SLACK) if processes == 1 else 0  # several take as many steps each
    footprint = trial.footprint(batch, spare)
    free, at_once = free_bytes(device, here), min(config.micro_batch or batch, batch)
    fitting = footprint.fitting(at_once, int(SPARE * free / SLACK))
    obstacle = trial.module.parts.obstacle()
    if fitting is None or fitting < at_once and ("micro_batch" not in plan.left or obstacle):
        give = "smaller networks, or a lower resolution="
        if fitting is not None:
            whole = f"batch_size={fitting * processes} or less: {obstacle}"
            give = whole if obstacle else f"micro_batch={fitting} or less"
        raise UserError(
            f"a step on {at_once:,} images takes {footprint.of(at_once) * SLACK / 2**30:.1f} GiB of memory, and "
            f"{free / 2**30:.1f} GiB are free{f' for each of {here} processes' * (here > 1)}; give {give}"
        )
    micro_batch = config.micro_batch if fitting == at_once else fitting
    trial.module.parts.size = micro_batch
    memory = int(SLACK * footprint.of(min(micro_batch or batch, batch)))
    return Fitted(trial, batch, micro_batch, memory, free, [usual] if usual else candidates(cores()))


def measured(
    plan: Plan, config: DictConfig, dataset: Any, fit: Fitted, device: torch.device, processes: int
) -> tuple[list[Choice], Measured]:
    """What is chosen once a step was measured, on this process's device."""
    facts = plan.facts or of_dataset(dataset, device, plan.minutes)
    facts = replace(facts, count=len(dataset))
    trial, threads = fit.trial, fit.threads
    speed = trial.speed(fit.batch, threads, alone=processes == 1)
    best = speed.best
    if best != threads[0] and speed.seconds[best] > FASTER * speed.seconds[threads[0]]:
        best = threads[0]
    torch.set_num_threads(best)
    looking = EXTRACTING.get(str(extractor_name(config)), CHEAP)
    looking = looking / 50 if device.type != "cpu" else looking / max(best, 1)
    waiting = time.monotonic() - plan.began
    if config.get("metrics"):
        waiting += preparing(config, dataset, looking)
    found = Measured(
        images_per_second=config.batch_size / speed.seconds[best],
        threads=best if len(threads) > 1 else None,
        speeds={n: config.batch_size / seconds for n, seconds in speed.seconds.items()},
        generating=speed.generating, extracting=looking, before=waiting, micro_batch=fit.micro_batch,
        memory=fit.memory, free=fit.free,
        state=sum(4 * each.numel() for each in trial.module.parameters()),
        likelihood=likelihood_of(config, trial, speed),
    )  # fmt: skip
    kimg = None if "kimg" in plan.left else float(config.kimg)
    beside = beside_of(config, plan.left, len(dataset), processes)
    chosen = spend(facts, found, config.batch_size, kimg=kimg, beside=beside)
    return [each for each in chosen if each.key in plan.left], found


def candidates(count: int) -> list[int]:
    """Numbers of threads to try: one, all cores that nothing else uses, and what is between.

    Threads that wait for cores which others use take many times as long as one thread does.
    """
    try:
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):  # not Linux
        running = 0
    free = max(1, min(count, (os.cpu_count() or count) - max(running, 0)))  # of a container the others are outside
    return sorted({1, min(free, 4), min(free, 8)})


def of_dataset(dataset: Any, device: torch.device, minutes: float | None) -> Facts:
    """What the choices after measuring depend on, of any data set."""
    return Facts(
        len(dataset), dataset.resolution, dataset.channels == 1, (), device.type, cores(), False, False, minutes
    )


def extractor_name(config: DictConfig) -> str | None:
    """The choice of extractor=, by the class it makes."""
    kind = str((config.get("extractor") or {}).get("_target_", "")).rpartition(".")[2]
    return {"Inception": "inception", "EfficientNetLite0": "efficientnet_lite0"}.get(kind)


def free_bytes(device: torch.device, here: int = 1) -> int:
    """Of this process's own device, or its part of the memory that `here` processes share."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory(here)


def settle(config: DictConfig, choices: Iterable[Choice]) -> None:
    """Sets what was chosen in a configuration."""
    for each in choices:
        OmegaConf.update(config, each.key, each.value)


def show(console: Console, choices: Sequence[Choice], first: str = "chosen") -> None:
    """One line for each: the argument that would say the same, and why."""
    ordered = sorted(choices, key=lambda each: KEYS.index(each.key))
    width = max((len(each.argument) for each in ordered), default=0)
    for i, each in enumerate(ordered):
        console.print(f"{first if not i else '':<8}{each.argument:<{width}}  {each.why}")
