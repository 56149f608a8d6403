"""What is kept out of training: the same images for everybody, of every class, and none of them trained on."""

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
