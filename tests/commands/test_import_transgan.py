"""import-transgan: a run from a published checkpoint, sampled and evaluated like any other, or every reason why not."""

import json

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from transgan import checkpoint
from transgan.commands import import_transgan
from transgan.config.compose import compose
from transgan.official import STAGES, to_official

NARROW = {"generator": 16, "discriminator": 24}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """The published networks with a part of their widths."""
    recipe = import_transgan.recipe

    def of(architecture, config):
        composed = recipe(architecture, config)
        for group, part in NARROW.items():
            composed[group].dim = [width // part for width in composed[group].dim]
            composed[group].num_heads = [1] * len(composed[group].dim)
        return composed

    monkeypatch.setattr(import_transgan, "recipe", of)


def published(architecture, prefix="module."):
    """A training checkpoint as the published code writes it, and our weights in it."""
    config = import_transgan.recipe(
        architecture, OmegaConf.create({"name": "x", "runs": "runs", "data": {"path": None}})
    )
    ours = {name: instantiate(config[name], _convert_="all").state_dict() for name in NARROW}
    ours["average"] = {name: value + 1 for name, value in ours["generator"].items()}
    theirs = {
        name: {prefix + key: value for key, value in to_official(state, architecture).items()}
        for name, state in ours.items()
    }
    return {
        "epoch": 12, "gen_model": "G", "dis_model": "D", "gen_state_dict": theirs["generator"],
        "dis_state_dict": theirs["discriminator"], "avg_gen_state_dict": theirs["average"], "gen_optimizer": {"state": {}},
        "dis_optimizer": {"state": {}}, "best_fid": np.float64(9.3), "path_helper": {"prefix": "logs"},
        "fixed_z": torch.randn(4, 256),
    }, ours  # fmt: skip


@pytest.mark.parametrize("architecture", ["cifar10", "celebahq256"])
def test_a_training_checkpoint_becomes_a_run(architecture, inside, tmp_path):
    contents, ours = published(architecture)
    torch.save(contents, tmp_path / "theirs.pth")
    code, out, err = inside("import-transgan", "theirs.pth", "name=theirs", "kimg=500")
    assert code == 0, err
    assert f"generator, generator_ema, discriminator of TransGAN's {architecture}" in out
    assert "left    epoch, gen_model" in out and "fixed_z" in out
    module, saved = checkpoint.load(tmp_path / "runs/theirs/checkpoints/last.ckpt")
    for network, name in (
        (module.generator, "generator"),
        (module.discriminator, "discriminator"),
        (module.generator_ema, "average"),
    ):
        assert all(torch.equal(value, ours[name][key]) for key, value in network.state_dict().items())
    assert saved["images_seen"] == 500_000
    assert json.loads((tmp_path / "runs/theirs/env.json").read_text())["command"][1] == "import-transgan"
    assert OmegaConf.load(tmp_path / "runs/theirs/config.yaml").generator == saved["config"]["generator"]
    if architecture == "cifar10":
        code, _, err = inside("sample", "runs/theirs", "seeds=0-3", "to=npz", "out=all.npz")
        assert code == 0, err
        images = np.load(tmp_path / "all.npz")["images"]
        expected = module.generate([2])[0].permute(1, 2, 0).numpy()
        assert np.abs(images[2].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("architecture", STAGES)
def test_the_architecture_is_known_by_its_names(architecture, inside, tmp_path):
    contents, ours = published(architecture, prefix="")
    torch.save(contents["gen_state_dict"], tmp_path / "theirs.pth")  # a generator alone
    code, out, err = inside("import-transgan", "theirs.pth")
    assert code == 0, err
    assert f"of TransGAN's {architecture} " in out and "there is no discriminator in it" in out
    module, _ = checkpoint.load(tmp_path / "runs/transgan_imported/checkpoints/last.ckpt")
    for network in (module.generator, module.generator_ema):
        assert all(torch.equal(value, ours["generator"][key]) for key, value in network.state_dict().items())


def test_a_run_can_be_evaluated(inside, tmp_path, pictures, monkeypatch):
    torch.save(published("cifar10")[0], tmp_path / "theirs.pth")
    recipe, folder = import_transgan.recipe, compose("train", ["data=folder", "data.path=real"]).data
    folder.resolution, folder.channels = 32, 3

    def with_pictures(architecture, config):  # CIFAR-10 is not here
        composed = recipe(architecture, config)
        composed.data = folder
        return composed

    monkeypatch.setattr(import_transgan, "recipe", with_pictures)
    pictures(tmp_path / "real", count=20)
    assert inside("import-transgan", "theirs.pth", "name=theirs")[0] == 0
    code, out, err = inside(
        "evaluate",
        "runs/theirs",
        "metrics=fast",
        "extractor=classifier",
        "extractor.steps=2",
        "num_samples=32",
        "bounds=false",
    )
    assert code == 0, err
    assert "fd_classifier" in out and "EMA weights" in out


def test_every_difference_is_listed_and_nothing_written(refused, tmp_path):
    contents, _ = published("cifar10")
    del contents["gen_state_dict"]["module.l1.weight"], contents["dis_state_dict"]["module.cls_token"]
    contents["gen_state_dict"]["module.l9.weight"] = torch.ones(2)
    contents["avg_gen_state_dict"]["module.pos_embed_1"] = torch.ones(1, 2, 3)
    torch.save(contents, tmp_path / "theirs.pth")
    err = refused("import-transgan", "theirs.pth")
    for finding in (
        "TransGAN's cifar10, which is the nearest; nothing was written. 4 differences:",
        "generator: l1.weight is missing", "generator: l9.weight is unknown", "discriminator: cls_token is missing",
        "generator_ema: pos_embed_1 is (1, 2, 3) and not (1, 64, 64)",
    ):  # fmt: skip
        assert finding in err
    assert not (tmp_path / "runs").exists()
    assert "does not hold the weights of TransGAN's stl10; nothing was" in refused(
        "import-transgan", "theirs.pth", "architecture=stl10"
    )


def test_other_files_are_refused(refused, inside, tmp_path):
    contents, _ = published("cifar10")
    assert "a checkpoint is needed: `transgan import-transgan PATH`" in refused("import-transgan")
    assert "there is no checkpoint at nowhere.pth" in refused("import-transgan", "nowhere.pth")
    torch.save(contents, tmp_path / "theirs.pth")
    assert "architecture=mnist: it takes cifar10, stl10" in refused(
        "import-transgan", "theirs.pth", "architecture=mnist"
    )
    for change, sentence in (
        (contents["dis_state_dict"], "holds a discriminator alone"),
        (contents | {"model": 1}, "model is unknown"),
        ({"dis_state_dict": contents["dis_state_dict"]}, "holds no generator"),
        ([1, 2], "neither weights by name nor"),
        (contents | {"args": print}, "more than tensors and plain values"),
    ):
        torch.save(change, tmp_path / "other.pth")
        assert sentence in refused("import-transgan", "other.pth")
    (tmp_path / "text.pth").write_text("hello")
    assert "is damaged" in refused("import-transgan", "text.pth")
    assert inside("import-transgan", "theirs.pth")[0] == 0
    code, _, err = inside("import-transgan", "theirs.pth")
    assert code == 2 and "holds a run already; give another name=" in err


def test_a_run_of_ours_needs_no_import(refused, tmp_path):
    folder = tmp_path / "cats" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"state_dict": {}, "config": {}, "images_seen": 0, "data": None}, folder / "best.ckpt")
    for path in ("cats/checkpoints/best.ckpt", "cats"):
        said = refused("import-transgan", path, "name=again")
        assert f"{path} is of a run of transgan already" in said and f"`transgan sample {path}`" in said
        assert "unknown" not in said
    (tmp_path / "empty").mkdir()
    assert "empty: it is a folder; give the file" in refused("import-transgan", "empty", "name=again")
