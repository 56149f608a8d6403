"""`transgan train`: put the run together from its configuration, then let Lightning train it.

The Trainer comes first: it knows rank and device. Rank 0 alone touches the run folder, and holds its lock.
"""

import multiprocessing
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from transgan import checkpoint, files, warm_start
from transgan.callbacks.stopping import Stop, Stopped
from transgan.config.classes import strange_arguments
from transgan.errors import UserError, is_out_of_memory, one_line, setting_up
from transgan.instantiation import literal, make
from transgan.launched import launched, left_alone
from transgan.runs.distributed import DistributedContext
from transgan.runs.ending import report
from transgan.runs.folder import (
    differences,
    hush,
    keep_log,
    logger_findings,
    open_console,
    refuse_other,
    require_space,
    say_version,
    write_description,
)  # fmt: skip
from transgan.runs.images import training_data
from transgan.runs.lock import CANNOT, Lock
from transgan.runs.machine import impossible_here, require_memory
from transgan.runs.output import complain
from transgan.runs.resuming import jumps
from transgan.runs.stopping import kept, name_of, out_of_memory, raise_as_users, say_stopped
from transgan.runs.trainer import trainer_of


def main(config: DictConfig, arguments: list[str]) -> int:
    """Trains or continues the run `runs/name`. Returns the exit code."""
    stop = Stop()
    stop.listen()
    folder = files.expanded(config.runs) / config.name
    try:
        return run(config, arguments, folder, stop)
    except Stopped as end:
        when = end.when or ("after training" if stop.began else "before the first step")
        complain(f"stopped {when} by {name_of(end.number)}; {kept(folder)}")
        return 128 + end.number
    except (MemoryError, RuntimeError, OSError) as error:
        if stop.began or not is_out_of_memory(error):
            raise
        raise UserError(f"{out_of_memory(config, stop.began)}; {kept(folder)}") from error
    finally:
        for reader in multiprocessing.active_children():  # they hear no other signal
            reader.kill()
        stop.restore()


def run(config: DictConfig, arguments: list[str], folder: Path, stop: Stop) -> int:
    with setting_up("runs=PATH"):
        check(config)
        hush()
        settings = OmegaConf.to_container(config.trainer, resolve=True)
        limit = seconds_of(settings.pop("max_time", None))
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        trainer = trainer_of(
            settings, arguments, config.compile, [checkpoint.AtomicCheckpointIO()], precision=config.precision,
            logger=False, max_epochs=-1, max_steps=-1, use_distributed_sampler=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=str(folder),
        )  # fmt: skip
        if config.batch_size % trainer.world_size:
            raise ValueError(
                f"batch_size={config.batch_size} cannot be shared by {trainer.world_size} processes; make it a multiple"
            )
    console = open_console(trainer.is_global_zero)
    stop.reader_gone = lambda: bool(console.file.gone)
    with closing(Lock(folder)) as lock:
        if trainer.is_global_zero and not launched().outside:
            with setting_up("runs=PATH"):
                lock.acquire()  # before other processes are started
        with DistributedContext(trainer, ["train", *arguments], lambda: f"; {kept(folder)}") as context:
            if launched().outside:
                say_version(console, config)
            with context.together(), setting_up("runs=PATH"):
                if context.is_main:
                    lock.acquire()
                for note in (lock.unable and CANNOT.format(lock.unable), left_alone()):
                    if note:
                        console.print(f"note    {note}")
                parts = prepared(config, arguments, folder, lock, context, console)
            return 0 if parts is None else fit(config, trainer, context, folder, console, stop, limit, *parts)


def prepared(
    config, arguments: list[str], folder: Path, lock: Lock, context: DistributedContext, console
) -> tuple | None:
    """-> (configuration, module, images, held-out ones, checkpoint to continue from), or None for a finished run."""
    dataset, heldout = training_data(config)
    console.print(f"data    {dataset.describe()}")
    if heldout is not None:
        console.print(f"kept    {len(heldout):,} images out of training, to measure against")
    settle(config, dataset)
    last = folder / "checkpoints" / "last.ckpt"
    previous = checkpoint.read(last) if last.exists() else None
    gpt = warm_start.settle(config, arguments, previous and previous["config"])
    if previous is not None:
        compare(config, arguments, previous, dataset, folder)
        if previous["images_seen"] >= 1000 * config.kimg:
            say_finished(config, previous, folder, console)
            return None
    resolved = OmegaConf.to_container(config, resolve=True)
    if previous is not None and (jump := jumps(previous, resolved)):
        console.print(f"plan    {jump}")
    # the weights and their average; on a CPU also the gradients and Adam's two moments
    require_memory(checkpoint.without_weights(resolved), 5 if context.device.type == "cpu" else 2)
    torch.manual_seed(config.seed)
    module = checkpoint.build(resolved if previous is None else checkpoint.without_weights(resolved))
    if previous is None and config.init_from is not None:
        path = checkpoint.find(config.init_from)
        checkpoint.load_weights(module, checkpoint.read(path), path)
        console.print(f"start   from the weights of {path}")
    if gpt is not None:
        console.print("\n".join(warm_start.begin(gpt, module)))
    module.attach(dataset, heldout)
    if context.is_main:
        # the average, and of every network the weights and Adam's two moments
        require_space(folder, 4 * (count(module.ema) + 3 * sum(sizes(module).values())))
        if lock.unwritable is not None:
            raise lock.unwritable
        keep_log(folder / "log.txt")
        write_description(folder, resolved, arguments)
    return resolved, module, dataset, heldout, previous


def fit(
    config, trainer, context: DistributedContext, folder: Path, console, stop: Stop, limit: float | None,
    resolved: dict, module, dataset, heldout, previous: dict | None,
) -> int:  # fmt: skip
    from transgan.callbacks.checkpoints import SaveCheckpoints
    from transgan.callbacks.evaluation import Evaluation
    from transgan.callbacks.interval import Interval
    from transgan.callbacks.likelihood import Likelihood
    from transgan.callbacks.progress import ProgressLine
    from transgan.callbacks.samples import Samples
    from transgan.callbacks.stats import Stats
    from transgan.data import ImageData
    from transgan.training.generative import NonFiniteTraining

    def every(name: str) -> Interval:
        return Interval(config[name], config.kimg)

    def prepare_evaluator(device, main: bool) -> None:
        with setting_up(), console.status("preparing the metrics: features of all real images"):
            evaluator.prepare(
                dataset,
                heldout if evaluator.with_heldout else None,
                device,
                main=main,
                conditional=config.num_classes > 0,
            )
        console.print(
            f"metrics {evaluator.primary}: {evaluator.num_samples:,} generated against {len(dataset):,} real images "
            f"every {config.evaluate_every:g} kimg, for at most {100 * config.evaluate_share:g} % of the time"
        )
        if main and evaluator.few():
            console.print(f"note    small_sample: {evaluator.few()}")

    with context.together(), setting_up("runs=PATH"):
        stop.interval = every("log_every")
        stats = Stats(folder, every("log_every"))
        samples = Samples(folder, every("sample_every"), dataset, config.num_classes, config.grid)
        evaluation = likelihood = None
        if config.get("metrics"):
            evaluator = make(config.metrics)
            if evaluator.with_heldout and heldout is None:
                heldout = dataset.heldout()
            evaluation = Evaluation(
                folder, every("evaluate_every"), evaluator, prepare_evaluator, context, config.evaluate_at_start,
                config.evaluate_share, stats,
            )  # fmt: skip
        if heldout is not None and hasattr(module, "bits_per_dim"):
            likelihood = Likelihood(folder, every("evaluate_every"), heldout, stats)
        extra = {"config": resolved, "data": dataset.fingerprint, "class_names": list(dataset.class_names)}
        saved = previous and previous["images_seen"]
        save = SaveCheckpoints(folder, every("checkpoint_every"), stop, evaluation, extra, saved)
        progress = ProgressLine(config.kimg, stats, evaluation, likelihood, every("evaluate_every"), console)
        callbacks = (stop, stats, samples, likelihood, evaluation, save, progress)
        trainer.callbacks += [each for each in callbacks if each is not None]
        if config.get("logger"):
            trainer.logger = make(config.logger)
        for logger in trainer.loggers:
            try:
                _ = logger.experiment  # opens it: what it passes on to others is refused here, and not amid a run
            except TypeError as error:
                raise ValueError(f"logger: {one_line(error)}; leave that out") from error
        data = ImageData(dataset, config.batch_size, config.seed, config.num_workers)
        console.print(
            f"model   {', '.join(f'{name} {size / 1e6:.2f} M' for name, size in sizes(module).items())} parameters; "
            f"{'conditional' if config.num_classes else 'unconditional'}; {config.precision}"
        )
        done = f", from {saved / 1000:g}" if previous else ""
        epochs = 1000 * config.kimg / len(dataset)
        console.print(f"plan    to {config.kimg:g} kimg{done} ({epochs:.3g} times the data), batch {config.batch_size}")
    last = folder / "checkpoints" / "last.ckpt"
    stop.limit(limit)
    try:
        trainer.fit(module, data, ckpt_path=str(last) if previous else None)
    except NonFiniteTraining as error:
        end = UserError(f"training stopped: {error}; {kept(folder)}. {module.remedy.capitalize()} usually helps")
        end.everywhere, end.said = True, not context.is_main  # every process has the same gradient
        raise end from error
    except (KeyboardInterrupt, SystemExit):
        if stop.asked is None:
            raise
        # Lightning exits with 1 when the second Ctrl-C does not wait for the end of the step
        raise Stopped(stop.asked, "amid a step") from None
    except UserError:
        raise
    except Exception as error:
        raise_as_users(error, config, module, folder)
    if stop.reason is not None and not stop.interval.finished(module.images_seen):
        return say_stopped(stop.reason, module, folder, console) if context.is_main else 0
    if not stop.interval.finished(module.images_seen):
        console.print(f"stopped at {module.images_seen / 1000:g} kimg and saved; the same command continues")
    elif context.is_main:
        stop.over = False  # a run that is done: a signal ends what follows at once
        report(config, module, evaluation, likelihood, folder, console, context.device)
    return 0


def seconds_of(limit: str | None) -> float | None:
    """Of `trainer.max_time`: DD:HH:MM:SS."""
    if limit is None:
        return None
    days, hours, minutes, seconds = map(int, limit.split(":"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()


def check(config) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = list(strange_arguments(OmegaConf.to_container(config, resolve=True)))
    found += impossible_here(config) + logger_findings(config)
    if found:
        raise UserError(*found)


def settle(config, dataset) -> None:
    """Fills in what only the data knows: the number of classes."""
    if config.conditional is True and not dataset.num_classes:
        raise ValueError(
            "conditional=true needs classes and the data has none; make a sub-folder per class, or leave it at auto"
        )
    config.num_classes = dataset.num_classes if config.conditional else 0
    if "path" in config.data and config.data.path:
        config.data.path = literal(str(files.expanded(config.data.path).resolve()))


def compare(config, arguments: list[str], previous: dict, dataset, folder: Path) -> None:
    """Refuses to continue a run with settings it was not trained with."""
    from transgan.config.compose import compose

    # schedules that end with the run follow its length: compare at the old one
    same_length = compose("train", [*arguments, f"kimg={float(previous['config']['kimg'])}"])
    settle(same_length, dataset)
    warm_start.settle(same_length, arguments, previous["config"])
    found = differences(previous["config"], OmegaConf.to_container(same_length, resolve=True))
    if dataset.is_same(previous.get("data")):
        found = [each for each in found if not each.startswith("data.")]  # another way to the same images
    else:
        found.append(f"data: {(previous.get('data') or 'none')[:8]} -> {dataset.fingerprint[:8]} (other images)")
    refuse_other(folder, found, config.force)


def say_finished(config, previous: dict, folder: Path, console) -> None:
    shown = previous["images_seen"] / 1000
    console.print(
        f"{folder} is finished: {shown:g} of {config.kimg:g} kimg. "
        f"To extend it, the same command with kimg={2 * config.kimg:g}; "
        "to train another, with name=NAME"
    )


def sizes(module) -> dict[str, int]:
    """The parameters of each network."""
    return {name: count(getattr(module, name)) for name in module.networks}


def count(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
