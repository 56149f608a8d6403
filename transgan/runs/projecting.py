"""`transgan project`: a photo as a run sees it, the nearest image, and their files."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import files, provenance
from transgan.callbacks.samples import grid_of, write_grid
from transgan.data.checking import quiet, why
from transgan.data.decode import decode, form
from transgan.errors import UserError
from transgan.projection import Projected, project, space_of
from transgan.runs.exported_run import run_at
from transgan.runs.machine import device_named
from transgan.runs.projected import Latent, sampler_of
from transgan.runs.run import Run
from transgan.runs.sample_files import plain, write_png
from transgan.runs.sampling import choose_labels

SIDE = 192  # pixels that each of the images side by side has at least


@dataclass(frozen=True)
class Photo:
    """pixels: uint8 (1, C, H, W). said: what was done to it. sha256: of its file."""

    path: Path
    pixels: Tensor
    said: str
    sha256: str

    @classmethod
    def read(cls, given: str, resolution: int, channels: int) -> "Photo":
        """The photo as training would see it. Raises UserError for what is no image."""
        path = files.expanded(given)
        if path.is_dir():
            raise UserError(f"photo={given}: it is a folder; give one image in it")
        if not path.exists():
            raise UserError(f"photo={given}: there is no such file; give an image, such as a PNG or a JPEG")
        data = path.read_bytes()
        try:
            with quiet():
                pixels, (width, height) = decode(data, resolution, channels)
                grey = form(data)[1]
        except Exception as error:  # Pillow's are of many kinds
            raise UserError(f"photo={given}: {why(error)}; give another image, such as a PNG or a JPEG") from error
        side = min(width, height)
        done = [f"centre crop to {side} x {side}"] * (width != height)
        done += [f"resized to {resolution} x {resolution}"] * (side != resolution)
        done += ["colours to grey"] * (channels == 1 and not grey) + ["grey to colours"] * (channels == 3 and grey)
        said = f"{width} x {height} px: {', '.join(done) or 'as it is'}"
        return cls(path, pixels[None], said, files.hash_of(data))


@dataclass(frozen=True)
class Found:
    """What was found for a photo. seconds: how long it took. folder: where it was written. replaced: whether another
    latent of the photo was there."""

    photo: Photo
    projected: Projected
    latent: Latent
    run: Run
    seconds: float
    folder: Path
    replaced: bool


def find(config: DictConfig, defaults: DictConfig, say: Callable[[str], None]) -> Found:
    """Projects the photo and writes the files. Raises UserError and other errors of the user's.

    defaults: the keys with the values that they have unless they are given.
    """
    begun, run = time.monotonic(), run_at(config.run, config.checkpoint, device_named(config.device))
    sampler = sampler_of(run)
    space = space_of(sampler.network, config.space)
    photo = Photo.read(config.photo, run.config["resolution"], run.config["channels"])
    wanted = None if config["class"] is None else choose_labels(config["class"], [0], run.class_names, run.module)
    label = None if wanted is None else int(wanted[0])
    folder = files.expanded(config.out) if config.out else default_folder(config, defaults, run, photo, label)
    earlier = earlier_in(folder, photo)
    projected = project(
        sampler, photo.pixels, space, label, config.candidates, config.starts, config.steps, config.lr, config.newton,
        config.seed, say,
    )  # fmt: skip
    names = run.class_names
    name = "" if projected.label is None else names[projected.label] if names else str(projected.label)
    latent = Latent(
        projected.space, projected.vector, projected.label, name, run.name, run.kimg, run.sha256, run.weights_sha256,
        photo.path.name, photo.sha256, projected.rmse,
    )  # fmt: skip
    write(folder, photo, projected, latent, run, config.provenance)
    replaced = earlier is not None and not torch.equal(earlier.vector, latent.vector)
    return Found(photo, projected, latent, run, time.monotonic() - begun, folder, replaced)


def default_folder(config: DictConfig, defaults: DictConfig, run: Run, photo: Photo, label: int | None) -> Path:
    """RUN/projections/NAME-30kimg-class3."""
    name = f"{plain(photo.path.stem)}-{run.kimg:g}kimg"
    name += "" if label is None else f"-class{label}"
    name += "" if config.space is None else f"-{config.space}"
    searched = ("candidates", "starts", "steps", "lr", "newton", "seed")
    name += "".join(f"-{key}{config[key]}" for key in searched if config[key] != defaults[key])
    return run.folder / "projections" / name


def earlier_in(folder: Path, photo: Photo) -> Latent | None:
    """The photo's projection that lies there. Raises UserError where it is another photo's, which would be gone."""
    if not (folder / "latent.npz").is_file():
        return None
    if (earlier := Latent.read(folder / "latent.npz")).photo_sha256 != photo.sha256:
        raise UserError(f"{folder} holds the projection of another photo; name another folder with out=FOLDER")
    return earlier


def write(folder: Path, photo: Photo, projected: Projected, latent: Latent, run: Run, with_provenance: bool) -> None:
    """latent.npz, projected.png and before-after.png."""
    latent.write(folder / "latent.npz")
    facts: provenance.Facts | None = latent.facts(run, 1.0, folder / "latent.npz") if with_provenance else None
    write_png(folder / "projected.png", projected.image[0], facts)
    images = torch.cat([photo.pixels, projected.random, projected.image])
    factor = max(1, SIDE // images.shape[-1])
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    shown = ["photo", "nearest random image", "projected image"]
    write_grid(grid_of(images, 3), folder / "before-after.png", None if facts is None else facts | {"images": shown})
