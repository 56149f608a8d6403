"""The files that images of a run are written to: one PNG each with an index, one grid, or arrays."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from transgan import files
from transgan.callbacks.samples import save_grid
from transgan.runs.sampling import Drawn


def write(config: DictConfig, drawn: Drawn) -> Path:
    """Writes the images as `to` says -> the file or the folder."""
    default = {"png": "generated", "grid": "generated.png", "npz": "generated.npz"}[config.to]
    out = files.expanded(config.out) if config.out else drawn.run.folder / default
    {"png": write_files, "grid": write_grid, "npz": write_arrays}[config.to](drawn, config, out)
    return out


def write_files(drawn: Drawn, config: DictConfig, out: Path) -> None:
    """seed00000007.png ..., and index.json with what each is; or the one image that `out` names.

    What was asked for beside the seed is in the names, so that no two images have one: seed00000007-class3-psi0.7.png.
    The index keeps the files of earlier calls that are still there.
    """
    if out.suffix.lower() == ".png" and not out.is_dir():
        return write_png(out, drawn.images[0])
    # psi is in every index: transgan/data knows by it that these images are generated
    facts = {"run": str(config.run), "kimg": drawn.run.kimg, "psi": config.psi}
    facts |= {"temperature": config.temperature} if drawn.run.has_likelihood else {}
    index = {name: each for name, each in earlier_index(out).items() if (out / name).is_file()}
    for i, (image, seed) in enumerate(zip(drawn.images, drawn.seeds, strict=True)):
        name = f"seed{seed:08d}{asked(drawn, config, i)}.png"
        write_png(out / name, image)
        index[name] = {"seed": seed, "class": drawn.class_of(i)} | facts
    files.write_json(out / "index.json", facts | {"images": index})


def asked(drawn: Drawn, config: DictConfig, i: int) -> str:
    """What distinguishes an image from others of its seed, for its file's name: nothing where nothing was asked for."""
    name = "" if config["class"] is None or drawn.labels is None else f"-class{int(drawn.labels[i])}"
    name += "" if drawn.strength == 1 else f"-{drawn.said.replace(' ', '')}"
    name += "" if config.top_k is None else f"-top{config.top_k}"
    if config.complete is not None:
        rows = "" if config.rows is None else f"-rows{config.rows}"
        name += f"-of_{re.sub(r'[^A-Za-z0-9.]+', '_', Path(str(config.complete)).name)}{rows}"
    return name + ("" if config.checkpoint == "best" else f"-{config.checkpoint}")


def earlier_index(folder: Path) -> dict[str, dict[str, Any]]:
    """name -> facts of the images that an index.json there lists; {} without one that can be read."""
    try:
        index = files.read_json(folder / "index.json")
        everywhere = {key: index[key] for key in ("run", "kimg", "psi")}
        return {str(name): everywhere | dict(each) for name, each in index["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_png(path: Path, image: Tensor) -> None:
    with files.replacing(path) as file:
        to_pil_image(image).save(file, "PNG")


def write_grid(drawn: Drawn, config: DictConfig, out: Path) -> None:
    save_grid(drawn.images, out, config.columns or max(1, round(len(drawn.seeds) ** 0.5)))


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
