"""Transformers that generate images and Transformers that discriminate them.

    import transgan
    run = transgan.train("~/pictures", kimg=100, name="cats")       # the keys of the command line
    images = transgan.sample(run, seeds=range(8))                   # uint8, N x C x H x W
    transgan.evaluate(run)                                          # {"fd_inception": 17.3, ...}
    transgan.report(run)                                            # one HTML file about it
    module = transgan.load("runs/cats")                             # the trained LightningModule

What is named here is imported when it is first used, so that `import transgan` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names -> the modules that define them.
PUBLIC = {
    "Evaluation": "transgan.api",
    "ImageDataset": "transgan.data",
    "TrainedRun": "transgan.api",
    "evaluate": "transgan.api",
    "export": "transgan.api",
    "load": "transgan.loading",
    "project": "transgan.api",
    "report": "transgan.api",
    "sample": "transgan.api",
    "train": "transgan.api",
}
__all__ = ["__version__", *PUBLIC]  # noqa: PLE0604

if TYPE_CHECKING:
    from transgan.api import Evaluation as Evaluation
    from transgan.api import TrainedRun as TrainedRun
    from transgan.api import evaluate as evaluate
    from transgan.api import export as export
    from transgan.api import project as project
    from transgan.api import report as report
    from transgan.api import sample as sample
    from transgan.api import train as train
    from transgan.data import ImageDataset as ImageDataset
    from transgan.loading import load as load


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'transgan' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
