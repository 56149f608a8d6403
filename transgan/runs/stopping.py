"""How a run ended before its length was reached: true sentences about what is saved, and what continues it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from rich.console import Console

from transgan import checkpoint
from transgan.callbacks import SaveCheckpoints, Session, find
from transgan.callbacks.stats import memory_mib
from transgan.callbacks.stopping import READER_GONE, TIME_IS_UP
from transgan.errors import UserError, describe, is_out_of_memory
from transgan.runs.output import complain
from transgan.runs.resuming import leaves
from transgan.training.generative import Generative


def kept(folder: Path) -> str:
    """What is saved of a run, and what the same command does."""
    last = folder / "checkpoints" / "last.ckpt"
    try:
        seen = checkpoint.read(last)["images_seen"]
    except (OSError, ValueError):
        return "nothing was saved yet; the same command begins anew"
    return f"the same command continues from {last} at {seen / 1000:g} kimg"


def name_of(number: int) -> str:
    """SIGTERM, and Ctrl-C for what a keyboard sends."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def whether_saved(trainer: Trainer, module: Generative) -> str:
    """Whether the state after the last step is in last.ckpt, in words that follow where a run was stopped."""
    checkpoints = find(trainer, SaveCheckpoints)
    if checkpoints is None:
        return "and not saved, because the run has no callbacks.checkpoints"
    if checkpoints.saved != module.images_seen:
        return f"and not saved; {kept(Session.of(trainer).folder)}"
    return "and saved; the same command continues"


def say_stopped(reason: int, module: Generative, saved: str, console: Console) -> int:
    """Says why training was stopped after a complete step, and whether it was saved. Returns the exit code."""
    where = f"stopped at {module.images_seen / 1000:g} kimg"
    if reason == TIME_IS_UP:
        console.print(f"{where}, after trainer.max_time, {saved}")
        return 0
    if reason == READER_GONE:
        error = getattr(console.file, "gone", None) or BrokenPipeError()
        why = "nobody reads the output any more" if isinstance(error, BrokenPipeError) else describe(error)
        complain(f"{why}: {where} {saved}; `transgan train ... > FILE` needs no reader")
        return 128 + READER_GONE
    console.print(f"{where} by {name_of(reason)} {saved}")
    if name_of(reason) in ("SIGUSR1", "SIGUSR2") and "SLURM_JOB_ID" in os.environ:
        return requeue(console)
    return 128 + reason


def requeue(console: Console) -> int:
    """Asks Slurm to start this job again, as a job does that was warned of its end. Returns the exit code."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]
    program = shutil.which("scontrol")
    why = "there is no scontrol here"
    if program is not None:
        answer = subprocess.run([program, "requeue", job], capture_output=True, text=True)
        if answer.returncode == 0:
            console.print(f"requeued Slurm's job {job}")
            return 0
        why = " ".join(answer.stderr.split()) or f"scontrol answered {answer.returncode}"
    complain(f"job {job} could not be requeued: {why}; submit it again, and it continues")
    return 1


def failure(error: BaseException, config: DictConfig, module: Generative) -> str | None:
    """What the user can do about an error in training, in a sentence; None for a fault of ours."""
    if is_out_of_memory(error):
        return out_of_memory(config, module=module)
    return describe(error, "runs=PATH") if isinstance(error, OSError) else None


def out_of_memory(config: DictConfig, began: bool = True, module: Generative | None = None) -> str:
    """The peak, and what to lower."""
    ways = [fewer_at_once(config, module)]
    keys = leaves(OmegaConf.to_container(config, resolve=False))
    switches = [f"{key}=true" for key, value in keys.items() if key.endswith("checkpointing") and value is False]
    ways += [" ".join(switches)] if switches else []
    ways += ["precision=bf16-mixed"] if str(config.precision) == "32-true" else []
    if not began and "in_memory" in config.data and config.data.in_memory is not False:
        ways.insert(0, "data.in_memory=false")
    kind = "GPU" if torch.cuda.is_available() and torch.cuda.is_initialized() else "process"
    return f"out of memory, after a peak of {memory_mib():,.0f} MiB of the {kind}; it needs less with {', '.join(ways)}"


def fewer_at_once(config: DictConfig, module: Generative | None) -> str:
    """What lets fewer images through the networks at once."""
    smaller_batch = f"a smaller batch_size= (it is {config.batch_size})"
    if module is None or module.parts.obstacle():
        return smaller_batch
    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    batch = -(-config.batch_size // processes)
    now = min(module.parts.size or batch, batch)
    if now > 1:
        return f"micro_batch={now // 2} or less ({now} images went through the networks at once)"
    return "smaller networks or a lower resolution= (images went through the networks one by one)"


def raise_as_users(error: Exception, config: DictConfig, module: Generative, folder: Path) -> None:
    """Raises UserError in place of an error in training that the user can do something about, else the error itself."""
    sentence = failure(error, config, module)
    if sentence is None:
        raise error
    raise UserError(f"training stopped at {module.images_seen / 1000:g} kimg: {sentence}; {kept(folder)}") from error
