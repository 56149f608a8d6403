"""Tiny networks and the module that trains them, for tests of every folder."""

import os
import pickle
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, flag_override

from transgan.augmentation import DiffAugment, NoAugmentation
from transgan.extensions import CONF
from transgan.models.style_transformer import StyleTransformer
from transgan.models.vit_discriminator import ViTDiscriminator
from transgan.training.adversarial import Adversarial

pytest_plugins = ["command_line", "srun"]  # files of this folder

GENERATOR = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=[16], depth=[1], num_heads=[2], window_size=None,
    mlp_ratio=2.0, latent_dim=6, style_dim=12, mapping_depth=2,
)  # fmt: skip
DISCRIMINATOR = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, stem_dim=4, dim=[16], depth=[2], num_heads=[2],
    window_size=None, mlp_ratio=2.0, init_values=0.1,
)  # fmt: skip


if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup; runs obey it there, and tests are about runs elsewhere


@pytest.fixture(autouse=True, scope="session")
def compositions_are_remembered() -> Iterator[None]:
    """Hydra composes the same choices once: it takes 0.1 to 0.4 s, some thousand times in all tests."""
    compose, known = ConfigLoaderImpl.load_configuration, {}

    def remembered(self: ConfigLoaderImpl, *arguments: Any, **named: Any) -> DictConfig:
        places = [place.path.removeprefix("file://") for place in self.get_search_path().get_path()]
        if not all(place == str(CONF) or place.startswith(("pkg://hydra", "structured://")) for place in places):
            return compose(self, *arguments, **named)  # a folder of the test's own
        key = repr((arguments, sorted(named.items()), places))
        if key not in known:
            known[key] = pickle.dumps(compose(self, *arguments, **named))
        config = pickle.loads(known[key])
        if "hydra" in config:
            with flag_override(config, ["struct", "readonly"], [False, False]):
                config.hydra.runtime.cwd = os.getcwd()
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigLoaderImpl, "load_configuration", remembered)
        yield


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
