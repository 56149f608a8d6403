"""What is held out of training: the same images for everybody, of every class, and none of them trained on."""

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data import Digits, Folder, hold_out


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture
def picture_folder(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(8):
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_every_image_is_on_one_side(digits):
    train, heldout = hold_out(digits, 0.1)
    both = torch.cat([train.indices, heldout.indices])
    assert torch.equal(both.sort().values, torch.arange(1797))
    assert torch.equal(train.images, digits.images[train.indices])
    assert torch.equal(heldout.labels, digits.labels[heldout.indices])
    assert train.num_classes == heldout.num_classes == 10 and train.fingerprint != digits.fingerprint


def test_a_share_of_every_class(digits):
    _, heldout = hold_out(digits, 0.1)
    wanted = (0.1 * digits.labels.bincount()).round().long()
    assert torch.equal(heldout.labels.bincount(), wanted)


def test_the_same_whenever_it_is_asked(digits):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = hold_out(digits, 0.2)[1], hold_out(Digits(), 0.2)[1]
    assert torch.equal(first.indices, second.indices) and first.fingerprint == second.fingerprint
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, 0.0001])
def test_shares_that_leave_nothing(digits, share):
    with pytest.raises(ValueError, match="holdout="):
        hold_out(digits, share)


def test_of_files_read_one_by_one(picture_folder):
    whole = Folder(picture_folder, 8, 3, in_memory=False)
    kept = Folder(picture_folder, 8, 3, in_memory=True)
    for one, other in zip(hold_out(whole, 0.5), hold_out(kept, 0.5), strict=True):
        assert not one.in_memory and other.in_memory
        assert torch.equal(one.__getitems__(range(len(one)))[0], other.images)
        assert torch.equal(one.labels, other.labels)
    assert hold_out(whole, 0.5)[0].fingerprint != hold_out(whole, 0.25)[0].fingerprint


class Labelled:
    """As much of a data set as `hold_out` looks at before it cuts it."""

    def __init__(self, *sizes):
        from types import SimpleNamespace

        self.labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        count, self.in_memory, self.resolution, self.channels = len(self.labels), True, 1, 1
        self.images, self.sizes = torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.ones(count, 2)
        self.class_names, self.num_classes, self.name = [str(i) for i in range(len(sizes))], len(sizes), "set"
        self.skipped, self.ignored, self.notes, self.hints, self.others, self.labelled = [], 0, ["n"], [], "", ""
        self.levels, self.identity = None, SimpleNamespace

    def __len__(self):
        return len(self.labels)


@pytest.mark.parametrize(
    "sizes, share, counts, says",
    [
        ([10, 20, 30], 0.1, [1, 2, 3], []),  # as it always was
        ([30, 20, 4], 0.1, [3, 2, 0], ["no image of 1 of 3 classes, those of up to 4 images"]),
        ([1] * 60, 0.1, 6, ["no image of 54 of 60 classes", "no training image of 6 classes"]),
        ([4] * 10, 0.1, 4, ["no image of 6 of 10 classes, those of up to 4 images"]),
        ([1, 1, 4, 4, 4, 1], 0.12, [0, 0, 1, 1, 0, 0], ["no image of 4 of 6"]),  # none loses its only image
        ([2, 2, 2], 0.7, [1, 1, 1], []),
    ],
)
def test_of_small_classes(sizes, share, counts, says):
    data = Labelled(*sizes)
    train, heldout = hold_out(data, share)
    found = heldout.labels.bincount(minlength=len(sizes)).tolist()
    if isinstance(counts, int):
        assert sum(found) == counts and max(found) == 1
    else:
        assert sorted(found) == sorted(counts)
    assert len(train.notes) == 1 + len(says) and all(any(word in note for note in train.notes) for word in says)
    assert data.notes == heldout.notes == ["n"]
    again = hold_out(Labelled(*sizes), share)[1]
    assert torch.equal(again.indices, heldout.indices)


def test_what_is_held_out_of_classes_that_are_large_enough_has_not_changed(digits):
    """As version 0.1 chose."""
    generator, chosen = torch.Generator().manual_seed(0), []
    for label in range(10):
        members = (digits.labels == label).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: round(0.1 * len(members))]])
    assert torch.equal(hold_out(digits, 0.1)[1].indices, torch.cat(chosen).sort().values)


@pytest.mark.parametrize("sizes, share", [([1] * 10, 0.1), ([1, 1], 0.5), ([3], 0.5), ([1] * 10, 0.95)])
def test_too_few_images_to_hold_out_any(sizes, share):
    with pytest.raises(ValueError, match="leaves fewer than two images on one side"):
        hold_out(Labelled(*sizes), share)
