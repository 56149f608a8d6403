"""Our callbacks with a Trainer of the user's own, beside Lightning's."""

import csv
from types import SimpleNamespace

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from transgan.callbacks import ProgressLine, Samples, Session, Stats
from transgan.config.compose import compose
from transgan.instantiation import make

SMALL = [
    "generator.dim=[8]", "generator.depth=[1]", "generator.num_heads=[1]", "discriminator.dim=[8]",
    "discriminator.depth=[1]", "discriminator.num_heads=[1]", "batch_size=32",
]  # fmt: skip


def test_a_session_around_callbacks_is_all_they_need(tmp_path, capsys):
    config = compose("train", SMALL)
    config.num_classes = 10
    data = make(config.data)
    batches = DataLoader(TensorDataset(*data.__getitems__(list(range(96)))), batch_size=32)
    session = Session(tmp_path, kimg=0.192, dataset=data)
    keep = ModelCheckpoint(tmp_path, filename="kept")
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=session.around([keep, ProgressLine(0.0), Stats(0.064), Samples(0.096, 4)]),
    )  # fmt: skip
    trainer.fit(make(config.algorithm), batches)
    with open(tmp_path / "stats.csv") as file:
        assert [float(row["kimg"]) for row in csv.DictReader(file)] == [0.064, 0.128, 0.192]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "000000.png", "000000_096.png", "000000_192.png", "reals.png",
    ]  # fmt: skip
    assert "0.2/0.192" in capsys.readouterr().out
    states = torch.load(tmp_path / "kept.ckpt", weights_only=True)["callbacks"]
    assert states["Stats"]["steps"] == 0 and 0 < states["Session"]["seconds"] < 60


def test_the_line_leaves_out_what_is_not_known_yet():
    line, module = ProgressLine(), SimpleNamespace(nonfinite={})
    assert line.numbers(module, {}) == ""
    line.health = SimpleNamespace(finding=SimpleNamespace(word="warming up"))
    assert line.numbers(module, {}) == "warming up"
    assert line.numbers(module, {"loss": 0.5}) == "loss 0.500 | warming up"
