"""Latents found by `transgan project`: their file, and `transgan sample latent=FILE`, which makes images of them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from transgan import __version__, files, provenance
from transgan.callbacks.samples import save_grid
from transgan.errors import UserError
from transgan.projection import images_of, space_of
from transgan.runs.exported_run import run_at
from transgan.runs.machine import device_named
from transgan.runs.names import no_file
from transgan.runs.run import Run, how_of
from transgan.runs.sample_files import asked, known, one_file, plain, write_png
from transgan.runs.sampling import Drawn
from transgan.sampling import LatentSampler

ARRAYS = {"z": "latent", "w": "style"}  # what the numbers of a space are called
REFUSED = (
    "seeds", "class", "like", "temperature", "steps", "solver", "guidance", "top_k", "complete", "rows", "batch_size",
)  # fmt: skip


@dataclass(frozen=True)
class Latent:
    """What is in a latent.npz. vector: (1, D) float32. label: None without classes. run, kimg, weights_sha256: of what
    makes the image. photo: the name of its file. rmse: how far the image is from it, in levels of 255."""

    space: str
    vector: Tensor
    label: int | None
    class_name: str
    run: str
    kimg: float
    checkpoint_sha256: str
    weights_sha256: str
    photo: str
    photo_sha256: str
    rmse: float

    def write(self, path: Path) -> None:
        arrays: dict[str, Any] = {
            ARRAYS[self.space]: self.vector.numpy(), "space": np.str_(self.space),
            "label": np.int64(-1 if self.label is None else self.label), "class_name": np.str_(self.class_name),
            "run": np.str_(self.run), "kimg": np.float64(self.kimg),
            "checkpoint_sha256": np.str_(self.checkpoint_sha256), "weights_sha256": np.str_(self.weights_sha256),
            "photo": np.str_(self.photo), "photo_sha256": np.str_(self.photo_sha256), "rmse": np.float64(self.rmse),
            "version": np.str_(__version__),
        }  # fmt: skip
        with files.replacing(path) as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, path: str | Path) -> "Latent":
        """Raises ValueError for any other file, OSError if there is none."""
        try:
            with np.load(files.expanded(path), allow_pickle=False) as found:
                space, label = str(found["space"]), int(found["label"])
                vector = torch.from_numpy(found[ARRAYS[space]].astype(np.float32))
                texts = ("class_name", "run", "checkpoint_sha256", "weights_sha256", "photo", "photo_sha256")
                said = {name: str(found[name]) for name in texts}
                numbers = {name: float(found[name]) for name in ("kimg", "rmse")}
        except OSError as error:
            if error.strerror is not None:
                raise
            raise ValueError(f"{path} is not a latent.npz of transgan project") from error
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a latent.npz of transgan project") from error
        if vector.ndim != 2 or len(vector) != 1 or not vector.isfinite().all():
            raise ValueError(f"{path}: its {ARRAYS[space]} is not one row of finite numbers")
        return cls(space, vector, None if label < 0 else label, **said, **numbers)  # type: ignore[arg-type]

    def facts(self, run: Run, psi: float, file: Path) -> provenance.Facts:
        """Where an image of it comes from. file: the latent.npz."""
        return {
            "software": provenance.SOFTWARE, "run": run.name, "kimg": run.kimg, "checkpoint": run.path.name,
            "checkpoint_sha256": run.sha256, "weights": "ema", "weights_sha256": run.weights_sha256,
            "projected_from": file.name, "latent_sha256": files.sha256(file), "photo": self.photo, "space": self.space,
            "labels": [self.label], "classes": [self.class_name or None], "psi": psi,
        }  # fmt: skip


@dataclass(frozen=True)
class FromLatent(Drawn):
    """The image of a latent, which has no seed. file: the latent.npz."""

    latent: Latent
    file: Path


def sampler_of(run: Run) -> LatentSampler:
    """What makes images of latents by the EMA weights. Raises UserError for a run that makes them otherwise."""
    module: Any = run.module
    try:
        sampler = module.sampler_of_images().eval()
    except (AttributeError, NotImplementedError):
        sampler = None
    if not isinstance(sampler, LatentSampler):
        raise UserError(
            f"{run.path} makes images {how_of(module)}, and not at once from a latent; give the run of a generator "
            "that does, as GANs and students do"
        )
    return sampler


def asked_for(config: DictConfig, defaults: DictConfig) -> None:
    """Makes `config` the command for one image. Raises UserError for keys that have no effect on it."""
    found = [
        f"{key}={config[key]}: latent={config.latent} is one image, on which it has no effect; leave it out"
        for key in REFUSED
        if config[key] != defaults[key]
    ]
    if config.to not in ("png", "grid", "npz"):
        found.append(f"to={config.to}: latent={config.latent} is one image; give to=png, grid or npz")
    if found:
        raise UserError(*found)
    config.seeds = "0"  # one image, whatever the number


def draw(config: DictConfig) -> FromLatent:
    """The image of config.latent, truncated by psi. Raises UserError for a latent of another run."""
    if found := no_file("latent", config.latent, "a latent.npz that transgan project has written"):
        raise UserError(*found)
    file = files.expanded(config.latent)
    latent, run = Latent.read(file), run_at(config.run, config.checkpoint, device_named(config.device))
    sampler = sampler_of(run)
    space, label = space_of(sampler.network, latent.space), latent.label
    label = label if label is None or label < sampler.num_classes else 0
    with torch.no_grad():
        width = space.vectors(torch.zeros(1, sampler.network.latent_dim).to(sampler.device), on(sampler, label)).shape[
            1
        ]
    if width != latent.vector.shape[1]:
        raise UserError(
            f"latent={config.latent}: it has {latent.vector.shape[1]} numbers, and a {ARRAYS[latent.space]} of "
            f"{run.path} has {width}; give the run that it was found by, {latent.run}"
        )
    if run.weights_sha256 != latent.weights_sha256:
        raise UserError(
            f"latent={config.latent}: it is of {latent.run} at {latent.kimg:g} kimg (weights "
            f"{latent.weights_sha256[:8]}), and {run.path} is of {run.name} at {run.kimg:g} kimg (weights "
            f"{run.weights_sha256[:8]}), where it is another image; give that checkpoint, or project the photo again"
        )
    image = images_of(sampler, space, latent.vector, label, config.psi)
    labels = None if label is None else torch.tensor([label])
    return FromLatent(lambda *_: image, [0], labels, run, config.psi, 1, latent, file)


def on(sampler: LatentSampler, label: int | None) -> Tensor | None:
    """A label as the network takes it."""
    return sampler.on_device(torch.tensor([label or 0]))


def write(config: DictConfig, drawn: FromLatent) -> Path:
    """Writes the image as `to` says -> the file."""
    source = f"{plain(Path(drawn.latent.photo).stem)}-{files.sha256(drawn.file)[:6]}"
    name = f"projected-{source}-{known(drawn)}{asked(drawn, config)}"
    if config.out:
        out = files.expanded(config.out)
        out = out / f"{name}.png" if config.to == "png" and not one_file(out) else out
    else:
        suffix = {"png": f"generated/{name}.png", "grid": f"{name}-grid.png", "npz": f"{name}.npz"}
        out = drawn.run.folder / suffix[config.to]
    facts = drawn.latent.facts(drawn.run, config.psi, drawn.file) if config.provenance else None
    if config.to == "png":
        write_png(out, drawn.images[0], facts)
    elif config.to == "grid":
        save_grid(drawn.images, out, config.columns or 1, facts)
    else:
        with files.replacing(out) as file:
            label = -1 if drawn.labels is None else int(drawn.labels[0])
            np.savez(file, images=drawn.images.permute(0, 2, 3, 1).numpy(), labels=np.array([label]))
    return out
