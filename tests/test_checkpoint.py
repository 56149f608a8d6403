"""Checkpoints: complete or absent, restored bit by bit, and a sentence for everything that is not one."""

import copy
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from transgan import checkpoint
from transgan.checkpoint import AtomicCheckpointIO, CheckpointError
from transgan.config.compose import compose

TINY = [
    "generator.dim=[8]", "generator.depth=[1]", "generator.num_heads=[1]", "generator.style_dim=8",
    "generator.mapping_depth=1", "discriminator.dim=[8]", "discriminator.depth=[1]", "discriminator.num_heads=[1]",
]  # fmt: skip


@pytest.fixture(scope="module")
def config():
    composed = compose("train", TINY)
    composed.num_classes = 3
    return OmegaConf.to_container(composed, resolve=True)


@pytest.fixture
def saved(config):
    return {"state_dict": checkpoint.build(config).state_dict(), "config": config, "images_seen": 640}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def save(content, path) -> Path:
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def test_round_trip(saved, tmp_path):
    path = save(saved, tmp_path / "deep" / "a=b.ckpt")
    module, content = checkpoint.load(path)
    assert not module.training and module.images_seen == content["images_seen"] == 640
    assert content["config"] == saved["config"]
    for name, value in module.state_dict().items():
        assert torch.equal(value, saved["state_dict"][name])
    assert module.generate([0, 1]).shape == (2, 1, 8, 8)
    assert [each.name for each in path.parent.iterdir()] == ["a=b.ckpt"]


def test_nothing_but_tensors_and_plain_containers_is_loaded(saved, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "evil.ckpt"
    torch.save(saved | {"extra": Evil()}, path)
    with pytest.raises(CheckpointError, match="holds an object of .*, and only tensors and plain containers"):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(monkeypatch, tmp_path, error):
    path = save({"value": 1}, tmp_path / "last.ckpt")
    old = path.read_bytes()

    def half(content, file):
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(type(error)):
        save({"value": 2}, path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_file_under_its_name_is_never_half(monkeypatch, tmp_path):
    """While it is written, the old one stands under the name."""
    path, real, seen = save({"value": 1}, tmp_path / "last.ckpt"), torch.save, []

    def watched(content, file):
        real(content, file)
        seen.append(torch.load(path)["value"])

    monkeypatch.setattr(torch, "save", watched)
    with open(path, "rb") as reader:  # one who reads it meanwhile reads the old one to its end
        before = path.read_bytes()
        save({"value": 2}, path)
        assert reader.read() == before
    assert seen == [1] and torch.load(path)["value"] == 2


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.999])
def test_a_truncated_file(saved, tmp_path, keep):
    path = save(saved, tmp_path / "last.ckpt")
    data = path.read_bytes()
    data = data[: keep if isinstance(keep, int) else int(keep * len(data))]
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as error:
        checkpoint.read(path)
    assert f"{path} is damaged or not a checkpoint (it has {len(data):,} bytes); restore it" in str(error.value)


def test_what_is_not_ours(tmp_path):
    text = tmp_path / "notes.ckpt"
    text.write_text("hello\n")
    with pytest.raises(CheckpointError, match=r"notes.ckpt is damaged or not a checkpoint \(it has 6 bytes\)"):
        checkpoint.read(text)
    pickled = tmp_path / "pickle.ckpt"
    pickled.write_bytes(pickle.dumps({"state_dict": {}}))
    with pytest.raises(CheckpointError, match="pickle.ckpt"):
        checkpoint.read(pickled)
    foreign = tmp_path / "foreign.pt"
    torch.save({"state_dict": {}, "epoch": 3}, foreign)
    with pytest.raises(CheckpointError, match="foreign.pt is not a checkpoint of transgan: it lacks config, im"):
        checkpoint.read(foreign)
    torch.save([torch.ones(2)], foreign)
    with pytest.raises(CheckpointError, match="is not a checkpoint of transgan"):
        checkpoint.read(foreign)
    with pytest.raises(CheckpointError, match="none.ckpt cannot be read: No such file"):
        checkpoint.read(tmp_path / "none.ckpt")


def test_mismatched_weights_are_listed(config, saved, tmp_path):
    module = checkpoint.build(config)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    weights = saved["state_dict"]
    weights["generator.head.bias"] = torch.zeros(3)
    weights["generator.more"] = weights.pop("discriminator.norm.weight")
    weights["discriminator.head.weight"] += 1
    with pytest.raises(CheckpointError) as error:
        checkpoint.load_weights(module, saved, "x.ckpt")
    message = str(error.value)
    shape = tuple(before["generator.head.bias"].shape)
    assert f"generator.head.bias is (3,) in the checkpoint and {shape} in the network" in message
    assert (
        "discriminator.norm.weight is only in the network" in message
        and "generator.more is only in the checkpoint" in message
    )
    assert "x.ckpt" in message and "more;" not in message
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())  # untouched


def test_a_long_list_is_cut(config):
    module = checkpoint.build(config)
    with pytest.raises(CheckpointError, match=f"and {len(module.state_dict()) - 6} more;"):
        checkpoint.load_weights(module, {"state_dict": {}}, "x.ckpt")


@pytest.mark.parametrize("place", [(), ("generator",), ("loss",), ("gamma",)])
@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "torch.os.system",
        "transgan.checkpoint.os.system",
        "torch.hub.load",
        "torch.nn.None",
    ],  # fmt: skip
)
def test_a_configuration_runs_nothing_foreign(config, target, place):
    config = copy.deepcopy(config)
    node = config["algorithm"]
    for key in place:
        node = node[key]
    node["_target_"] = target
    with pytest.raises(CheckpointError, match=f"asks to run {target}"):
        checkpoint.require_trusted(config)


def test_a_foreign_target_in_a_list_is_seen(config):
    with pytest.raises(CheckpointError, match="asks to run os.system"):
        extra = [[{"_target_": "os.system", "command": "true"}]]
        checkpoint.require_trusted({"algorithm": config["algorithm"] | {"extra": extra}})


def test_find(tmp_path):
    with pytest.raises(CheckpointError, match="there is no run folder or checkpoint at .*nothing; `ls runs`"):
        checkpoint.find(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="holds no checkpoints/last.ckpt; train it first"):
        checkpoint.find(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "last.ckpt").touch()
    assert checkpoint.find(tmp_path) == checkpoint.find(str(tmp_path), "last") == folder / "last.ckpt"
    (folder / "best.ckpt").touch()
    assert checkpoint.find(tmp_path) == folder / "best.ckpt"
    assert checkpoint.find(tmp_path, "last") == folder / "last.ckpt"
    assert checkpoint.find(folder / "last.ckpt") == folder / "last.ckpt"
    (folder / "last.ckpt").unlink()
    with pytest.raises(CheckpointError, match="holds no checkpoints/last.ckpt"):
        checkpoint.find(tmp_path, "last")
    with pytest.raises(CheckpointError, match="must be best or last, not 'newest'"):
        checkpoint.find(tmp_path, "newest")


def test_find_expands_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.ckpt").touch()
    assert checkpoint.find("~/x.ckpt") == tmp_path / "x.ckpt"


def test_a_package_named_as_trusted_may_be_built(monkeypatch):
    config = {"algorithm": {"_target_": "fractions.Fraction"}}
    with pytest.raises(CheckpointError, match="TRANSGAN_TRUST=fractions"):
        checkpoint.require_trusted(config)
    monkeypatch.setenv("TRANSGAN_TRUST", "other:fractions")
    checkpoint.require_trusted(config)


def test_data_and_metrics_are_checked_too():
    for part in ("data", "metrics"):
        with pytest.raises(CheckpointError, match="os.system"):
            checkpoint.require_trusted({"algorithm": {}, part: {"_target_": "os.system"}})
