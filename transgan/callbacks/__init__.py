"""What watches a training run: statistics, images, evaluations, checkpoints, one line of progress,
and how the run goes in one word.

conf/callbacks composes them. They import nothing of ours but files.py and their own folder, and find what they need
at runtime: `Session.of(trainer)` knows the run, its data and its clock; the module has `images_seen` and `generate`.
"""

from transgan.callbacks.checkpoints import SaveCheckpoints
from transgan.callbacks.compiling import Compiling
from transgan.callbacks.evaluation import Evaluation
from transgan.callbacks.health import Health
from transgan.callbacks.interval import Interval
from transgan.callbacks.likelihood import Likelihood
from transgan.callbacks.patience import Patience
from transgan.callbacks.progress import ProgressLine
from transgan.callbacks.samples import Samples
from transgan.callbacks.session import Session, find
from transgan.callbacks.stats import Stats
from transgan.callbacks.stopping import Stop

__all__ = [
    "Compiling", "Evaluation", "Health", "Interval", "Likelihood", "Patience", "ProgressLine", "Samples",
    "SaveCheckpoints", "Session", "Stats", "Stop", "find",
]  # fmt: skip
