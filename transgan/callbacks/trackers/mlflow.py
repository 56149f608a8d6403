"""logger=mlflow: MLflow, in a file beside the runs or on a server."""

import logging
import os
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import MLFlowLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from transgan import files
from transgan.callbacks.trackers.identity import keep, known


class MLflow(MLFlowLogger):
    """Lightning's, with one run of MLflow for a run folder, and with images.

    Args:
        save_dir: the run folder. store: a folder for all runs, where there is no server.
        tracking_uri: null is MLFLOW_TRACKING_URI, or a database in the store.
    """

    def __init__(
        self,
        save_dir: str,
        store: str,
        experiment_name: str = "transgan",
        run_name: str | None = None,
        tracking_uri: str | None = None,
        **more: Any,
    ) -> None:
        self.folder, place = files.expanded(save_dir), files.expanded(store).absolute()
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        self.local = not uri
        if not uri:
            uri = f"sqlite:///{(place / 'mlflow.db').as_posix()}"
            more = {"artifact_location": (place / "artifacts").as_uri()} | more
        if getattr(rank_zero_only, "rank", 0):  # the constructor opens the database, which is for one process to make
            uri = "http://localhost"
        elif self.local:
            place.mkdir(parents=True, exist_ok=True)
        with suppress(ImportError):  # which Lightning reports
            import mlflow  # noqa: F401, sets levels of its own when it is imported
        for name in ("mlflow", "pytorch_lightning.loggers.mlflow"):  # they report what they make at first
            logging.getLogger(name).setLevel(logging.ERROR)
        super().__init__(experiment_name, run_name, uri, save_dir=None, **more)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if not self._initialized:
            identity = self._run_id = self._run_id or self.existing()
            before = os.environ.get("MLFLOW_TRACKING_URI")
            client = super().experiment
            # Lightning lets MLflow set it, and the next run of this process may have another store
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            if before is not None:
                os.environ["MLFLOW_TRACKING_URI"] = before
            if identity is None:
                keep(self.folder, "mlflow", self._run_id or "")
            else:
                client.update_run(identity, status="RUNNING")
        return self._mlflow_client

    def existing(self) -> str | None:
        """The id of the run folder's run, if MLflow has it."""
        if (identity := known(self.folder, "mlflow")) is None:
            return None
        try:
            self._mlflow_client.get_run(identity)
        except Exception as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                return None  # another store, or a new one
            raise
        return identity

    @property
    def where(self) -> str:
        if not self.local:
            return f"MLflow at {self._tracking_uri}, experiment {self._experiment_name}"
        place = Path(self._tracking_uri.removeprefix("sqlite:///"))
        return f"MLflow in {place}; `mlflow ui --backend-store-uri {self._tracking_uri}` shows it"

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Those that are not there yet: MLflow lets none of them change."""
        there = self.experiment.get_run(self.run_id).data.params
        given = vars(params) if isinstance(params, Namespace) else params
        super().log_hyperparams({name: value for name, value in given.items() if name not in there})

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Images of Pillow, as Lightning's logger for Weights & Biases takes them."""
        for image in images:
            self.experiment.log_image(self.run_id, image, key=key, step=step or 0)
