"""`transgan sample`: images by seed, as files, one grid, or arrays."""

import json
import os
import re
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torchvision.transforms.v2.functional import to_pil_image

from transgan import checkpoint
from transgan.commands.evaluate import device_named
from transgan.commands.run_folder import open_console
from transgan.commands.sources import pictures, training_data
from transgan.errors import UserError, setting_up


def main(config: DictConfig, arguments: list[str]) -> int:
    with setting_up():
        console = open_console()
        seeds = parse_seeds(config.seeds)
        if config.to not in ("png", "grid", "npz"):
            raise UserError(f"to={config.to}: it takes png, grid or npz")
        device = device_named(config.device)
        path = checkpoint.find(config.run, config.checkpoint)
        module, saved = checkpoint.load(path)
        module.to(device)
        if config.top_k is not None:
            set_top_k(module, config.top_k)
        labels = choose_labels(config["class"], seeds, saved, module)
        draw = module.generate
        if config.complete is not None:
            draw, labels = completion(config, seeds, labels, saved, module)
        parts = [slice(i, i + config.batch_size) for i in range(0, len(seeds), config.batch_size)]
        images = torch.cat([draw(seeds[p], None if labels is None else labels[p], config.psi).cpu() for p in parts])
        folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
        default = folder / {"png": "generated", "grid": "generated.png", "npz": "generated.npz"}[config.to]
        out = Path(config.out).expanduser() if config.out else default
        writer = {"png": write_files, "grid": write_grid, "npz": write_arrays}[config.to]
        writer(images, seeds, labels, saved, config, out)
    console.print(
        f"{len(seeds)} images of {path} ({saved['images_seen'] / 1000:g} kimg, psi {config.psi:g}) -> {out}"
    )
    return 0


def parse_seeds(text: str) -> list[int]:
    """`7`, `0-63`, `1,5,9-12` to a list of seeds. Raises UserError."""
    seeds: list[int] = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if match is None or (match[2] is not None and int(match[2]) < int(match[1])):
            raise UserError(f"seeds={text}: write 7, 0-63 or 1,5,9-12")
        seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
    return seeds


def choose_labels(wanted, seeds: list[int], saved: dict, module) -> torch.Tensor | None:
    """The class of each seed: the one asked for by number or name, else the seed's own. Raises UserError."""
    names = saved.get("class_names", [])
    if wanted is None:
        return module.labels_of(seeds)
    if not module.num_classes:
        raise UserError(f"class={wanted}: this run is unconditional and knows no classes; leave class= out")
    word = str(wanted)
    numbered = any(is_number(name) for name in names)       # then a number is a name, and never a place in the list
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
        raise UserError(f"complete={config.complete}: this run makes images at once and cannot go on from a half; "
                        "leave it out")
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
    """seed00000007.png ..., and index.json with the class of each."""
    out.mkdir(parents=True, exist_ok=True)
    index = {}
    for i, (image, seed) in enumerate(zip(images, seeds, strict=True)):
        name = f"seed{seed:08d}.png"
        picture = to_pil_image(image)
        write(out / name, lambda file, picture=picture: picture.save(file, "PNG"))
        index[name] = {"seed": seed, "class": None if labels is None else saved["class_names"][int(labels[i])]}
    facts = {"run": str(config.run), "kimg": saved["images_seen"] / 1000, "psi": config.psi, "images": index}
    text = json.dumps(facts, indent=1)
    write(out / "index.json", lambda file: file.write(text.encode()))


def write_grid(images, seeds, labels, saved, config, out: Path) -> None:
    from transgan.callbacks.samples import save_grid

    save_grid(images, out, config.columns or max(1, round(len(seeds) ** 0.5)))


def write_arrays(images, seeds, labels, saved, config, out: Path) -> None:
    """images N x H x W x C uint8, seeds, labels (-1 without classes)."""
    arrays = {
        "images": images.permute(0, 2, 3, 1).numpy(),
        "seeds": np.array(seeds),
        "labels": np.full(len(seeds), -1) if labels is None else labels.numpy(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, lambda file: np.savez(file, **arrays))


def write(path: Path, save) -> None:
    """Writes beside the file and renames."""
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            save(file)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
