"""logger=trackio: Trackio, on this machine or on a server."""

import io
from argparse import Namespace
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from transgan import files
from transgan.callbacks.trackers.identity import own


class Trackio(Logger):
    """A logger of Lightning's for Trackio, which has none; one run of Trackio for a run folder.

    Args:
        save_dir: the run folder. name: what the tracker's run is named after; Trackio knows runs by their names.
        more: arguments of trackio.init, such as space_id and group. TRACKIO_DIR says where it keeps its files.
    """

    def __init__(self, save_dir: str, name: str, project: str = "transgan", **more: Any) -> None:
        super().__init__()
        self.folder = files.expanded(save_dir)
        self.run_name, self.project, self.more = name, project, more
        self.run: Any = None

    @property
    def name(self) -> str:
        return self.project

    @property
    def version(self) -> str | None:
        return self.run and self.run.name

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self.run is None:
            import trackio

            name = own(self.folder, "trackio", f"{self.run_name}-")
            with redirect_stdout(io.StringIO()):  # it prints what `where` says
                self.run = trackio.init(self.project, name, **{"resume": "allow", "embed": False} | self.more)
        return self.run

    @property
    def where(self) -> str:
        from trackio.utils import TRACKIO_DIR

        _ = self.experiment
        if self.more.get("space_id") or self.more.get("server_url"):
            return f"Trackio at {self.more.get('space_id') or self.more.get('server_url')}, project {self.project}"
        return f"Trackio in {TRACKIO_DIR}; `trackio show --project {self.project}` shows it"

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Sent with the first numbers. Names that begin with _ are Trackio's own."""
        given = vars(params) if isinstance(params, Namespace) else params
        self.experiment.config.update({name: value for name, value in given.items() if not name.startswith("_")})

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Images of Pillow, as Lightning's logger for Weights & Biases takes them."""
        import trackio

        for image in images:
            self.experiment.log({key: trackio.Image(image)}, step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.run is not None:
            import trackio

            with redirect_stdout(io.StringIO()):
                trackio.finish()
