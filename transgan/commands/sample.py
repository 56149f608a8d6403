"""`transgan sample`: images by seed, as files, one grid, or arrays."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torchvision.transforms.v2.functional import to_pil_image

from transgan import checkpoint, files
from transgan.callbacks.samples import FORMATS, save_grid
from transgan.commands.evaluate import device_findings, device_named
from transgan.errors import UserError, setting_up
from transgan.runs.folder import open_console
from transgan.runs.images import pictures, training_data
from transgan.runs.names import wrong_folder, wrong_suffix

MOST = 10_000_000  # images of one command


@dataclass(frozen=True)
class Drawn:
    """Images N x C x H x W uint8 of a checkpoint, with the seed and the class of each."""

    images: torch.Tensor
    seeds: list[int]
    labels: torch.Tensor | None
    saved: dict[str, Any]
    path: Path


def main(config: DictConfig, arguments: list[str]) -> int:
    """Draws and writes. Returns the exit code."""
    with setting_up():
        console = open_console()
        drawn = draw(config)
        out = write(config, drawn)
    facts = f"{drawn.saved['images_seen'] / 1000:g} kimg, psi {config.psi:g}"
    console.print(f"{len(drawn.seeds)} images of {drawn.path} ({facts}) -> {out}")
    return 0


def draw(config: DictConfig) -> Drawn:
    """The images that a configuration asks for. Raises UserError and other errors of the user's."""
    seeds = parse_seeds(config.seeds)
    check(config, seeds)
    device = device_named(config.device)
    path = checkpoint.find(config.run, config.checkpoint)
    module, saved = checkpoint.load(path)
    module.to(device)
    if config.top_k is not None:
        set_top_k(module, config.top_k)
    labels = choose_labels(config["class"], seeds, saved, module)
    generate = module.generate
    if config.complete is not None:
        generate, labels = completion(config, seeds, labels, saved, module)
    parts = [slice(i, i + config.batch_size) for i in range(0, len(seeds), config.batch_size)]
    images = [generate(seeds[part], None if labels is None else labels[part], config.psi).cpu() for part in parts]
    return Drawn(torch.cat(images), seeds, labels, saved, path)


def write(config: DictConfig, drawn: Drawn) -> Path:
    """Writes the images as `to` says -> the file or the folder."""
    path = drawn.path
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    default = folder / {"png": "generated", "grid": "generated.png", "npz": "generated.npz"}[config.to]
    out = files.expanded(config.out) if config.out else default
    writer = {"png": write_files, "grid": write_grid, "npz": write_arrays}[config.to]
    writer(drawn.images, drawn.seeds, drawn.labels, drawn.saved, config, out)
    return out


def check(config, seeds: list[int]) -> None:
    """What is wrong with where and how to write; all of it at once."""
    found = []
    if config.to == "png" and len(seeds) == 1 and str(config.out).lower().endswith(".png"):
        found += wrong_suffix("out", config.out, ".png")
    elif config.to == "png" and (wrong := wrong_folder("out", config.out, *FORMATS, ".npz", ".zip", ".gif")):
        found += [f"{each}, or write one picture of all with to=grid" for each in wrong]
    elif config.to == "grid":
        found += wrong_suffix("out", config.out, *FORMATS)
    elif config.to == "npz":
        found += wrong_suffix("out", config.out, ".npz")
    if config.columns is not None and config.to != "grid":
        found.append(f"columns={config.columns}: to={config.to} has no columns; add to=grid, or leave it out")
    if config.rows is not None and config.complete is None:
        found.append(f"rows={config.rows}: it says how much of an image complete= keeps; add that, or leave it out")
    if config.out is not None and config.to != "png" and files.expanded(config.out).is_dir():
        found.append(f"out={config.out}: there is a folder of this name; give the file to write")
    found += device_findings(config.device)
    if found:
        raise UserError(*found)


def parse_seeds(text: str) -> list[int]:
    """`7`, `0-63`, `1,5,9-12` to a list of seeds. Raises UserError."""
    seeds: list[int] = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*([0-9]{1,19})(?:\s*-\s*([0-9]{1,19}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"seeds={text}: write 7, 0-63 or 1,5,9-12")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= 2**63:
            raise UserError(f"seeds={text}: a seed is at most {2**63 - 1}")
        if len(seeds) + last - first >= MOST:
            raise UserError(f"seeds={text}: these are more than {MOST:,} images at once; draw them in several parts")
        seeds += range(first, last + 1)
    return seeds


def choose_labels(wanted, seeds: list[int], saved: dict, module) -> torch.Tensor | None:
    """The class of each seed: the one asked for by number or name, else the seed's own. Raises UserError."""
    names = saved.get("class_names", [])
    if wanted is None:
        return module.labels_of(seeds)
    if not module.num_classes:
        raise UserError(f"class={wanted}: this run is unconditional and knows no classes; leave class= out")
    word = str(wanted)
    numbered = any(is_number(name) for name in names)  # then a number is a name, and never a place in the list
    numbered = numbered and names != [str(i) for i in range(len(names))]
    if word in names:
        label = names.index(word)
    elif is_number(word) and not numbered and int(word) < module.num_classes:
        label = int(word)
    else:
        listed = ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
        way = f"one of {listed}" if numbered else f"0 to {module.num_classes - 1}, or one of {listed}"
        raise UserError(f"class={wanted}: there is no such class; give {way if names else way.split(',')[0]}")
    return torch.full((len(seeds),), label)


def is_number(word: str) -> bool:
    """Whether a word is a whole number that could be a place in a list."""
    return re.fullmatch(r"[0-9]+", word) is not None


def set_top_k(module, top_k) -> None:
    if not hasattr(module, "top_k"):
        raise UserError(f"top_k={top_k}: this run does not draw token by token; leave it out, psi= is for all runs")
    if not isinstance(top_k, int) or top_k < 1:
        raise UserError(f"top_k={top_k}: it takes a whole number, 1 or more")
    module.top_k = top_k


def completion(config, seeds: list[int], labels, saved: dict, module):
    """-> (a function like `generate` that keeps the upper rows of image number seed of a source, the labels)."""
    if not hasattr(module, "complete"):
        raise UserError(
            f"complete={config.complete}: this run makes images at once and cannot go on from a half; leave it out"
        )
    trained = saved["config"]
    if config.complete == "heldout":
        source = training_data(trained)[1]
        if source is None:
            raise UserError("complete=heldout: this run keeps no images out of training; give a folder or zip")
    else:
        source = pictures(config.complete, trained["resolution"], trained["channels"], key="complete")
    rows = trained["resolution"] // 2 if config.rows is None else config.rows

    def given(seeds):
        return source.__getitems__([seed % len(source) for seed in seeds])

    if module.num_classes and config["class"] is None:
        if list(source.class_names) != list(saved["class_names"]):
            raise UserError(f"complete={config.complete}: these images have other classes than the run; give class=")
        labels = given(seeds)[1]
    module.network.prepare(given(seeds)[0])
    return lambda seeds, labels, psi: module.complete(given(seeds)[0], rows, seeds, labels, psi), labels


def write_files(images, seeds, labels, saved, config, out: Path) -> None:
    """seed00000007.png ..., and index.json with what each is; or the one picture that `out` names.

    What was asked for beside the seed is in the names, so that no two images have one: seed00000007-class3-psi0.7.png.
    The index keeps the files of earlier calls that are still there.
    """
    if out.suffix.lower() == ".png" and not out.is_dir():
        return write_png(out, images[0])
    facts = {"run": str(config.run), "kimg": saved["images_seen"] / 1000, "psi": config.psi}
    index = {name: each for name, each in earlier_index(out).items() if (out / name).is_file()}
    for i, (image, seed) in enumerate(zip(images, seeds, strict=True)):
        name = f"seed{seed:08d}{asked(config, labels, i)}.png"
        write_png(out / name, image)
        label = None if labels is None else saved["class_names"][int(labels[i])]
        index[name] = {"seed": seed, "class": label} | facts
    files.write_text(out / "index.json", json.dumps(facts | {"images": index}, indent=1))


def asked(config, labels, i: int) -> str:
    """What tells an image from others of its seed, for its file's name: nothing where nothing was asked for."""
    said = "" if config["class"] is None else f"-class{int(labels[i])}"
    said += "" if config.psi == 1 else f"-psi{config.psi:g}"
    said += "" if config.top_k is None else f"-top{config.top_k}"
    if config.complete is not None:
        rows = "" if config.rows is None else f"-rows{config.rows}"
        said += f"-of_{re.sub(r'[^A-Za-z0-9.]+', '_', Path(str(config.complete)).name)}{rows}"
    return said + ("" if config.checkpoint == "best" else f"-{config.checkpoint}")


def earlier_index(folder: Path) -> dict[str, dict]:
    """name -> facts of the images that an index.json there tells of; {} without one that can be read."""
    try:
        index = json.loads(files.read_text(folder / "index.json"))
        everywhere = {key: index[key] for key in ("run", "kimg", "psi")}
        return {str(name): everywhere | dict(each) for name, each in index["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_png(path: Path, image) -> None:
    with files.replacing(path) as file:
        to_pil_image(image).save(file, "PNG")


def write_grid(images, seeds, labels, saved, config, out: Path) -> None:
    save_grid(images, out, config.columns or max(1, round(len(seeds) ** 0.5)))


def write_arrays(images, seeds, labels, saved, config, out: Path) -> None:
    """images N x H x W x C uint8, seeds, labels (-1 without classes) and class_names, as `evaluate` reads them."""
    arrays = {
        "images": images.permute(0, 2, 3, 1).numpy(),
        "seeds": np.array(seeds),
        "labels": np.full(len(seeds), -1) if labels is None else labels.numpy(),
    }
    if labels is not None:
        arrays["class_names"] = np.array(saved["class_names"], dtype=np.str_)
    with files.replacing(out) as file:
        np.savez(file, **arrays)
