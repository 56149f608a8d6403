"""Whether augmentation leaks into what a trained generator random (Karras et al., 2020, section 2.2)."""

import pytest
import torch

from transgan import checkpoint
from transgan.cli import main


def drawn(folder, strength):
    """1,000 digits of a generator whose discriminator saw a share of all images turned by a quarter, a half, or three."""
    words = [
        "augmentation=quarter_turns",
        "matching=none",  # it compares with images that are not turned
        f"algorithm.augment={strength}",
        "kimg=16",
        "metrics=none",
        "logger=none",
        "trainer=cpu",
        "sample_every=16",
        "checkpoint_every=16",
        f"runs={folder}",
        f"name={strength}",
    ]
    assert main(["train", *words]) == 0
    module, _ = checkpoint.load(folder / str(strength) / "checkpoints" / "last.ckpt")
    return module.generate(list(range(1000)), torch.arange(1000) % 10)


@pytest.mark.slow
def test_turns_of_6_in_10_do_not_leak_and_turns_of_all_do(orientation, tmp_path):
    assert orientation.upright(drawn(tmp_path, 0.6)) > 0.9  # where 0.55 is what the discriminator sees upright
    assert orientation.upright(drawn(tmp_path, 1.0)) < 0.75  # no orientation is more likely than another
