"""What a run says of the images of the one that it begins with, and what it writes of its cost."""

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from transgan.data import ImageDataset, hold_out
from transgan.runs.begun_with import facts, remarks
from transgan.warm_start import Source


class Noise(ImageDataset):
    def __init__(self, seed: int = 0, names: tuple[str, ...] = ("a", "b")) -> None:
        super().__init__("noise", 4, 1)
        images = torch.randint(256, (40, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
        self.hold(images, [i % 2 for i in range(40)], names, [(4, 4)] * 40)


def source(dataset, holdout=0.0, folder=Path("runs/flow"), name="last.ckpt", classes=2):
    return Source(
        "flow", folder / "checkpoints" / name, "ab" * 32, {"num_classes": classes}, {}, 2.0, {"holdout": holdout},
        dataset.fingerprint, list(dataset.class_names),
    )  # fmt: skip


def part(dataset, holdout):
    return hold_out(dataset, holdout)[0] if holdout else dataset


@pytest.mark.parametrize(
    "then, now, said",
    [
        (0.0, 0.0, None), (0.2, 0.2, None), (0.4, 0.2, None), (0.4, 0.0, None), (0.0, 0.2, "has seen 8 of the images"),
        (0.2, 0.4, "holdout=0.2 and has seen 8 of the images that holdout=0.4 holds out"),
    ],
)  # fmt: skip
def test_held_out_images_that_were_trained_on(then, now, said, monkeypatch):
    monkeypatch.setattr("transgan.runs.begun_with.make", lambda config: Noise())
    config = OmegaConf.create({"checkpoint": "runs/flow", "holdout": now, "data": {}})
    found = remarks(source(part(Noise(), then), then), config, part(Noise(), now))
    assert len(found) == (said is not None) and (said is None or said in found[0])


@pytest.mark.parametrize("then, now", [(0.0, 0.0), (0.0, 0.2), (0.2, 0.0)])
def test_other_images_and_other_classes(then, now, monkeypatch):
    monkeypatch.setattr("transgan.runs.begun_with.make", lambda config: Noise(1, ("c", "d")))
    config = OmegaConf.create({"checkpoint": "runs/flow", "holdout": now, "data": {}})
    ours, theirs = part(Noise(1, ("c", "d")), now), part(Noise(), then)
    names, images = remarks(source(theirs, then), config, ours)
    assert names == "checkpoint=runs/flow: that flow was trained with classes named a, b, and these are c, d, by number"
    assert f"on other images ({theirs.fingerprint[:8]}, and these are {ours.fingerprint[:8]})" in images
    assert len(remarks(source(theirs, then, classes=0), config, ours)) == 1


def test_the_cost_is_that_of_the_whole_run_so_far(tmp_path):
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (tmp_path / "stats.csv").write_text(
        "kimg,seconds,images_per_second,images_per_cpu_second\n1,9,100,200\n2,9,200,400\n3,9,400,800\n"
    )
    saved = {"state_dict": {}, "config": {"algorithm": {}}, "images_seen": 3000}
    torch.save(saved, checkpoints / "last.ckpt")
    first = facts(source(Noise(), folder=tmp_path))
    assert first["images_seen"] == 2000 and first["seconds"] == {"wall": 15.0, "cpu": 7.5}
    best = facts(source(Noise(), folder=tmp_path, name="best.ckpt"))
    assert best["images_seen"] == 3000 and best["seconds"]["wall"] == 17.5
    assert all(math.isnan(value) for value in facts(source(Noise(), folder=tmp_path / "gone"))["seconds"].values())
