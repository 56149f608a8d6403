"""`transgan train`: put the run together from its configuration, then let Lightning train it."""

import errno
import sys
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from transgan import checkpoint, warm_start
from transgan.commands.ending import device_of, report
from transgan.commands.run_folder import (
    differences,
    is_main_process,
    keep_log,
    make,
    open_console,
    prepare,
    refuse_other,
    require_space,
    write_description,
)  # fmt: skip
from transgan.commands.sources import training_data
from transgan.errors import UserError, describe, setting_up


def main(config: DictConfig, arguments: list[str]) -> int:
    """Trains or continues the run `runs/name`. Returns the exit code."""
    with setting_up():
        folder = Path(config.runs).expanduser() / config.name
        check(config)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        console = open_console()
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
                return say_finished(config, previous, folder, console)

        resolved = OmegaConf.to_container(config, resolve=True)
        torch.manual_seed(config.seed)
        module = checkpoint.build(resolved if previous is None else checkpoint.without_weights(resolved))
        if previous is None and config.init_from is not None:
            path = checkpoint.find(config.init_from)
            checkpoint.load_weights(module, checkpoint.read(path), path)
            console.print(f"start   from the weights of {path}")
        if gpt is not None:
            console.print("\n".join(warm_start.begin(gpt, module)))
        module.attach(dataset, heldout)
        # the average, and of every network the weights and Adam's two moments
        numbers = count(module.average) + 3 * sum(sizes(module).values())
        require_space(folder, 4 * numbers)
        prepare(folder)
        if is_main_process():
            keep_log(folder / "log.txt")
            write_description(folder, resolved, arguments)
    return fit(config, resolved, module, dataset, heldout, previous, folder, console)


def fit(config, resolved: dict, module, dataset, heldout, previous: dict | None, folder: Path, console) -> int:
    from transgan.callbacks.checkpoints import SaveCheckpoints, Stop
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

    with setting_up():
        stop = Stop(every("log_every"))
        stats = Stats(folder, every("log_every"))
        samples = Samples(folder, every("sample_every"), dataset, config.num_classes, config.grid)
        evaluation = None
        if config.get("metrics"):
            judge = make(config.metrics)
            if judge.with_heldout and heldout is None:
                heldout = dataset.heldout()
            with console.status("preparing the metrics: features of all real images"):
                judge.prepare(
                    dataset, heldout if judge.with_heldout else None, device_of(config), main=is_main_process(),
                    conditional=config.num_classes > 0,
                )  # fmt: skip
            console.print(
                f"judge   {judge.primary}: {judge.num_samples:,} generated against {len(dataset):,} real images "
                f"every {config.evaluate_every:g} kimg, for at most {100 * config.evaluate_share:g} % of the time"
            )
            if is_main_process() and judge.few():
                console.print(f"note    small_sample: {judge.few()}")
            evaluation = Evaluation(
                folder, every("evaluate_every"), judge, config.evaluate_at_start, config.evaluate_share, stats
            )
        likelihood = None
        if heldout is not None and hasattr(module, "bits_per_dim"):
            likelihood = Likelihood(folder, every("evaluate_every"), heldout, stats)
        extra = {"config": resolved, "data": dataset.fingerprint, "class_names": list(dataset.class_names)}
        save = SaveCheckpoints(folder, every("checkpoint_every"), stop, evaluation, extra)
        progress = ProgressLine(config.kimg, stats, evaluation, likelihood, every("evaluate_every"), console)
        callbacks = (stop, stats, samples, likelihood, evaluation, save, progress)
        console.print(
            f"model   {', '.join(f'{name} {size / 1e6:.2f} M' for name, size in sizes(module).items())} parameters; "
            f"{'conditional' if config.num_classes else 'unconditional'}; {config.precision}"
        )
        done = f", from {previous['images_seen'] / 1000:g}" if previous else ""
        epochs = 1000 * config.kimg / len(dataset)
        console.print(f"plan    to {config.kimg:g} kimg{done} ({epochs:.3g} times the data), batch {config.batch_size}")
        trainer = make(
            config.trainer,
            callbacks=[each for each in callbacks if each is not None],
            logger=(make(config.logger) if config.get("logger") else None) or False,
            plugins=[checkpoint.AtomicCheckpointIO()],
            precision=config.precision,
            max_epochs=-1,
            max_steps=-1,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=str(folder),
        )
        if config.batch_size % trainer.world_size:
            raise ValueError(
                f"batch_size={config.batch_size} cannot be shared by {trainer.world_size} processes; make it a multiple"
            )
    data = ImageData(dataset, config.batch_size, config.seed, config.num_workers)
    last = folder / "checkpoints" / "last.ckpt"
    try:
        trainer.fit(module, data, ckpt_path=str(last) if previous else None)
    except NonFiniteTraining as error:
        where = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
        print(
            f"transgan: training stopped: {error}; {where}. {module.remedy.capitalize()} usually helps",
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, SystemExit):
        if stop.signal is None:
            raise
        # Lightning exits with 1 when the second Ctrl-C does not wait for the end of the step
        print(f"transgan: stopped amid a step; the same command continues from {last}", file=sys.stderr)
        return 128 + stop.signal
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO):
            raise
        kept = f"; {last} is whole, and the same command continues from it" if last.exists() else ""
        raise UserError(f"training stopped at {module.images_seen / 1000:g} kimg: {describe(error)}{kept}") from error
    finally:
        stop.restore()
    if stop.signal is not None:
        console.print(f"stopped at {module.images_seen / 1000:g} kimg and saved; the same command continues")
        return 128 + stop.signal
    if is_main_process():
        report(config, module, evaluation, likelihood, folder, console)
    return 0


def check(config) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if str(config.precision) not in ("32-true", "bf16-mixed"):
        found.append(
            f"precision={config.precision} is not for training here: one loss scale does not fit two networks, and "
            "bf16-mixed needs none; use 32-true or bf16-mixed"
        )
    if config.conditional not in ("auto", True, False):
        found.append(f"conditional={config.conditional}: it takes auto, true or false")
    if config.threads is not None and (not isinstance(config.threads, int) or config.threads < 1):
        found.append(f"threads={config.threads}: it takes a number of threads, 1 or more, or null")
    if config.kimg <= 0 or config.batch_size < 1 or config.grid < 1:
        found.append("kimg, batch_size and grid must be more than 0")
    accelerator = config.trainer.get("accelerator", "auto")
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        found.append(f"trainer.accelerator={accelerator}: this machine has no GPU that torch can use; use trainer=cpu")
    devices = config.trainer.get("devices", 1)
    gpus = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and isinstance(devices, int) and devices > gpus > 0:
        found.append(f"trainer.devices={devices}: this machine has {gpus} GPU; give that many or fewer")
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
        config.data.path = str(Path(config.data.path).expanduser().resolve()).replace("${", "\\${")


def compare(config, arguments: list[str], previous: dict, dataset, folder: Path) -> None:
    """Refuses to continue a run with settings it was not trained with."""
    from transgan.overrides import compose

    # schedules that end with the run follow its length: compare at the old one
    same_length = compose("train", [*arguments, f"kimg={float(previous['config']['kimg'])}"])
    settle(same_length, dataset)
    warm_start.settle(same_length, arguments, previous["config"])
    found = differences(previous["config"], OmegaConf.to_container(same_length, resolve=True))
    if dataset.is_same(previous.get("data")):
        found = [each for each in found if not each.startswith("data.")]        # another way to the same images
    else:
        found.append(f"data: {(previous.get('data') or 'none')[:8]} -> {dataset.fingerprint[:8]} (other images)")
    refuse_other(folder, found, config.force)


def say_finished(config, previous: dict, folder: Path, console) -> int:
    shown = previous["images_seen"] / 1000
    console.print(
        f"{folder} is finished: {shown:g} of {config.kimg:g} kimg. "
        f"To extend it, the same command with kimg={2 * config.kimg:g}; "
        "to train another, with name=NAME")
    return 0


def sizes(module) -> dict[str, int]:
    """The parameters of each network."""
    return {name: count(getattr(module, name)) for name in module.networks}


def count(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
