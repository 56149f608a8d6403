"""An image that transgan has made, made again from what it says of itself: `transgan sample like=FILE`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from transgan import checkpoint, files, provenance
from transgan.errors import UserError
from transgan.runs.machine import networks_of
from transgan.runs.names import no_file
from transgan.runs.proposals import typed
from transgan.runs.run import Run
from transgan.runs.sample_files import plain

FILMS = (".gif", ".mp4")
SAID = (
    "seeds", "class", "psi", "temperature", "steps", "solver", "guidance", "top_k", "complete", "rows", "to", "columns",
    "sweep",
)  # fmt: skip


def asked_for(config: DictConfig, defaults: DictConfig) -> provenance.Facts:
    """What config.like says of itself; `config` becomes the command that makes it again.

    Raises UserError for an image that does not say, and for keys that it does say.
    """
    found = [
        f"{key}={config[key]}: like={config.like} says it; leave it out" for key in SAID if config[key] != defaults[key]
    ]
    if found := found or no_file("like", config.like, "one image that transgan has made"):
        raise UserError(*found)
    path = files.expanded(config.like)
    if path.suffix.lower() in FILMS:
        raise UserError(
            f"like={config.like}: like= makes single images, grids and sheets again; a film is made again by the "
            f"command that made it, `transgan sample RUN to={path.suffix.lower()[1:]} seeds=...`"
        )
    try:
        facts = provenance.read(path)
    except ValueError as error:
        raise UserError(f"like={config.like}: {error}") from error
    if "completes" in facts:
        raise UserError(
            f"like={config.like}: it continues images of {facts['completes']}, which are not in it; give "
            f"complete={facts['completes']} and seeds= in the place of like="
        )
    if "projected_from" in facts:
        raise UserError(
            f"like={config.like}: it is not of a seed, but of the projection of {facts.get('photo', 'a photo')}; give "
            f"latent={facts['projected_from']} in the place of like="
        )
    try:
        config.seeds = ",".join(str(int(seed)) for seed in facts["seeds"])
        for key in ("psi", "temperature", "steps", "solver", "guidance", "top_k"):
            config[key] = facts.get(key, defaults[key])
        config.to, config.columns = ("grid", int(facts["columns"])) if "columns" in facts else ("png", None)
        if "sheet" in facts:
            config.to, config.sweep = "sheet", facts["sheet"]["sweep"]
        config.batch_size = int(facts.get("batch_size", defaults.batch_size))
        config.run = str(found_checkpoint(config, facts, path))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"like={config.like}: what it says of itself is incomplete ({error})") from error
    return facts


def found_checkpoint(config: DictConfig, facts: provenance.Facts, path: Path) -> Path:
    """The checkpoint with the very weights that an image was made by. Raises UserError where none is found."""
    looked, others = [], []
    for folder in {place.resolve(): place for place in places(config, facts, path)}.values():
        looked.append(str(folder))
        for each in [folder] if folder.is_file() else sorted(folder.glob("checkpoints/*.ckpt")):
            saved = checkpoint.read(each)
            prefix = f"{networks_of(saved['config']['algorithm'])[0]}_ema."
            own = {name.removeprefix(prefix): v for name, v in saved["state_dict"].items() if name.startswith(prefix)}
            if provenance.weights_hash(own) == facts["weights_sha256"]:
                return each
            others.append(f"{each.name} at {saved['images_seen'] / 1000:g} kimg")
    run, kimg = facts.get("run", "?"), facts.get("kimg", 0)
    if not others:
        raise UserError(
            f"like={config.like}: it is of the run {run}, which is not in {' or '.join(looked) or 'this folder'}; say "
            f"where it is: {typed('transgan', 'sample', 'RUN', f'like={config.like}')}"
        )
    raise UserError(
        f"like={config.like}: it was made at {kimg:g} kimg of {run}, whose weights of then are gone: there are "
        f"{', '.join(others)}; seeds= makes the images of these"
    )


def places(config: DictConfig, facts: provenance.Facts, path: Path) -> Iterator[Path]:
    """Where the run may be: where the command says, around the image, or where runs are kept."""
    if config.run is not None:
        yield files.expanded(config.run)
        return
    for folder in path.absolute().parents[:3]:
        if (folder / "checkpoints").is_dir():
            yield folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    name = Path(str(facts.get("run", "")))
    if name.name and not name.is_absolute() and ".." not in name.parts and (Path("runs") / name).is_dir():
        yield Path("runs") / name


def labels_of(facts: provenance.Facts) -> Tensor | None:
    """The class of each image (N,)."""
    labels = facts.get("labels") or []
    return torch.tensor([int(label) for label in labels]) if labels and None not in labels else None


def default_out(config: DictConfig, run: Run) -> Path:
    """RUN/redrawn/NAME-a1b2c3.png: not among the images of generated/, which are measured; and images of one name have
    files of their own."""
    source = files.expanded(config.like)
    suffix = ".png" if config.to == "png" else source.suffix.lower()
    return run.folder / "redrawn" / f"{plain(source.stem)}-{digest(source)}{suffix}"


def digest(path: Path) -> str:
    """What tells one image file from others, wherever it lies."""
    return files.sha256(path)[:6]


def compared(out: Path, like: str | Path) -> str:
    """Whether two images have the same pixels, in words."""
    ours, theirs = (np.asarray(_loaded(path)).astype(int) for path in (out, files.expanded(like)))
    if ours.shape != theirs.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]} px" for pixels in (ours, theirs)]
        return f"its size is another one: {sizes[0]}, and {like} has {sizes[1]}"
    apart = abs(ours - theirs)
    if not apart.any():
        return f"every pixel is that of {like}"
    return (
        f"{(apart > 0).mean():.2%} of the values differ from {like}, by {apart.max()} at most: another device, number "
        "of threads or version of torch rounds sums in another way, and some formats lose details"
    )


def _loaded(path: Path) -> Any:
    with Image.open(path) as image:
        return image.convert("RGB")
