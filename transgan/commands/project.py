"""`transgan project`: the nearest image that a generator makes to a photo, and its latent."""

import shlex
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from transgan.errors import UserError, setting_up
from transgan.extensions import CONF
from transgan.runs.folder import open_console
from transgan.runs.machine import device_findings
from transgan.runs.names import wrong_folder
from transgan.runs.projecting import find


def main(config: DictConfig, arguments: list[str]) -> int:
    """Projects and writes. Returns the exit code."""
    project(config)
    return 0


def project(config: DictConfig) -> Path:
    """Projects, writes and says -> the folder."""
    with setting_up("out=FOLDER"):
        console = open_console()
        check(config)
        with console.status("reading") as status:
            found = find(config, cast(DictConfig, OmegaConf.load(CONF / "project.yaml")), status.update)
    projected, latent = found.projected, found.latent
    of = f", class {latent.class_name}" if latent.class_name else ""
    console.print(f"photo   {found.photo.path} ({found.photo.said})")
    console.print(
        f"found   pixel error {projected.rmse:.2f} of 255 (RMSE) in {projected.space}{of}; the nearest of "
        f"{config.candidates:,} random images {projected.random_rmse:.2f}, their mean {projected.mean_rmse:.2f}; "
        f"{found.seconds:.1f} s"
    )
    console.print(f"wrote   {found.folder}: before-after.png, projected.png, latent.npz")
    if found.replaced:
        console.print("note    another projection of this photo was there and is replaced; out=FOLDER keeps both")
    if not config.provenance:
        console.print("note    provenance=false: nothing in these images says that a model made them")
    sample = f"transgan sample {shlex.quote(str(config.run))} latent={shlex.quote(str(found.folder / 'latent.npz'))}"
    console.print(f"next    {sample}{' checkpoint=last' if config.checkpoint == 'last' else ''}")
    return found.folder


def check(config: DictConfig) -> None:
    """What can be said to be wrong before anything is read; all of it at once."""
    found = []
    for key, what in (("run", "a run"), ("photo", "a photo")):
        if config[key] is None:
            found.append(f"{what} is needed: `transgan project runs/NAME PHOTO.png`")
    found += wrong_folder("out", config.out, ".png", ".npz", ".jpg", ".zip") + device_findings(config.device)
    if config.starts > config.candidates:
        found.append(f"starts={config.starts}: there are candidates={config.candidates}; give no more than that")
    if found:
        raise UserError(*found)
