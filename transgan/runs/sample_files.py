"""The files that images of a run are written to: one PNG each with an index, one grid, or arrays.

What distinguishes images is in the names of their files: how far the run was, and what was asked for. So no command
overwrites the images of another one, and the same command writes the same images to the same place again.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from transgan import files, provenance
from transgan.callbacks.samples import save_grid
from transgan.callbacks.samples import write_grid as save_canvas
from transgan.runs import films, sheets
from transgan.runs.sampling import DEFAULT_SEEDS, Drawn
from transgan.sampling.walk import walk


def write(config: DictConfig, drawn: Drawn) -> Path:
    """Writes the images as `to` says -> the file or the folder."""
    columns = f"-columns{config.columns}" if config.columns else ""
    one = f"generated-{known(drawn)}-seeds{short(seeds_said(config))}{asked(drawn, config)}{columns}"
    default = "generated" if config.to == "png" else f"{one}{SUFFIXES[config.to]}"
    out = files.expanded(config.out) if config.out else drawn.run.folder / default
    WRITERS[config.to](drawn, config, out)
    return out


def seeds_said(config: DictConfig) -> str:
    """The seeds, as they are given or as they are chosen."""
    return str(config.seeds) if config.seeds is not None else DEFAULT_SEEDS[config.to]


def write_files(drawn: Drawn, config: DictConfig, out: Path) -> None:
    """seed00000007-30kimg.png ..., index.json with what each is, and seeds.csv; or the one image that `out` names.

    Images that are there already, and say that they are the same, are not made again. The index keeps the files of
    earlier calls that are still there.
    """
    own = of_each(drawn, config)
    if one_file(out):
        return write_png(out, drawn.images[0], own[0])
    # psi is in every index: transgan/data knows by it that these images are generated
    facts = {"run": str(config.run), "kimg": drawn.run.kimg, "psi": config.psi}
    facts |= {"temperature": config.temperature} if drawn.run.has_likelihood else {}
    facts |= drawn.run.sampler
    index = {name: each for name, each in earlier_index(out).items() if (out / name).is_file()}
    called = names(drawn, config)
    files.remove_halves(out, called)
    for part in drawn.parts:
        if all(same(out / name, each) for name, each in zip(called[part], own[part], strict=True)):
            continue
        for image, name, each in zip(drawn.batch(part), called[part], own[part], strict=True):
            write_png(out / name, image, each)
    for i, name in enumerate(called):
        index[name] = {"seed": drawn.seeds[i], "class": drawn.class_of(i)} | facts
    files.write_json(out / "index.json", facts | {"images": index})
    keys = ["seed", "class", *(key for key in facts if key != "run")]
    rows = [
        [name, *("" if each.get(key) is None else each[key] for key in keys)] for name, each in sorted(index.items())
    ]
    files.write_csv(out / "seeds.csv", [["file", *keys], *rows])


def same(path: Path, facts: provenance.Facts | None) -> bool:
    """Whether an image is there that says that it was made in just this way."""
    try:
        return facts is not None and path.is_file() and provenance.read(path) == facts
    except (ValueError, OSError):
        return False


SUFFIXES = {"grid": ".png", "npz": ".npz", "sheet": ".png", "gif": ".gif", "mp4": ".mp4"}


def one_file(out: Path) -> bool:
    """Whether `out` names the file of a single image, and not a folder for several."""
    return out.suffix.lower() == ".png" and not out.is_dir()


def others(drawn: Drawn, config: DictConfig, out: Path) -> int:
    """How many images of other commands lie in the folder that was written to."""
    if config.to != "png" or one_file(out):
        return 0
    return len(set(earlier_index(out)) - set(names(drawn, config)))


def names(drawn: Drawn, config: DictConfig) -> list[str]:
    """The file of each image: seed00000007-30kimg-class3-psi0.7.png."""
    after = f"{known(drawn)}{asked(drawn, config)}.png"
    return [f"seed{seed:08d}-{after}" for seed in drawn.seeds]


def known(drawn: Drawn) -> str:
    """How far the run was, as a part of a name: 30.016kimg; of a checkpoint outside checkpoints/ also which one."""
    kimg = f"{drawn.run.kimg:.3f}".rstrip("0").rstrip(".") + "kimg"
    path = drawn.run.path
    return kimg if path.parent.name == "checkpoints" else f"{kimg}-{plain(path.stem)}"


def asked(drawn: Drawn, config: DictConfig) -> str:
    """What was asked for beside the seeds, as a part of a name: nothing where nothing was."""
    name = "" if config["class"] is None or drawn.labels is None else f"-class{int(drawn.labels[0])}"
    strength = "temperature" if drawn.run.has_likelihood else "psi"
    name += "" if drawn.strength == 1 else f"-{strength}{drawn.strength}"
    name += "" if config.steps is None else f"-steps{config.steps}"
    name += "" if config.solver is None else f"-{config.solver}"
    name += "" if config.guidance is None else f"-guidance{config.guidance}"
    name += "" if config.top_k is None else f"-top{config.top_k}"
    name += "-sheet" if config.to == "sheet" else ""
    name += "" if config.sweep is None else f"-sweep{'_'.join(f'{value:g}' for value in config.sweep)}"
    film = config.to in ("gif", "mp4")
    name += f"-{config.space}{config.frames}x{config.fps}" if film else ""
    if config.complete is not None:
        source = str(config.complete)
        where = "" if source == "heldout" else f"_{digest(os.path.abspath(files.expanded(source)))}"
        rows = "" if config.rows is None else f"-rows{config.rows}"
        name += f"-of_{plain(Path(source).name)}{where}{rows}"
    return name


def short(seeds: str) -> str:
    """The seeds as a part of a name: 1_5_9-12; of a long list its beginning and what distinguishes it."""
    text = plain(re.sub(r"\s", "", seeds))
    return text if len(text) <= 40 else f"{text[:24].rstrip('_')}_and_more_{digest(text)}"


def plain(text: str) -> str:
    """Text of any alphabet, without characters that mean something to a shell or a file system."""
    return re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]


def earlier_index(folder: Path) -> dict[str, dict[str, Any]]:
    """name -> facts of the images that an index.json there lists; {} without one that can be read."""
    try:
        index = files.read_json(folder / "index.json")
        everywhere = {key: index[key] for key in ("run", "kimg", "psi")}
        return {str(name): everywhere | dict(each) for name, each in index["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def origin(drawn: Drawn, config: DictConfig) -> provenance.Facts | None:
    """What `like=` needs to make the images again; None where it is not to be said."""
    if not config.provenance:
        return None
    run = drawn.run
    labels = [None] * len(drawn.seeds) if drawn.labels is None else [int(label) for label in drawn.labels]
    found = {
        "software": provenance.SOFTWARE, "run": run.name, "kimg": run.kimg, "checkpoint": run.path.name,
        "checkpoint_sha256": run.sha256, "weights": "ema", "weights_sha256": run.weights_sha256, "seeds": drawn.seeds,
        "labels": labels, "classes": [drawn.class_of(i) for i in range(len(drawn.seeds))],
        "temperature" if run.has_likelihood else "psi": drawn.strength, **run.sampler, "batch_size": config.batch_size,
    }  # fmt: skip
    found |= {} if config.top_k is None else {"top_k": config.top_k}
    return found | ({} if config.complete is None else {"completes": Path(str(config.complete)).name})


def of_each(drawn: Drawn, config: DictConfig) -> list[provenance.Facts | None]:
    """The same of every image by itself."""
    every = origin(drawn, config)
    if every is None:
        return [None] * len(drawn.seeds)
    own = ("seeds", "labels", "classes")
    return [every | {key: every[key][i : i + 1] for key in own} for i in range(len(drawn.seeds))]


def write_png(path: Path, image: Tensor, facts: provenance.Facts | None) -> None:
    with files.replacing(path) as file:
        to_pil_image(image).save(file, "PNG", **provenance.options("PNG", facts))


def write_grid(drawn: Drawn, config: DictConfig, out: Path) -> None:
    columns, facts = config.columns or max(1, round(len(drawn.seeds) ** 0.5)), origin(drawn, config)
    save_grid(drawn.images, out, columns, None if facts is None else facts | {"columns": columns})


def write_sheet(drawn: Drawn, config: DictConfig, out: Path) -> None:
    """A row for each class with the same seeds, or for each psi of sweep=."""
    name = "temperature" if drawn.run.has_likelihood else "psi"
    sweep = None if config.sweep is None else list(config.sweep)
    rows = sheets.rows_of(drawn.generate, drawn.seeds, drawn.labels, drawn.run.class_names, sweep, drawn.strength, name)
    facts, above = origin(drawn, config), [f"seed {seed}" for seed in drawn.seeds]
    wanted = None if config["class"] is None else str(config["class"])
    own = None if facts is None else facts | {"sheet": {"sweep": sweep, "class": wanted}}
    save_canvas(sheets.sheet(rows, above), out, own)


def write_film(drawn: Drawn, config: DictConfig, out: Path) -> None:
    """A walk through the latents of the seeds that ends where it began."""
    facts = origin(drawn, config) or {}
    frames = walk(
        drawn.run.module.sampler_of_images(), drawn.seeds, drawn.labels, config.frames, config.space, drawn.strength,
        config.batch_size,
    )  # fmt: skip
    films.write(frames, out, config.fps, provenance.described(facts) if facts else "")


def write_arrays(drawn: Drawn, config: DictConfig, out: Path) -> None:
    """images N x H x W x C uint8, seeds, labels (-1 without classes) and class_names, as `evaluate` reads them."""
    arrays: dict[str, Any] = {
        "images": drawn.images.permute(0, 2, 3, 1).numpy(),
        "seeds": np.array(drawn.seeds),
        "labels": np.full(len(drawn.seeds), -1) if drawn.labels is None else drawn.labels.numpy(),
    }
    if drawn.labels is not None:
        arrays["class_names"] = np.array(drawn.run.class_names, dtype=np.str_)
    with files.replacing(out) as file:
        np.savez(file, **arrays)


WRITERS: dict[str, Callable[[Drawn, DictConfig, Path], None]] = {
    "png": write_files, "grid": write_grid, "npz": write_arrays, "sheet": write_sheet, "gif": write_film,
    "mp4": write_film,
}  # fmt: skip
