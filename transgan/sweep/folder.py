"""The runs in a folder of runs, such as a sweep's. Imports no torch."""

from pathlib import Path

DEPTH = 3  # of a run below the folder


def runs_in(folder: Path) -> list[Path]:
    """The run folders below a folder, by name; none if it is a run itself, or no folder."""
    if not folder.is_dir() or (folder / "checkpoints").is_dir():
        return []
    found, level = [], [folder]
    for _ in range(DEPTH):
        below = [path for place in level for path in sorted(place.iterdir()) if is_folder(path)]
        runs = [path for path in below if any((path / "checkpoints").glob("*.ckpt"))]
        found += runs
        level = [path for path in below if path not in runs]
    return sorted(found)


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
