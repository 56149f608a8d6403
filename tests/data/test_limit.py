"""`limit`: the same images for everybody, of every class as many, and part of what a run is trained on."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data import Digits, Folder, Zip, hold_out
from transgan.data.dataset import evenly


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("a", 2), ("b", 8), ("c", 5)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_every_class_as_often_while_it_lasts():
    labels = torch.tensor([0] * 2 + [1] * 10 + [2] * 5)
    assert labels[evenly(labels, 6)].bincount().tolist() == [2, 2, 2]
    assert labels[evenly(labels, 10)].bincount().tolist() == [2, 4, 4]
    assert labels[evenly(labels, 13)].bincount().tolist() == [2, 6, 5]
    assert evenly(labels, 17).tolist() == list(range(17))
    assert evenly(torch.zeros(9, dtype=torch.int64), 4).unique().numel() == 4


def test_a_larger_limit_takes_none_away():
    labels = torch.randint(5, (200,))
    before = set()
    for count in range(5, 201, 13):
        now = set(evenly(labels, count).tolist())
        assert len(now) == count and before <= now
        before = now


def test_the_same_images_for_everybody(digits):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    part = Digits(limit=200)
    assert torch.equal(state, torch.get_rng_state())
    assert part.labels.bincount().tolist() == [20] * 10 and part.class_names == digits.class_names
    assert part.fingerprint == Digits(limit=200).fingerprint
    assert len({part.fingerprint, digits.fingerprint, Digits(limit=201).fingerprint}) == 3
    assert Digits(limit=1797).fingerprint == digits.fingerprint
    known = {image.numpy().tobytes() for image in digits.images}
    assert all(image.numpy().tobytes() in known for image in part.images)
    assert "limit: 200 of 1,797 images" in part.describe()
    train, heldout = hold_out(part, 0.1)
    assert len(train) == 180 and len(heldout) == 20


@pytest.mark.parametrize("in_memory", [True, False])
def test_of_files(pictures, in_memory, monkeypatch):
    whole, part = (Folder(pictures, 8, 3, in_memory=in_memory, limit=limit) for limit in (None, 9))
    assert part.labels.bincount().tolist() == [2, 4, 3] and part.class_names == ["a", "b", "c"]
    place = {name: i for i, (name, _, _) in enumerate(whole.files)}
    chosen = [place[name] for name, _, _ in part.files]
    assert chosen == sorted(chosen)
    assert torch.equal(part.__getitems__(range(9))[0], whole.__getitems__(chosen)[0])
    assert part.fingerprint != whole.fingerprint and part.ignored == 0
    assert "(limit: 9 of 15 images.)" in part.describe()


def test_only_the_files_taken_are_looked_at(pictures):
    chosen = {name for name, _, _ in Folder(pictures, 8, 3, limit=6).files}
    for path in pictures.rglob("*.png"):
        if path.relative_to(pictures).as_posix() not in chosen:
            path.write_text("broken")
    assert len(Folder(pictures, 8, 3, limit=6)) == 6


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many", 9, 1798])
def test_impossible_limits(limit):
    with pytest.raises(ValueError, match=f"limit={limit} is not possible"):
        Digits(limit=limit)


@pytest.mark.skipif("TRANSGAN_TEST_SHARED" not in os.environ, reason="needs the shared data")
def test_of_a_real_zip():
    path = Path(os.environ["TRANSGAN_TEST_SHARED"]) / "data" / "fashion-mnist-test.zip"
    part = Zip(path, 28, 1, limit=25)
    assert len(part) == 25 and part.num_classes == 10 and set(part.labels.bincount().tolist()) == {2, 3}
