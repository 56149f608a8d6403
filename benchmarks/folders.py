"""What `transgan train FOLDER` does with folders as users have them: announced against measured.

    python benchmarks/folders.py DATA OUT [--minutes 5] [--memory GIB] [--only NAME ...]

DATA has cifar10-train.zip and fashion-mnist-train.zip, from which the folders under OUT/sets are made once. Each is
trained by a command that says nothing but the folder and the minutes, under `ulimit -v` where --memory is given. A row
is: seconds to the first grid of real and of generated images, minutes announced and taken, the worst factor of the
time that was said to be left from the second minute on, memory announced and taken, and the run's own sentence on how
good it is. Rows are appended to OUT/folders.jsonl.
"""

import argparse
import io
import json
import random
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

CLOCK = re.compile(r"(?:(\d+)h)?(\d+)m(?:(\d+)s)?")


class Source:
    """Images of a zip, by a random order that is always the same."""

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path)
        self.names = sorted(name for name in self.zip.namelist() if name.endswith((".png", ".webp")))
        random.Random(0).shuffle(self.names)

    def image(self, i: int, size: tuple[int, int] | None = None) -> Image.Image:
        image = Image.open(io.BytesIO(self.zip.read(self.names[i])))
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC) if size else image


def sets(data: Path) -> dict[str, Callable[[Path], None]]:
    """{name: a function that fills its folder}"""
    photos, clothes = Source(data / "cifar10-train.zip"), Source(data / "fashion-mnist-train.zip")

    def save(image: Image.Image, path: Path, **options: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)

    def tiles(root: Path) -> None:
        for name in photos.names[:27_000]:
            path = root / Path(name).parent.name / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photos.zip.read(name))

    def flat(root: Path) -> None:
        root.mkdir(parents=True)
        for i, name in enumerate(clothes.names):
            (root / f"{i:05d}.png").write_bytes(clothes.zip.read(name))

    def large(root: Path) -> None:
        for i in range(500):
            save(photos.image(i, (2400, 1800)), root / f"IMG_{i:04d}.jpg", quality=88)

    def scans(root: Path) -> None:
        for i in range(1500):
            save(clothes.image(i, (300, 400)).convert("L"), root / f"scan{i}.png")

    return {
        "27000 tiles": tiles, "flat": flat, "large photographs": large,
        "thirty": lambda root: [save(photos.image(i, (128, 128)), root / f"{i}.png") for i in range(30)],  # type: ignore[misc]
        "one a class": lambda root: [save(photos.image(i, (96, 96)), root / f"thing{i}" / "a.png") for i in range(80)],  # type: ignore[misc]
        "grey scans": scans,
        "Bilder für Größe": lambda root: [save(photos.image(i), root / "Äpfel" / f"{i}.png") for i in range(800)],  # type: ignore[misc]
        "20 px": lambda root: [save(photos.image(i, (20, 20)), root / f"{i}.png") for i in range(2000)],  # type: ignore[misc]
    }  # fmt: skip


def seconds(text: str) -> float:
    """Of 1m05s or 2h03m."""
    hours, minutes, rest = CLOCK.search(text).groups()  # type: ignore[union-attr]
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(rest or 0)


def measure(folder: Path, out: Path, minutes: float, memory: float | None) -> dict[str, Any]:
    """Trains on a folder, and reads what was printed and when."""
    command = [sys.executable, "-m", "transgan", "train", str(folder), f"minutes={minutes:g}", f"runs={out / 'runs'}"]
    limit = f"ulimit -v {int(memory * 2**20)}; " if memory else ""
    began = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-c", f'{limit}exec "$@"', "bash", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines, left, grids = [], [], dict[str, float]()
    samples = out / "runs" / folder.name / "samples"
    assert process.stdout is not None
    for line in process.stdout:
        passed = time.monotonic() - began
        lines.append(line.rstrip())
        for path in sorted(samples.glob("*.png")) if samples.exists() else ():
            grids.setdefault(path.name, path.stat().st_mtime - (time.time() - passed))
        if line.startswith("kimg") and "eta " in line and passed >= 120:
            left.append((passed, seconds(line.split("eta ")[1])))
    code, took = process.wait(), time.monotonic() - began
    text = "\n".join(lines)
    said = re.search(r"cost    (\S+) in all.* about ([\d.]+) GiB", text)
    columns = [line.split(",") for line in (out / "runs" / folder.name / "stats.csv").read_text().splitlines()]
    peak = max(float(row[columns[0].index("memory_mib")]) for row in columns[1:]) / 1024
    factors = [max(rest / max(took - at, 1), (took - at) / max(rest, 1)) for at, rest in left if took - at > 30]
    generated = [when for name, when in grids.items() if name not in ("reals.png", "000000.png")]
    return {
        "set": folder.name, "code": code, "first_real": round(grids.get("reals.png", -1), 1),
        "first_generated": round(min(generated, default=-1), 1), "announced": said and round(seconds(said[1]) / 60, 2),
        "minutes": round(took / 60, 2), "eta_factor": round(max(factors, default=1.0), 2),
        "memory_announced": said and float(said[2]), "memory": round(peak, 2),
        "good": next((line[8:] for line in lines if line.startswith("good")), text[-500:]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--memory", type=float, help="GiB that ulimit -v allows")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    for name, fill in sets(options.data).items():
        if options.only and name not in options.only:
            continue
        folder = options.out / "sets" / name
        if not folder.exists():
            fill(folder)
        row = measure(folder, options.out, options.minutes, options.memory)
        print(json.dumps(row, ensure_ascii=False), flush=True)
        with open(options.out / "folders.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
