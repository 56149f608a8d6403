"""The command: see benchmarks/gpu_step/__init__.py."""

import logging
import sys
import warnings

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import MixedPrecision, Precision

from benchmarks.gpu_step.counter import BANDWIDTH, LAUNCH, Counter, Counts
from benchmarks.gpu_step.fake import fake_gpu
from transgan.config.compose import compose
from transgan.instantiation import make


def count(arguments: list[str]) -> tuple[Counts, int]:
    """The counts of one training step of a configuration, by the module's own `training_step`, and its images.

    The optimizers have their state already, as in every step but the first.
    """
    config = compose("train", arguments)
    config.num_classes = 10 if config.num_classes is None else config.num_classes
    n, size = config.batch_size, config.resolution
    with fake_gpu() as device:
        with device:
            module = make(config.algorithm)
            images = torch.zeros(n, config.channels, size, size, dtype=torch.uint8)
            labels = torch.zeros(n, dtype=torch.long)
        module._device = device
        precision = MixedPrecision("bf16-mixed", "cuda") if config.precision == "bf16-mixed" else Precision()
        trainer = Trainer(
            accelerator="cpu", plugins=[precision], logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.strategy.connect(module)
        trainer.strategy._lightning_module = module
        module.trainer = trainer
        trainer.strategy.setup_optimizers(trainer)
        module.train()
        for optimizer in trainer.optimizers:
            for parameter in (each for group in optimizer.param_groups for each in group["params"]):
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            optimizer.zero_grad()
        counter = Counter()
        for each in (*module.parameters(), *module.buffers()):
            counter.keep(each)
        with counter.watching():
            trainer.strategy.training_step([images, labels], 0)
    return counter.counts, n


def main(arguments: list[str]) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    counts, images = count(arguments)
    total, seconds = counts.total, counts.seconds()
    print(
        f"a step of {images} images: {total.launches:,} launches, {total.bytes / 1e9:,.1f} GB read and written, ",
        end="",
    )
    print(f"{total.flops / 1e12:.2f} TFLOP, {counts.peak / 2**30:.1f} GiB at most, {counts.waits} waits")
    print(f"predicted for an H200: {images / seconds:,.0f} images/s; {total.seconds:.3f} s of kernels ", end="")
    print(f"at {BANDWIDTH / 1e12:g} TB/s, {total.launches * LAUNCH:.3f} s of launches")
    for title, table in (("operator", counts.operators), ("module", counts.modules)):
        print(f"\n{title:44s} launches       GB   share   TFLOP      ms")
        for name, cost in sorted(table.items(), key=lambda item: -item[1].bytes)[:25]:
            share = cost.bytes / total.bytes
            print(
                f"{name:44s} {cost.launches:8,} {cost.bytes / 1e9:8.2f} {share:7.1%} {cost.flops / 1e12:7.2f} "
                f"{cost.seconds * 1e3:7.2f}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
