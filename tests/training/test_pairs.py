"""Every loss goes with every penalty, each by the name it has on the command line."""

from functools import cache

import pytest
import torch
from hydra.utils import instantiate
from pytorch_lightning import Trainer

from transgan.augmentation import DiffAugment
from transgan.config.compose import compose
from transgan.config.search import groups
from transgan.consistency import BalancedConsistency
from transgan.data import Digits

STEPS, BATCH = 3, 4


@pytest.fixture(scope="module")
def digits():
    """Batches of scikit-learn's digits."""
    data = Digits()
    images, labels = zip(*(data[i] for i in range(STEPS * BATCH)), strict=True)
    images, labels = torch.stack([torch.as_tensor(image) for image in images]), torch.as_tensor(labels)
    return list(zip(images.split(BATCH), labels.split(BATCH), strict=True))


@cache
def part(group, name):
    return instantiate(compose("train", [f"{group}={name}"])[group], _convert_="all")


@pytest.mark.parametrize("penalty", groups()["penalty"])
@pytest.mark.parametrize("loss", groups()["loss"])
def test_no_number_that_is_not_finite(adversarial, generator, discriminator, digits, loss, penalty):
    module = adversarial(
        generator=generator(num_classes=10), discriminator=discriminator(num_classes=10, depth=[1]), num_classes=10,
        loss=part("loss", loss), penalty=part("penalty", penalty),
        gamma=1.0, n_critic=2, batch_size=BATCH, consistency=BalancedConsistency(1.0, 1.0, 1.0),
        augmentation=DiffAugment(0.0, 0.0, 0.0, translation=0.125, cutout=0.25),
    )  # fmt: skip
    logged = []
    module.on_train_batch_end = lambda *_: logged.append(module.log_values)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(digits, batch_size=None))
    assert len(logged) == STEPS and module.nonfinite == {"discriminator": 0, "generator": 0}
    assert all(torch.as_tensor(value).isfinite() for values in logged for value in values.values())
    assert all(value.isfinite().all() for value in module.state_dict().values())
    assert set(module.penalty.names) <= set(logged[-1]) and ("r1" in logged[-1]) == ("r1" in module.penalty.names)
