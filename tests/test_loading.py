"""Modules that a user trains with a Trainer of their own come back from their checkpoints."""

import runpy
import subprocess
import sys
import textwrap
import warnings
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import nn

import transgan
from transgan import instantiation
from transgan.checkpoint import CheckpointError
from transgan.config.compose import compose
from transgan.data import Digits, ImageData
from transgan.layers.norm import RMSNorm
from transgan.loadable import Loadable
from transgan.models import StyleTransformer, ViTDiscriminator
from transgan.training.adversarial import Adversarial
from transgan.training.generative import Generative

SCRIPT = """
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

import transgan
from transgan.models import StyleTransformer, ViTDiscriminator
from transgan.training.adversarial import Adversarial


class Counts(Callback):
    steps = 0

    def on_train_batch_end(self, *_):
        self.steps += 1


tiny = dict(img_size=8, in_chans=1, dim=[8], depth=[1], num_heads=[2])
gan = Adversarial(StyleTransformer(**tiny, latent_dim=8, style_dim=8), ViTDiscriminator(**tiny, stem_dim=8))
images = DataLoader(TensorDataset(torch.randint(256, (32, 1, 8, 8), dtype=torch.uint8)), batch_size=8)
counts = Counts()
pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, callbacks=[counts, ModelCheckpoint(".")]).fit(gan, images)
path = "epoch=0-step=4.ckpt"
for loaded in (transgan.load(path), Adversarial.load_from_checkpoint(path)):
    assert torch.equal(loaded.generate([1, 2]), gan.generate([1, 2]))
print(counts.steps, loaded.images_seen)
"""


class Mine(Adversarial):
    """A user's own kind of training."""


class Reshaped(nn.Module):
    """A user's own generator, which no checkpoint can describe."""

    latent_dim = 4

    def __init__(self, make=lambda: nn.Linear(4, 64)):
        super().__init__()
        self.linear = make()

    def forward(self, latent, labels=None):
        return self.linear(latent).view(-1, 1, 8, 8)


def generator() -> StyleTransformer:
    return StyleTransformer(8, 1, 10, 2, [8], [1], [2], None, 4.0, 8, 8, 1)


def adversarial(cls=Adversarial, **parts) -> Adversarial:
    """A tiny GAN, put together in Python."""
    algorithm = OmegaConf.to_container(compose("train", []), resolve=True)["algorithm"]
    for key in ("_target_", "generator", "discriminator", "num_classes"):
        del algorithm[key]
    networks = {
        "generator": generator(),
        "discriminator": ViTDiscriminator(
            8, 1, 10, 2, 8, [8], [1], [2], None, 4.0, 0.1, norm_layer=partial(RMSNorm, eps=1e-5)
        ),
    }
    return cls(**instantiation.arguments(algorithm) | {"num_classes": 10} | networks | parts)


def trained(module: Generative, folder, *callbacks: Callback, **options) -> str:
    """The checkpoint of two steps by Lightning's own Trainer."""
    saving = ModelCheckpoint(folder, filename="mine", **options)
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", logger=False, callbacks=[saving, *callbacks], enable_progress_bar=False,
        use_distributed_sampler=False, enable_model_summary=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, ImageData(Digits(), 16, 0))
    return saving.best_model_path


def same_images(one: Generative, other: Generative) -> bool:
    return torch.equal(one.generate([3, 4]), other.generate([3, 4]))


@pytest.mark.filterwarnings("ignore")
def test_a_script_of_ones_own_trains_saves_and_loads(tmp_path, monkeypatch, capsys):
    """With defaults for everything but the networks' size, and data without labels."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    runpy.run_path("script.py", run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == "4 32"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(a module trained by a Trainer of one's own, its checkpoint)"""
    module = adversarial()
    return module, trained(module, tmp_path_factory.mktemp("own"))


def test_load_reads_a_checkpoint_of_ones_own_trainer(saved):
    module, path = saved
    loaded = transgan.load(path)
    assert type(loaded) is Adversarial and not loaded.training and loaded.images_seen == module.images_seen == 32
    assert same_images(loaded, module)
    assert loaded.discriminator.norm.eps == 1e-5  # of a partial


def test_load_reads_the_folder_of_ones_own_trainer(saved, tmp_path):
    module, path = saved
    assert same_images(transgan.load(path.rpartition("/")[0]), module)
    for name in ("a", "b"):
        (tmp_path / f"{name}.ckpt").touch()
    with pytest.raises(CheckpointError, match=r"holds 2 checkpoints and none is best.ckpt or last.ckpt; give .*b.ckpt"):
        transgan.load(tmp_path)


@pytest.mark.parametrize("cls", [Adversarial, Generative])
def test_load_from_checkpoint(saved, cls):
    module, path = saved
    loaded = cls.load_from_checkpoint(path)
    assert type(loaded) is Adversarial and loaded.training and same_images(loaded, module)
    assert loaded.nonfinite == module.nonfinite


def test_what_is_loaded_goes_on_as_what_was_trained(saved, tmp_path):
    """Weights, random numbers and the data's position; a Trainer restores the optimizers with ckpt_path."""
    module, path = saved
    ends = []
    for each in (module, Adversarial.load_from_checkpoint(path)):
        trainer = pl.Trainer(
            max_steps=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            use_distributed_sampler=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(each, ImageData(Digits(), 16, 0), ckpt_path=path, weights_only=True)
        ends.append(each)
    assert ends[0].images_seen == 64 and same_images(*ends)


def test_weights_alone(saved, tmp_path):
    module = adversarial()
    assert same_images(transgan.load(trained(module, tmp_path, save_weights_only=True)), module)


def test_a_class_of_ones_own_loads_itself(tmp_path):
    module = adversarial(Mine)
    path = trained(module, tmp_path)
    assert type(loaded := Mine.load_from_checkpoint(path)) is Mine and same_images(loaded, module)
    with pytest.raises(
        CheckpointError, match="asks to run .*Mine .*TRANSGAN_TRUST=.* or use Mine.load_from_checkpoint"
    ):
        transgan.load(path)


def test_a_network_of_ones_own_is_given(tmp_path):
    module = adversarial(generator=Reshaped(), num_classes=10)
    path = trained(module, tmp_path)
    assert same_images(Adversarial.load_from_checkpoint(path, generator=Reshaped()), module)
    with pytest.raises(
        CheckpointError,
        match=r"mine.ckpt does not say how its generator was built; .* Adversarial.load_from_checkpoint\(path, gener",
    ):
        transgan.load(path)
    with pytest.raises(CheckpointError, match="of another architecture"):
        Adversarial.load_from_checkpoint(path, generator=generator())


def test_a_module_of_another_kind_is_refused(saved):
    class Other(Loadable):
        pass

    with pytest.raises(CheckpointError, match="is of Adversarial, not of Other; use Adversarial.load_from_checkpoint"):
        Other.load_from_checkpoint(saved[1])


@pytest.mark.parametrize(
    "option, match", [({"weights_only": False}, "would run code"), ({"hparams_file": "h"}, "leave")]
)
def test_options_of_lightning_that_have_no_use(saved, option, match):
    with pytest.raises(ValueError, match=match):
        Adversarial.load_from_checkpoint(saved[1], **option)


def test_an_object_in_a_callbacks_state_is_named(tmp_path):
    class Keeps(Callback):
        def state_dict(self):
            return {"device": pl.seed_everything}

    path = trained(adversarial(), tmp_path, Keeps())
    with pytest.raises(CheckpointError, match="holds an object of .*seed_everything, and only tensors and plain"):
        transgan.load(path)


def test_importing_the_package_imports_no_torch():
    code = "import sys, transgan; assert 'load' in dir(transgan); print('torch' in sys.modules, transgan.__version__)"
    shown = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert shown.stdout == f"False {transgan.__version__}\n"
    with pytest.raises(AttributeError, match="module 'transgan' has no attribute 'loud'"):
        transgan.loud  # noqa: B018
