"""What a user hands to a module: images of any type but uint8 are refused, and batches count as many as they have."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Trainer
from torch.utils.data import DataLoader, TensorDataset

from transgan import checkpoint
from transgan.config.compose import compose
from transgan.ema import decay
from transgan.losses import Hinge
from transgan.penalties import R1R2, Subsampled

GREYS = torch.randint(0, 17, (10, 1, 8, 8), generator=torch.Generator().manual_seed(5))  # those of digits
IMAGES = (GREYS * 255 / 16).round().to(torch.uint8)
LABELS = torch.arange(10) % 3
SMALL = {
    "gan": ["generator.dim=[16]", "generator.depth=[1]", "generator.num_heads=[2]", "discriminator.dim=[16]",
            "discriminator.depth=[1]", "discriminator.num_heads=[2]"],
    "digits_gpt": ["algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2"],
    "masked": ["experiment=digits_gpt", "algorithm=masked", "algorithm.network.dim=16", "algorithm.network.depth=1",
               "algorithm.network.num_heads=2"],
    "digits_rnn": [],
    "digits_vae": ["autoencoder.encoder.dim=[4,8]", "autoencoder.decoder.dim=[8,8]"],
    "digits_vit_vae": [f"autoencoder.{part}.{key}" for part in ("encoder", "decoder") for key in ("dim=16", "depth=1")],
}  # fmt: skip


def build(kind, **changes):
    experiment = [] if kind in ("gan", "masked") else [f"experiment={kind}"]
    config = compose("train", [*experiment, *SMALL[kind], "batch_size=4", "resolution=8", "channels=1"])
    config.num_classes = 3
    torch.manual_seed(0)
    module = checkpoint.build(OmegaConf.to_container(config, resolve=True) | changes)
    if kind != "gan":
        module.attach(SimpleNamespace(in_memory=True, images=IMAGES), None)
    return module


def fit(module, batches=None, images=IMAGES):
    data = batches or DataLoader(TensorDataset(images, LABELS[: len(images)]), batch_size=4)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, data)
    return module


OTHERS = [IMAGES / 255, IMAGES.double(), IMAGES.bfloat16(), IMAGES.long(), IMAGES > 9, IMAGES.to(torch.int8)]


@pytest.mark.parametrize("kind", SMALL)
def test_images_of_another_type_are_refused(kind):
    module = build(kind)
    for images in OTHERS:
        with pytest.raises(
            ValueError, match=f"^images are uint8, N x C x H x W .* these are {images.dtype}: round them"
        ):
            fit(module, images=images)
        for name in ("bits_per_dim", "reconstruct"):
            if hasattr(module, name):
                with pytest.raises(ValueError, match="images are uint8"):
                    getattr(module, name)(images, LABELS)
        if hasattr(module, "complete"):
            with pytest.raises(ValueError, match="images are uint8"):
                module.complete(images[:2], 4, [0, 1], LABELS[:2])
        if kind != "gan":
            with pytest.raises(ValueError, match="images are uint8"):
                module.attach(SimpleNamespace(in_memory=True, images=images), None)
    assert module.images_seen == 0 and module.step == 0


@pytest.mark.parametrize("kind", SMALL)
def test_a_last_batch_counts_as_many_as_it_has(kind, monkeypatch):
    module, kept = build(kind), []
    where = "adversarial" if kind == "gan" else "one_network"
    monkeypatch.setattr(
        f"transgan.training.{where}.decay", lambda images, halflife: kept.append(images) or decay(images, halflife)
    )
    steps = []
    module.on_train_batch_end = lambda *_: steps.append((module.step, module.images_seen, module.images_in_step))
    fit(module)
    assert steps == [(1, 4, 4), (2, 8, 4), (3, 10, 2)] and kept == [4, 4, 2]
    saved = {}
    module.on_save_checkpoint(saved)
    again = build(kind)
    again.on_load_checkpoint(saved)
    assert (again.images_seen, again.step) == (10, 3)
    fit(again)  # a second time over the data: steps count on
    assert (again.images_seen, again.step) == (20, 6) and all(
        value.isfinite().all() for value in again.state_dict().values()
    )


def test_complete_batches_lack_nothing():
    module, saved = fit(build("digits_gpt"), images=IMAGES[:8]), {}
    module.on_save_checkpoint(saved)
    assert saved["images_seen"] == 8 and "lacking" not in saved
    old = build("digits_gpt")
    old.on_load_checkpoint({"images_seen": 12, "nonfinite": {"network": 0}})  # as earlier versions wrote it
    assert (old.images_seen, old.step) == (12, 3)


def test_the_ema_follows_the_images_since_the_generators_last_step(adversarial, monkeypatch):
    kept = []
    monkeypatch.setattr("transgan.training.adversarial.decay", lambda images, halflife: kept.append(images) or 0.5)
    make = partial(adversarial, n_critic=2, loss=Hinge())
    sizes = [4, 3, 4, 1, 6, 4, 2]
    data = [(IMAGES[:size], LABELS[:size]) for size in sizes]
    module = fit(make(), DataLoader(data, batch_size=None))
    assert kept == [7, 5, 10] and module.images_seen == sum(sizes) and module.step == 7
    saved = {}
    module.on_save_checkpoint(saved)
    again = make()
    again.on_load_checkpoint(saved)
    fit(again, DataLoader(data[:1], batch_size=None))
    assert kept == [7, 5, 10, 6]
    old = make()
    old.on_load_checkpoint({key: saved[key] for key in ("nonfinite", "adaptive")} | {"images_seen": 12})
    fit(old, DataLoader(data[:1], batch_size=None))  # as earlier versions wrote it, amid two steps
    assert kept == [7, 5, 10, 6, 8]


def test_a_batch_too_small_for_a_share_of_a_penalty(adversarial):
    module = adversarial(penalty=Subsampled(R1R2(real=True, fake=True), 0.25))
    fit(module, DataLoader([(IMAGES[:size], LABELS[:size]) for size in (4, 2)], batch_size=None))
    assert not any(module.nonfinite.values()) and module.log_values["r1"] == 0 and module.images_seen == 6
