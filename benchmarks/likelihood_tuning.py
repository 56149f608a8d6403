"""How experiment=digits_gpt and its baselines were tuned: the same grid for each, by images that no table is made of.

    python benchmarks/likelihood_tuning.py FOLDER [SYSTEM ...]

FOLDER gets the 1,438 digits that the comparison trains on, as pictures; a fifth of them is held out of training there,
and the bits per dimension of those choose. The 359 digits that the comparison measures with are not among them.
What is trained already is not trained again.
"""

import json
import subprocess
import sys
from pathlib import Path

from torchvision.transforms.v2.functional import to_pil_image

from transgan.data import Digits, hold_out

SYSTEMS = ("digits_gpt", "digits_rnn", "digits_row_lstm", "digits_vae", "digits_vit_vae")
GRID = [(lr, 0.1) for lr in (2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)] + [(lr, 0.01) for lr in (4e-3, 8e-3, 1.6e-2)]


def export(folder: Path) -> None:
    """A folder a class, in order."""
    train, _ = hold_out(Digits(), 0.2)
    for i, (image, label) in enumerate(train):
        path = folder / train.class_names[label] / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            to_pil_image(image).save(path)


def command(folder: Path, system: str, lr: float, decay: float) -> list[str]:
    """Arguments of `transgan train` for one point of the grid; the rate falls to a twentieth everywhere."""
    return [
        f"experiment={system}", "data=folder", f"data.path={folder / 'digits'}", "resolution=8", "channels=1",
        "metrics=none", "logger=none", "trainer=cpu", f"algorithm.lr.start={lr:g}", f"algorithm.lr.end={lr / 20:g}",
        "kimg=30", f"algorithm.optimizer.weight_decay={decay:g}", "evaluate_every=2", "sample_every=100",
        "checkpoint_every=100", f"runs={folder / 'runs'}", f"name={system}-{lr:g}-{decay:g}",
    ]  # fmt: skip


def bits(folder: Path, system: str, lr: float, decay: float) -> list[float]:
    """Of the images kept out, along the run."""
    path = folder / "runs" / f"{system}-{lr:g}-{decay:g}" / "metrics.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [line["metrics"]["bits_per_dim_heldout"] for line in lines if line["kimg"] > 0]


def main(folder: Path, systems) -> None:
    export(folder / "digits")
    for system in systems:
        print(f"{system}: learning rate, weight decay, bits per dimension at the end (lowest along the way)")
        for lr, decay in GRID:
            if len(bits(folder, system, lr, decay)) < 15:
                words = [sys.executable, "-m", "transgan", "train", *command(folder, system, lr, decay)]
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            found = bits(folder, system, lr, decay)
            print(f"  {lr:<8g} {decay:<6g} {found[-1]:.4f} ({min(found):.4f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:] or SYSTEMS)
