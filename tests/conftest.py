"""Tiny networks and the module that trains them, for tests of every folder."""

from functools import partial

import pytest
import torch

from transgan.augmentation import DiffAugment, NoAugmentation
from transgan.models.style_transformer import StyleTransformer
from transgan.models.vit_discriminator import ViTDiscriminator
from transgan.training.adversarial import Adversarial

pytest_plugins = ["command_line"]  # tests/command_line.py

GENERATOR = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=[16], depth=[1], num_heads=[2], window_size=None,
    mlp_ratio=2.0, latent_dim=6, style_dim=12, mapping_depth=2,
)  # fmt: skip
DISCRIMINATOR = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, stem_dim=4, dim=[16], depth=[2], num_heads=[2],
    window_size=None, mlp_ratio=2.0, init_values=0.1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def generator():
    """Makes a tiny generator; arguments replace the tiny ones."""
    return lambda **changes: StyleTransformer(**GENERATOR | changes)


@pytest.fixture
def discriminator():
    return lambda **changes: ViTDiscriminator(**DISCRIMINATOR | changes)


@pytest.fixture
def shift():
    """An augmentation that uses random numbers and moves pixels."""
    return DiffAugment(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.125, cutout=0.25)


@pytest.fixture
def adversarial(generator, discriminator):
    """Makes a tiny Adversarial, or another `kind` of it; arguments replace the tiny ones."""

    def make(kind=Adversarial, **changes) -> Adversarial:
        torch.manual_seed(changes.pop("init", 0))
        arguments = dict(
            generator=generator(), discriminator=discriminator(depth=[1]), augmentation=NoAugmentation(),
            optimizer=partial(torch.optim.Adam, betas=(0.0, 0.9)), generator_lr=2e-3, discriminator_lr=1e-3,
            ema_halflife=0.01, max_nonfinite=3, batch_size=4, num_classes=3,
        )  # fmt: skip
        return kind(**arguments | changes)

    return make
