"""Evaluation changes nothing in training, and measures what it says: the average, at full precision, when it is due."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.image.fid import FrechetInceptionDistance

from transgan import checkpoint
from transgan.callbacks.evaluation import Evaluation
from transgan.metrics import Evaluator
from transgan.sampling.pixels import to_uint8

WORDS = ["kimg=0.256", "log_every=0.064", "checkpoint_every=0.256", "sample_every=1"]
EVALUATED = [
    "metrics=fast", "extractor=pixels", "metrics.num_samples=40", "metrics.measures.score.splits=1", "evaluate_share=1",
]  # fmt: skip


def weights(folder):
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return saved["state_dict"]


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def train(inside, tiny, tmp_path):
    def run(name, *words):
        code, out, err = inside("train", *tiny, *WORDS, f"name={name}", *words)
        assert code == 0, err
        return tmp_path / "runs" / name, err

    return run


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_are_the_same_with_and_without(train, monkeypatch):
    without, _ = train("without")
    with_it, _ = train("with", *EVALUATED, "evaluate_every=0.064", "generator.style_dim=16")
    assert len(metrics(with_it)) == 6
    assert equal(weights(without), weights(with_it))

    def failing(self, generate, *_):
        generate(list(range(8)), self.labels[:8])
        torch.rand(5)
        torch.manual_seed(3)
        raise RuntimeError("amid the evaluation")

    monkeypatch.setattr(Evaluator, "__call__", failing)
    failed, err = train("failed", *EVALUATED, "evaluate_every=0.064")
    assert "evaluation failed" in err and metrics(failed)[1]["metrics"] == {"fd_pixels": None}
    assert equal(weights(without), weights(failed))

    def naive(self, trainer, module):  # the usual callback: EMA weights in, and back only where nothing fails
        kept = {name: value.clone() for name, value in module.generator.state_dict().items()}
        module.generator.load_state_dict(module.generator_ema.state_dict())
        try:
            failing(self.evaluator, module.generate)
        except RuntimeError:
            return
        module.generator.load_state_dict(kept)

    monkeypatch.setattr(Evaluation, "evaluate", naive)
    monkeypatch.setattr("transgan.runs.training.report", lambda *_: None)
    spoilt, _ = train("spoilt", *EVALUATED, "evaluate_every=0.064")
    assert not equal(weights(without), weights(spoilt))


def test_an_interval_longer_than_the_run(train):
    run, _ = train("long", *EVALUATED, "evaluate_every=1000", "evaluate_at_start=false")
    assert [line["kimg"] for line in metrics(run)] == [0.256, 0.256]  # at the end, and again with fresh seeds
    naive = [step for step in range(1, 9) if step % 31250 == 0]  # never, and then the best of none is asked for
    with pytest.raises(ValueError):
        min(naive)


def test_no_sanity_check_and_no_fast_dev_run_spoils_the_reference(train):
    run, _ = train("dev", *EVALUATED, "evaluate_every=0.064")
    assert {line["protocol"]["num_real"] for line in metrics(run)} == {1797}

    class Naive(LightningModule):  # torchmetrics in validation_step: the sanity check's batches count, too
        def __init__(self):
            super().__init__()
            network = nn.Linear(16, 16)
            network.num_features = 16
            self.fid = FrechetInceptionDistance(network, reset_real_features=False)

        def training_step(self, batch):
            return self.fid.inception(batch[0]).sum() * 0

        def validation_step(self, batch):
            self.fid.update(batch[0], real=True)

        def configure_optimizers(self):
            return torch.optim.SGD(self.fid.inception.parameters(), 0.1)

    data = DataLoader(TensorDataset(torch.rand(50, 16)), batch_size=10)
    naive = Naive()
    Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(naive, data, data)
    assert naive.fid.real_features_num_samples == 70


def test_the_ema_weights_are_measured(train, monkeypatch):
    """An average of constant black, a generator of its own: the numbers are those of black images."""
    from transgan.training.adversarial import Adversarial

    whole, seen, raw = Evaluator.__call__, [], []

    def black_average(self, generate, *rest):
        module = generate.__self__
        assert isinstance(module, Adversarial)
        kept = {name: value.clone() for name, value in module.generator_ema.state_dict().items()}
        with torch.no_grad():
            for parameter in module.generator_ema.parameters():
                parameter.zero_()
            module.generator_ema.refine.bias.fill_(-5.0)
        seen.append(generate([1, 2], self.labels[:2]).unique().tolist())

        def naive(seeds, labels):  # the generator that is being trained
            with torch.no_grad():
                return to_uint8(module.generator(torch.randn(len(seeds), module.generator.latent_dim), labels))

        raw.append(whole(self, naive).numbers["fd_pixels"])
        try:
            return whole(self, generate, *rest)
        finally:
            module.generator_ema.load_state_dict(kept)

    monkeypatch.setattr(Evaluator, "__call__", black_average)
    run, _ = train("black", *EVALUATED, "evaluate_every=0.128")
    values = {line["metrics"]["fd_pixels"] for line in metrics(run)}
    assert seen[0] == [0] and len(values) == 1
    assert not values & set(raw)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precision_of_training_is_not_that_of_the_numbers(train, inside, precision, tmp_path):
    run, _ = train(precision, *EVALUATED, "evaluate_every=0.128", f"precision={precision}", "evaluate_at_start=false")
    trained = metrics(run)[-2]["metrics"]["fd_pixels"]
    code, _, err = inside("evaluate", run, "checkpoint=last", "device=cpu", "bounds=false", "out=found.json")
    assert code == 0, err
    found = json.loads((tmp_path / "found.json").read_text())["metrics"]["fd_pixels"]
    assert found == pytest.approx(trained, rel=1e-6)
    assert torch.tensor(found, dtype=torch.float32).item() != found  # a float64, not a rounded one

    network = nn.Linear(16, 16)
    network.num_features = 16
    naive = FrechetInceptionDistance(network)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        for real in (True, False):
            naive.update(torch.rand(50, 16), real=real)
        value = naive.compute()
    assert torch.tensor(value.item(), dtype=value.dtype).item() == value.item()  # it comes as a rounded one
    assert value.dtype == (torch.bfloat16 if precision == "bf16-mixed" else torch.float32)


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", "bf16-true", "64-true"])
def test_other_precisions_are_refused(inside, tiny, precision):
    code, _, err = inside("train", *tiny, f"precision={precision}")
    assert code == 2 and f"precision={precision}: it takes 32-true or bf16-mixed; others are not for training" in err


def test_the_extractor_is_in_no_checkpoint(train):
    run, _ = train("clean", *EVALUATED, "extractor=classifier", "extractor.steps=20", "evaluate_every=0.128")
    module, saved = checkpoint.load(run / "checkpoints" / "last.ckpt")
    assert {name.split(".")[0] for name in saved["state_dict"]} == {"generator", "discriminator", "generator_ema"}
    assert not any("body" in name for name, _ in module.named_parameters())


@pytest.mark.slow
def test_without_torch_fidelity_and_scipys_root(tmp_path, pictures, tiny_folder):
    """torch-fidelity is needed for the standard Inception alone; scipy's matrix root, whose arguments have changed, not
    at all. (scipy as a whole is a need of scikit-learn and torchmetrics.)"""
    pictures(tmp_path / "mine")
    code = (
        "import sys\n"
        "import torchmetrics\n"  # which imports both where they are
        "for name in [*sys.modules, 'prdc']: sys.modules[name] = None if name.split('.')[0] in ('torch_fidelity', "
        "'prdc') else sys.modules[name]\n"
        "import scipy.linalg; scipy.linalg.sqrtm = None\n"
        "from transgan.cli import main\n"
        f"words = {[*tiny_folder, *EVALUATED, 'kimg=0.064', 'metrics.num_samples=10']!r}\n"
        "sys.exit(main(['train', 'mine', *words]) or main(['evaluate', 'runs/folder', 'metrics=paper', "
        "'num_samples=16', 'device=cpu', 'extractor=pixels', 'metrics.measures.score.splits=1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "precision_k3_pixels" in done.stdout
    with warnings.catch_warnings(), pytest.raises((DeprecationWarning, TypeError)):
        warnings.simplefilter("error")
        scipy.linalg.sqrtm(np.eye(2), disp=False)  # naive: what most code for FID calls; gone with SciPy 1.18


def test_held_out_files_that_cannot_be_read_are_counted(inside, pictures, tiny_folder, tmp_path):
    photos = tmp_path / "photos"
    pictures(photos, classes=["train", "test"], count=6)
    for path in sorted((photos / "test").iterdir())[:2]:
        path.write_text("no picture")
    words = [photos, *tiny_folder, "data.on_error=skip", "metrics.with_heldout=true", *EVALUATED]
    code, out, err = inside("train", *words, "kimg=0.032")
    assert code == 0 and "heldout 4 images, to measure against; skipped 2 unreadable" in out, err
