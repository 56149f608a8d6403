"""Recognises transgan's own outputs, runs, generated images and comparisons, which are never inputs."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from transgan.data.file import File
from transgan.files import in_shell

BESIDE = ("checkpoints", "samples", "env.json", "metrics.jsonl", "stats.csv", "log.txt", "evaluations", "tensorboard")


def own_folders(names: Iterable[str], read: Callable[[str], bytes]) -> dict[str, str]:
    """{folder: "run" | "samples" | "comparison"} of the outermost folders written by transgan; "" is the root itself.

    names: every file below the root; read(name): its bytes.
    """
    beside: dict[str, set[str]] = {}
    telling = {"config.yaml", "index.json", "comparison.csv", "comparison.md", *BESIDE}
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts):
            if part in telling:
                beside.setdefault("/".join(parts[:depth]), set()).add(part)
    found = {folder: kind for folder, inside in beside.items() if (kind := kind_of(folder, inside, read))}
    return {folder: kind for folder, kind in found.items() if not any(contains(other, folder) for other in found)}


def without_own(
    path: Path, files: list[File], read: Callable[[Any], bytes], images_among: Callable[[list[File]], list[File]]
) -> tuple[list[File], list[str]]:
    """The files below `path` without transgan's own outputs among them, and the folders of these.

    read: the content of a file by its place; images_among: those of some files that are images. Raises ValueError if
    `path` itself is one.
    """
    places = {name: place for name, place, _ in files}
    found = own_folders(places, lambda name: read(places[name]))
    if found.get("") in ("run", "comparison"):
        raise ValueError(f"{path} is a {found['']} written by transgan, not images: give other images.")
    within = [folder for folder in found if folder]
    drawn = [folder for folder in within if found[folder] == "samples"]

    def others(folders: list[str]) -> list[File]:
        return [file for file in files if not file[0].startswith(tuple(f"{folder}/" for folder in folders))]

    if drawn and not images_among(others(within)):  # generated images and nothing else: intended
        within = [folder for folder in within if folder not in drawn]
    return (others(within) if within else files), within


def outside(folders: list[str], within: list[str]) -> list[str]:
    """The folders that neither are, nor lie in, nor hold one of those `within`."""
    return [
        folder for folder in folders
        if not any(folder == each or contains(folder, each) or contains(each, folder) for each in within)
    ]  # fmt: skip


def typed(path: Path) -> str:
    """As a shell reads it."""
    return in_shell(path)


def contains(outer: str, inner: str) -> bool:
    return outer != inner and (outer == "" or inner.startswith(f"{outer}/"))


def kind_of(folder: str, inside: set[str], read: Callable[[str], bytes]) -> str | None:
    """Which of transgan's outputs a folder is, or None. inside: the names of its files and folders."""

    def text(name: str) -> str:
        try:
            return read(f"{folder}/{name}" if folder else name).decode("utf-8", "replace")
        except (OSError, KeyError):
            return ""

    if "comparison.csv" in inside and "comparison.md" in inside:
        return "comparison"
    if "config.yaml" in inside and inside & set(BESIDE) and "transgan." in text("config.yaml"):
        return "run"
    if "env.json" in inside and inside & (set(BESIDE) - {"env.json"}) and '"transgan"' in text("env.json"):
        return "run"
    if "index.json" in inside:
        try:
            facts = json.loads(text("index.json"))
        except (ValueError, RecursionError):
            return None
        if isinstance(facts, dict) and {"run", "kimg", "psi", "images"} <= set(facts):
            return "samples"
    return None


def kind_of_place(path: str | Path) -> str | None:
    """Which of transgan's outputs a folder or file is: "run", "samples", "comparison", "checkpoint", or None."""
    path = Path(path)
    if path.is_dir():
        try:
            inside = {entry.name for entry in path.iterdir()}
        except OSError:
            return None
        return kind_of("", inside, lambda name: (path / name).read_bytes())
    return "checkpoint" if path.suffix.lower() == ".ckpt" else None


def refusal(path: str | Path) -> str | None:
    """The message for a path that was written by transgan or lies in a run, and is no source of images; else None."""
    path = Path(path).absolute()
    kind = kind_of_place(path)
    if kind in ("run", "checkpoint", "comparison"):
        run = path if kind == "run" else next((p for p in path.parents if kind_of_place(p) == "run"), path)
        draw = "" if kind == "comparison" else f", or generate images first: `transgan sample {typed(run)} out=FOLDER`"
        return f"{path} is a {kind} written by transgan, not images; give a folder or zip of images{draw}"
    inside = next((parent for parent in list(path.parents)[:3] if kind_of_place(parent) == "run"), None)
    if inside and kind != "samples" and not any(kind_of_place(p) == "samples" for p in path.parents):
        return (
            f"{path} lies in the run {inside}, whose samples are grids of images; give a folder or zip of images, "
            f"or generate single images first: `transgan sample {typed(inside)} out=FOLDER`"
        )
    return None
