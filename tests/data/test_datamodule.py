"""The data module under a real Trainer, and the configuration files against the classes."""

import inspect
import logging
import warnings
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.data import Digits, EndlessSampler, ImageData


class Watcher(pl.LightningModule):
    """Trains nothing much and remembers what it was shown."""

    def __init__(self, images_seen=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown = []
        if images_seen is not None:
            self.register_buffer("images_seen", torch.tensor(images_seen))

    def training_step(self, batch, _):
        self.shown.append((batch[0].clone(), batch[1].clone()))
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(data, steps, tmp_path, images_seen=None):
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    module = Watcher(images_seen)
    trainer = pl.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, datamodule=data)
    return module.shown


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_ones_of_the_sampler(tmp_path, num_workers):
    digits = Digits()
    shown = train(ImageData(digits, 600, seed=1, num_workers=num_workers), 4, tmp_path)
    assert len(shown) == 4  # 2,400 images: beyond the first epoch
    sampler = EndlessSampler(len(digits), 600, seed=1)
    for k, (images, labels) in enumerate(shown):
        indices = sampler.indices(600 * k, 600)
        assert images.dtype == torch.uint8 and images.shape == (600, 1, 8, 8) and labels.dtype == torch.int64
        assert torch.equal(images, digits.images[indices]) and torch.equal(labels, digits.labels[indices])


def test_continues_at_images_seen(tmp_path):
    data = ImageData(Digits(), 32, seed=5)
    whole = train(data, 6, tmp_path)
    rest = train(data, 2, tmp_path, images_seen=128)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[4:], rest, strict=True))


CONF = sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.stem)
def test_configuration_names_every_argument_with_its_default(path):
    assert path.read_text().startswith("# ") and "transgan train" in path.read_text().splitlines()[0]
    config = OmegaConf.create({"resolution": 12, "channels": 3, "data": OmegaConf.load(path)}).data
    parameters = dict(inspect.signature(get_class(config._target_)).parameters)
    assert set(config) - {"_target_"} == set(parameters)
    assert config.resolution == 12 and config.channels == 3
    for name, parameter in parameters.items():
        if name not in ("resolution", "channels", "path", "order"):  # of older configurations, which have no order
            assert config[name] == parameter.default


def test_all_sources_have_a_configuration():
    assert [path.stem for path in CONF] == [
        "celeba", "cifar10", "digits", "fashion_mnist", "folder", "imagenet", "lsun", "mnist", "stl10", "zip"
    ]  # fmt: skip


def test_digits_from_its_configuration():
    path = next(path for path in CONF if path.stem == "digits")
    config = OmegaConf.create({"resolution": 12, "channels": 3, "data": OmegaConf.load(path)})
    assert instantiate(config.data).images.shape == (1797, 3, 12, 12)
