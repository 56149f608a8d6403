"""What `transgan train FOLDER minutes=5` chooses, against eight choices by hand: distances at equal time.

    python -m benchmarks.choosing DATA OUT [--minutes 5] [--seeds 0] [--only SET/CHOICE ...]

DATA has cifar10-train.zip and fashion-mnist-train.zip, from which two folders are made once: clothes without classes,
all images in one folder, and photographs in a folder per class. Every choice trains for the same minutes of the clock,
all preparations included; then 10,000 images are made from it and measured by one evaluator for all, a classifier of
the set's own classes (`fd_classifier` against the archive). A row is appended to OUT/choosing.jsonl; what is there is
not trained again. Nothing else should run beside it.
"""

import argparse
import fnmatch
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.folders import Source

DCGAN = ["generator=dcgan", "generator.dim=[128,64,32]", "generator.latent_dim=32",
         "discriminator=dcgan", "discriminator.dim=[32,64,128]"]  # fmt: skip
CHOICES = {  # beside the folder and the minutes
    "automatic": [],
    "dcgan": [*DCGAN, "adaptive=none", "augmentation=none"],  # that of the list finals of benchmarks/recipes
    "resnet": ["generator=resnet", "generator.dim=[128,64,32,16]", "generator.latent_dim=32", *DCGAN[3:],
               "adaptive=none", "augmentation=none"],
    "hour": ["recipe=hour"],
    "penalty_of_all": ["penalty=r1_r2"],
    "batch_32": ["batch_size=32"],
    "rates_half": ["algorithm.generator_lr={start:5e-4,end:5e-5}",
                   "algorithm.discriminator_lr={start:1.5e-3,end:5e-4}"],
    "augmented": ["adaptive=none", "algorithm.augment=0.3"],
    "no_matching": ["matching=none"],
}  # fmt: skip
ARCHIVES = {"clothes": "fashion-mnist-train.zip", "photographs": "cifar10-train.zip"}


def fill(folder: Path, archive: Path, flat: bool) -> None:
    """The images of an archive, in their class folders or all in one."""
    source = Source(archive)
    for i, name in enumerate(source.names):
        path = folder / (f"{i:05d}.png" if flat else Path(Path(name).parent.name, Path(name).name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.zip.read(name))


def transgan(*arguments: str) -> str:
    """The output of a command; what it prints at fault ends this program."""
    done = subprocess.run([sys.executable, "-m", "transgan", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"transgan {' '.join(arguments)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def measure(name: str, choice: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    folder, archive = options.out / "sets" / name, options.data / ARCHIVES[name]
    if not folder.exists():
        fill(folder, archive, flat=name == "clothes")
    runs, run = options.out / "runs", f"{name}_{choice}_{seed}"
    shutil.rmtree(runs / run, ignore_errors=True)
    began = time.monotonic()
    said = transgan(
        "train", str(folder), f"minutes={options.minutes:g}", f"runs={runs}", f"name={run}", f"seed={seed}",
        *CHOICES[choice],
    )  # fmt: skip
    took = time.monotonic() - began
    samples = options.out / "samples"
    shutil.rmtree(samples, ignore_errors=True)
    transgan("sample", str(runs / run), f"out={samples}", f"seeds=0-{options.num_samples - 1}")
    transgan(
        "evaluate", str(samples), f"against={archive}", "extractor=classifier", "metrics=fast", "resolution=32"
    )  # fmt: skip
    shutil.rmtree(samples)
    (written,) = options.out.glob("samples.*.evaluation.json")
    numbers = json.loads(written.read_text())["metrics"]
    written.unlink()
    kimg = re.findall(r"^kimg +([\d.]+)", said, re.MULTILINE)
    return {
        "set": name, "choice": choice, "seed": seed, "minutes": options.minutes, "took": round(took / 60, 2),
        "kimg": float(kimg[-1]) if kimg else None, "numbers": numbers,
        "health": re.findall(r"^health +(.*)", said, re.MULTILINE)[-1:], "settings": CHOICES[choice],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--num-samples", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", default=["*"], metavar="SET/CHOICE", help="with wildcards")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = options.out / "choosing.jsonl"
    old = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    done = {(row["set"], row["choice"], row["seed"], row["minutes"]) for row in old}
    for seed in options.seeds:
        for name in ARCHIVES:
            for choice in CHOICES:
                wanted = any(fnmatch.fnmatch(f"{name}/{choice}", pattern) for pattern in options.only)
                if not wanted or (name, choice, seed, options.minutes) in done:
                    continue
                row = measure(name, choice, seed, options)
                print(json.dumps(row), flush=True)
                with open(rows, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
