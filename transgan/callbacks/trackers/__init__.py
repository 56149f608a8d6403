"""Lightning's loggers as a run needs them: one tracker run for a run folder, however often it is continued.

The package of each is imported when it is opened. `where` says in a sentence where the numbers are to be seen.
"""

from transgan.callbacks.trackers.csv import CSV
from transgan.callbacks.trackers.mlflow import MLflow
from transgan.callbacks.trackers.trackio import Trackio
from transgan.callbacks.trackers.wandb import Wandb

__all__ = ["CSV", "MLflow", "Trackio", "Wandb"]
