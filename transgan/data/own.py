"""What this program itself has written: runs, drawn images, comparisons. Its outputs are never its inputs."""

import json
from pathlib import Path

BESIDE = ("checkpoints", "samples", "env.json", "metrics.jsonl", "stats.csv", "log.txt", "evaluations", "tensorboard")


def own_folders(names, read):
    """names: every file below a place; read(name): its bytes. -> {folder: "run" | "samples" | "comparison"}, the
    outermost ones, "" being the place itself."""
    beside, telling = {}, {"config.yaml", "index.json", "comparison.csv", "comparison.md", *BESIDE}
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts):
            if part in telling:
                beside.setdefault("/".join(parts[:depth]), set()).add(part)
    found = {folder: kind for folder, inside in beside.items() if (kind := kind_of(folder, inside, read))}
    return {folder: kind for folder, kind in found.items() if not any(contains(other, folder) for other in found)}


def contains(outer, inner):
    return outer != inner and (outer == "" or inner.startswith(f"{outer}/"))


def kind_of(folder, inside, read):
    """inside: the names in a folder, of files and folders. -> what of ours the folder is, or None"""

    def text(name):
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
        except ValueError:
            return None
        if isinstance(facts, dict) and {"run", "kimg", "psi", "images"} <= set(facts):
            return "samples"
    return None


def kind_of_place(path):
    """What of ours a folder or a file on the disk is: "run", "samples", "comparison", "checkpoint", or None."""
    path = Path(path)
    if path.is_dir():
        try:
            inside = {entry.name for entry in path.iterdir()}
        except OSError:
            return None
        return kind_of("", inside, lambda name: (path / name).read_bytes())
    return "checkpoint" if path.suffix.lower() == ".ckpt" else None


def refusal(path):
    """The sentence for a place that holds no pictures but is this program's, or lies in a run; None for others."""
    path = Path(path).absolute()
    kind = kind_of_place(path)
    if kind in ("run", "checkpoint", "comparison"):
        run = path if kind == "run" else next((p for p in path.parents if kind_of_place(p) == "run"), path)
        draw = "" if kind == "comparison" else f", or draw images of it first: transgan sample {run} out=FOLDER"
        what = "one of this program's comparisons" if kind == "comparison" else f"a {kind} of this program"
        return f"{path} is {what} and no pictures; give a folder or zip of pictures{draw}"
    inside = next((parent for parent in list(path.parents)[:3] if kind_of_place(parent) == "run"), None)
    if inside and kind != "samples" and not any(kind_of_place(p) == "samples" for p in path.parents):
        return (
            f"{path} lies in the run {inside}, whose samples are many images in one picture; give a folder or zip of "
            f"pictures, or draw single images first: transgan sample {inside} out=FOLDER"
        )
    return None
