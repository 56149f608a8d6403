"""Whether a run's health has the right word: runs broken on purpose, and healthy ones, which should raise no alarm.

    python -m benchmarks.health OUT [NAME ...] [--data FOLDER]

Trains the runs whose names contain a NAME, all without one, in OUT, one after the other; a run that is finished is not
trained again. FOLDER holds fashion-mnist-train.zip and cifar10-train.zip; without it digits alone are trained. Prints a
table in Markdown: the word after each evaluation, and whether it is right within three. About an hour on one CPU core.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn, zeros

from transgan import files
from transgan.callbacks.diagnosis import ALARMS, diagnosis

ROOT = Path(__file__).parents[1]
SAID = re.compile(r"health +([a-z ]+?) at ([0-9.]+) kimg: ")
SHORT = ["kimg=12", "evaluate_every=4"]
BROKEN = {  # name: (the right words, overrides); of digits, three evaluations each
    "lr_x100": (("diverging",), ["algorithm.generator_lr.start=0.15", "algorithm.generator_lr.end=0.0375",
                                 "algorithm.discriminator_lr.start=0.3", "algorithm.discriminator_lr.end=0.1"]),
    "gamma_0": (("discriminator wins", "diverging"), ["algorithm.gamma.start=0", "algorithm.gamma.end=0"]),
    "frozen_generator": (("discriminator wins",), ["algorithm.generator_lr.start=0", "algorithm.generator_lr.end=0"]),
    "constant_generator": (("low variety",), ["generator=constant"]),
    "discriminator_x10": (("discriminator wins",), ["discriminator.dim=[160]"]),
    "discriminator_x10_unpenalised": (("discriminator wins",), ["discriminator.dim=[160]", "penalty=none"]),
    "50_images": (("overfitting",), ["data.limit=50", "augmentation=none"]),
    "50_images_holdout": (("overfitting",), ["data.limit=100", "holdout=0.5", "augmentation=none"]),
    "all_equal": (("low variety",), ["data=folder", "data.path={out}/data/equal"]),
    "labels_shuffled": (("flat",), ["data=folder", "data.path={out}/data/shuffled"]),
}  # fmt: skip
AGAIN = ("lr_x100", "gamma_0", "discriminator_x10_unpenalised", "50_images")  # seeds that set no threshold
BROKEN |= {f"{name}_seed_1": (BROKEN[name][0], [*BROKEN[name][1], "seed=1"]) for name in AGAIN}
HEALTHY = {f"digits_{seed}": [f"seed={seed}"] for seed in range(5)}
HEALTHY |= {"digits_holdout": ["holdout=0.2", "seed=5"]}
WITH_DATA = {
    "fashion_mnist": [
        "experiment=fashion_mnist",
        "data.path={data}/fashion-mnist-train.zip",
        "kimg=36",
        "evaluate_every=6",
    ],
    "cifar10": ["experiment=cifar10_minutes", "data.path={data}/cifar10-train.zip", "kimg=20", "evaluate_every=4"],
}


class Constant(nn.Module):
    """A generator of one image that it learns, whatever the latent and the class."""

    def __init__(self, img_size: int = 8, in_chans: int = 1, latent_dim: int = 32, num_classes: int = 0) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image = nn.Parameter(zeros(in_chans, img_size, img_size))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.image.tanh().expand(len(latent), -1, -1, -1)


def write_data(out: Path) -> None:
    """Folders of digits: as they are, with shuffled classes, and one image again and again."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)
    shuffled = np.random.default_rng(0).permutation(labels)
    for name, classes in (("digits", labels), ("shuffled", shuffled), ("equal", labels)):
        for i, k in enumerate(classes if name != "equal" else classes[:500]):
            path = out / "data" / name / str(k) / f"{i:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                Image.fromarray(images[0 if name == "equal" else i]).save(path)
    conf = out / "conf" / "generator" / "constant.yaml"
    conf.parent.mkdir(parents=True, exist_ok=True)
    keys = {"img_size": "resolution", "in_chans": "channels", "num_classes": "num_classes"}
    lines = ["_target_: benchmarks.health.Constant", *(f"{key}: ${{{of}}}" for key, of in keys.items())]
    files.write_text(conf, "\n".join([*lines, "latent_dim: 32", ""]))


def train(out: Path, name: str, overrides: list[str]) -> None:
    command = [sys.executable, "-m", "transgan", "train", f"--config-dir={out / 'conf'}", f"runs={out}", f"name={name}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([*command, *overrides], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    print(f"{name}: exit code {done.returncode}", file=sys.stderr)


def words(folder: Path) -> list[tuple[float, str]]:
    """(kimg, word) after each evaluation, by the rules of now from what was measured then; where training ended with an
    error, what the log says."""
    path = folder / "checkpoints" / "last.ckpt"
    history = torch.load(path, weights_only=True)["callbacks"]["Health"]["history"] if path.exists() else []
    found = [(moment["kimg"], diagnosis(history[: i + 1]).word) for i, moment in enumerate(history)]
    seen = found[-1][0] if found else 0.0
    log = files.read_text(folder / "log.txt") if (folder / "log.txt").exists() else ""
    return found + [(float(kimg), word) for word, kimg in SAID.findall(log) if float(kimg) > seen]


def row(name: str, found: list[tuple[float, str]], right: tuple[str, ...] | None) -> str:
    """A line of the table; right: the words of a broken run."""
    texts = [f"{word} ({kimg:.0f})" for kimg, word in found]
    alarms = sum(word in ALARMS for _, word in found)
    result = (
        f"{alarms} false" if right is None else "right" if any(word in right for _, word in found[:3]) else "MISSED"
    )
    return f"| {name} | {' or '.join(right) if right else 'no alarm'} | {', '.join(texts)} | {result} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    out = given.out.resolve()
    write_data(out)
    runs: dict[str, tuple[tuple[str, ...] | None, list[str]]] = {
        name: (right, SHORT + overrides) for name, (right, overrides) in BROKEN.items()
    }
    runs |= {name: (None, overrides) for name, overrides in (HEALTHY | (WITH_DATA if given.data else {})).items()}
    print("| run | right | words (kimg) | |\n|---|---|---|---|")
    for name, (right, overrides) in runs.items():
        if not given.names or any(each in name for each in given.names):
            train(out, name, [each.format(out=out, data=given.data) for each in overrides])
            print(row(name, words(out / name), right), flush=True)


if __name__ == "__main__":
    main()
