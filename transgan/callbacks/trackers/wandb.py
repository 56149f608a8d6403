"""logger=wandb: Weights & Biases, without an account too."""

import netrc
import os
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from transgan import files
from transgan.callbacks.trackers.identity import own


class Wandb(WandbLogger):
    """Lightning's, with one id for a run folder, and offline where nobody is logged in; WANDB_MODE says otherwise.

    Args:
        save_dir: the run folder; the files are in its wandb/. project: null is WANDB_PROJECT, or transgan.
        offline: null is as said above. more: arguments of wandb.init, such as entity, group and tags.
    """

    def __init__(
        self,
        save_dir: str,
        name: str | None = None,
        project: str | None = None,
        offline: bool | None = None,
        **more: Any,
    ) -> None:
        self.folder = files.expanded(save_dir)
        if offline is None:
            offline = "WANDB_MODE" not in os.environ and not logged_in()
        # by Lightning's own offline= all later runs of this process would be offline, too
        mode = {"mode": "offline"} if offline else {}
        more = {"settings": {"silent": True, "console": "off"}} | mode | more
        project = project or os.environ.get("WANDB_PROJECT") or "transgan"
        super().__init__(name=name, save_dir=str(self.folder), project=project, **more)
        if self._wandb_init.get("anonymous") is None:  # of which later versions warn, even if it is not given
            self._wandb_init.pop("anonymous", None)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._wandb_init["id"] = self._id = own(self.folder, "wandb")
        return super().experiment

    @property
    def where(self) -> str:
        run = self.experiment
        if not run.offline and run.url:
            return f"Weights & Biases at {run.url}"
        place = self.folder / "wandb"
        return f"Weights & Biases, offline, in {place}; `wandb sync {place}/offline-run-*` uploads it"

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Ends the tracker's run as well: the next one of this process would go on in it."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)


def logged_in() -> bool:
    """Whether there is a key to log in with, as `wandb login` leaves one."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    names = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for name in names:
        with suppress(OSError, netrc.NetrcParseError):
            if netrc.netrc(os.path.expanduser(name)).authenticators(host):
                return True
    return False
