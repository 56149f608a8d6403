"""The modules in a Trainer of one's own: by their defaults, with Lightning's callbacks, loggers and strategies."""

import inspect
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

import transgan.training
from transgan.models.flow_transformer import FlowTransformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.masked_images import MaskedImages
from transgan.models.observation import Logistics
from transgan.models.tokens import Pixels
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.training import Adversarial, Autoregressive, Flow, Masked, Variational
from transgan.training.transgan_official import TransGANOfficial
from transgan.training.two_networks import require_trainer

IMAGES = torch.randint(0, 256, (20, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
LABELS = torch.arange(20) % 3


def fit(module, data=None, batch_size=8, **options):
    """One epoch of three batches in a Trainer that has Lightning's settings."""
    data = data or TensorDataset(IMAGES, LABELS)
    options = dict(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False) | options
    Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **options).fit(
        module, DataLoader(data, batch_size=batch_size, shuffle=True)
    )
    return module


def gan(generator, discriminator, **arguments):
    torch.manual_seed(0)
    return Adversarial(generator(num_classes=0), discriminator(num_classes=0, depth=[1]), **arguments)


def one_of(kind):
    tokens, size = lambda *a, **b: Pixels(*a, **b, levels=256), dict(img_size=8, in_chans=1, num_classes=0)
    stack = dict(dim=16, depth=1, num_heads=2, mlp_ratio=2.0)
    if kind is Autoregressive:
        return Autoregressive(ImageGPT(**size, tokens=tokens, **stack))
    if kind is Flow:
        return Flow(FlowTransformer(**size, **stack, style_dim=8))
    if kind is Masked:
        return Masked(MaskedImages(**size, tokens=tokens, **stack))
    parts = (lambda *a, **b: ConvEncoder(*a, **b, dim=[4, 8])), (lambda *a, **b: ConvDecoder(*a, **b, dim=[8, 8]))
    return Variational(VAE(8, 1, 0, 4, *parts, lambda *a, **b: Logistics(*a, **b, components=1, levels=256)))


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    example = textwrap.dedent(transgan.training.__doc__.split("\n\n", 1)[1])
    assert len([line for line in example.splitlines() if line and "import" not in line]) <= 20
    exec(compile(example, "example", "exec"), {})
    assert "torch.Size([3, 1, 8, 8])" in capsys.readouterr().out
    assert list(Path("checkpoints").glob("*.ckpt"))


def test_two_networks_are_enough_for_adversarial_training(generator, discriminator):
    module = gan(generator, discriminator)
    before = [parameter.clone() for parameter in module.parameters()]
    fit(module)
    assert module.images_seen == 20 and module.batch_size == 8 and module.step == 3
    assert module.trainer.global_step == 3 and not any(module.nonfinite.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module.generate([0, 1]).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("kind", [Autoregressive, Flow, Masked, Variational])
def test_one_network_is_enough_for_the_others(kind):
    module = fit(one_of(kind))
    assert module.images_seen == 20 and all(module.log_values[name].isfinite() for name in kind.main_values)
    assert module.generate([0]).shape == (1, 1, 8, 8)


def test_images_without_labels_will_do_unless_there_are_classes(generator, discriminator):
    for data in (TensorDataset(IMAGES), list(IMAGES)):
        assert fit(gan(generator, discriminator), data).images_seen == 20
    module = Adversarial(generator(), discriminator(), num_classes=3)
    with pytest.raises(ValueError, match="no labels, which num_classes=3 needs"):
        fit(module, TensorDataset(IMAGES))


def test_losses_reach_a_logger_and_the_progress_bar(generator, discriminator, tmp_path):
    module = gan(generator, discriminator)
    fit(module, logger=CSVLogger(tmp_path), log_every_n_steps=1)
    assert {"loss_d", "loss_g", "r1", "kimg"} <= set(module.trainer.logged_metrics)
    assert {"loss_d", "loss_g"} == set(module.trainer.progress_bar_metrics)
    assert "loss_g" in next(tmp_path.rglob("metrics.csv")).read_text()


def test_nothing_is_logged_twice_where_a_callback_reads_the_values(generator, discriminator, tmp_path):
    class Reader(Callback):
        reads_log_values = True

    module = fit(gan(generator, discriminator), logger=CSVLogger(tmp_path), callbacks=[Reader()])
    assert module.trainer.logged_metrics == {} and "loss_d" in module.log_values


def test_a_run_saved_by_model_checkpoint_goes_on_bit_by_bit(generator, discriminator, tmp_path):
    """Though the batch size is inferred, from the checkpoint where training goes on."""
    data = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8)  # in order
    common = dict(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)

    def train(epochs, path=None):
        module = gan(generator, discriminator)
        save = ModelCheckpoint(tmp_path, filename=f"{epochs}", monitor="loss_g")
        trainer = Trainer(max_epochs=epochs, callbacks=[save], **common)
        trainer.fit(module, data, ckpt_path=path, weights_only=True)
        return module, save.best_model_path

    complete, _ = train(2)
    _, path = train(1)
    continued, _ = train(2, path)
    assert continued.images_seen == complete.images_seen == 40
    for name, value in complete.state_dict().items():
        assert torch.equal(value, continued.state_dict()[name]), name


def test_load_from_checkpoint_takes_the_networks_and_restores_the_rest(generator, discriminator, tmp_path):
    module = gan(generator, discriminator, seed=5, n_critic=2)
    trainer = fit(module).trainer
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert saved["algorithm"]["_target_"] == "transgan.training.adversarial.Adversarial"
    assert saved["algorithm"]["seed"] == 5 and saved["algorithm"]["n_critic"] == 2 and saved["batch_size"] == 8


@pytest.mark.parametrize(
    "kind, base", [(Adversarial, None), (TransGANOfficial, Adversarial), (Masked, Autoregressive), (Variational, None)]
)
def test_a_signature_shows_the_arguments_that_are_passed_on(kind, base):
    names = set(inspect.signature(kind).parameters)
    assert {"batch_size", "seed", "num_classes", "clip", "mirror", "compile"} <= names and "others" not in names
    assert base is None or set(inspect.signature(base).parameters) <= names


def test_a_trainer_in_which_two_networks_cannot_be_trained_is_refused(generator, discriminator):
    module = gan(generator, discriminator)
    with pytest.raises(ValueError, match="give Trainer.strategy='ddp_find_unused_parameters_true'"):
        fit(module, strategy="ddp")
    with pytest.raises(ValueError, match="16-mixed has one loss scale for two networks"):
        require_trainer(SimpleNamespace(strategy=None, precision="16-mixed"))


PROCESSES = """
import sys, torch
from functools import partial
sys.path.insert(0, {tests!r})
from conftest import DISCRIMINATOR, GENERATOR
from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader, TensorDataset
from transgan.augmentation import NoAugmentation
from transgan.models.style_transformer import StyleTransformer
from transgan.models.vit_discriminator import ViTDiscriminator
from transgan.training import Adversarial

torch.manual_seed(0)
torch.set_num_threads(1)
images = torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8)
module = Adversarial(
    StyleTransformer(**GENERATOR | dict(num_classes=0)), ViTDiscriminator(**DISCRIMINATOR | dict(num_classes=0)),
    optimizer=partial(torch.optim.SGD, momentum=0.9), generator_lr=0.01, discriminator_lr=0.01,
)


class Note(Callback):
    def on_train_end(self, trainer, module):
        if trainer.is_global_zero:
            torch.save([module.images_seen, module.batch_size, module.step], sys.argv[2])


count = int(sys.argv[1])
trainer = Trainer(callbacks=[Note()],
    accelerator="cpu", devices=count, max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    strategy="ddp_fork_find_unused_parameters_true" if count > 1 else "auto", enable_model_summary=False,
)
trainer.fit(module, DataLoader(TensorDataset(images), batch_size=8 // count))
"""


def free_ports(count):
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        yield port


@pytest.mark.slow
def test_two_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROCESSES.replace("{tests!r}", repr(str(Path(__file__).parents[1]))), encoding="utf-8")
    for port in free_ports(3):  # another test may take one before this script does
        done = subprocess.run(
            [sys.executable, script, "2", tmp_path / "found.pt"], cwd=Path(transgan.__file__).parents[1],
            capture_output=True, text=True, timeout=300, env={**os.environ, "MASTER_PORT": str(port)},
        )  # fmt: skip
        if "EADDRINUSE" not in done.stderr:
            break
    assert done.returncode == 0, re.sub(r"\n+", "\n", done.stderr)[-2000:]
    assert torch.load(tmp_path / "found.pt") == [16, 8, 2]
