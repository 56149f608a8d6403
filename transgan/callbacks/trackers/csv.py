"""logger=csv: the numbers that other trackers get, in one file."""

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from transgan import files


class CSV(CSVLogger):
    """Lightning's, which begins by deleting what is there; here a run goes on in its file, and each row is written at
    once. Rows after the first step of a session, which it repeats, are removed."""

    def __init__(self, save_dir: str, name: str = "", version: str = "csv") -> None:
        super().__init__(str(files.expanded(save_dir)), name, version, flush_logs_every_n_steps=1)
        self.path = Path(self.log_dir) / "metrics.csv"
        self.continued = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            rows: list[dict[str, Any]] = []
            if self.path.exists():
                with open(self.path, newline="", encoding="utf-8") as file:
                    rows = list(csv.DictReader(file))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
                made = super().experiment
            made.metrics, self.continued = rows, bool(rows)
            made.save()
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if self.experiment and self.continued and step is not None:
            self.continued = False
            header, *rows = files.read_csv(self.path)
            place = header.index("step")
            files.write_csv(self.path, [header, *(row for row in rows if int(row[place]) < step)])
        super().log_metrics(dict(metrics), step)
