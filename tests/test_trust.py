"""What a loaded configuration names is run only if it is ours or a user has said so, wherever it stands."""

import copy
import itertools
import re
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from transgan import checkpoint, trust
from transgan.checkpoint import CheckpointError
from transgan.config.compose import compose
from transgan.config.own import typed_targets
from transgan.errors import UserError
from transgan.extensions import CONF
from transgan.instantiation import escaped, make


@pytest.fixture
def marker(tmp_path, monkeypatch) -> Path:
    """A file that hostile code makes; the code lies in the current folder, from which Python imports."""
    path = tmp_path / "ran"
    for name in ("evil", "evil_too", "hubconf"):
        touch = f"import pathlib\npathlib.Path({str(path)!r}).touch()\n"
        (tmp_path / f"{name}.py").write_text(f"{touch}dependencies = []\nclass Network: pass\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TRANSGAN_TRUST", raising=False)
    return path


def hostile(path: Path) -> list[dict]:
    """Groups of keys that would make `path` if they were turned into objects."""
    touch = f"touch {path}"
    return [
        {"_target_": "os.system", "command": touch},
        {"_target_": "subprocess.run", "args": ["touch", str(path)]},
        {"_target_": "subprocess.Popen", "_args_": [["touch", str(path)]], "_recursive_": False},
        {"_target_": "torch.hub.load", "repo_or_dir": str(path.parent), "model": "x", "source": "local"},
        {"_target_": "builtins.exec", "_args_": [f"open({str(path)!r}, 'w')"]},
        {"_target_": "builtins.open", "file": str(path), "mode": "w"},
        {"_target_": "evil.Network", "_partial_": True},
        {"_target_": "evil_too.Network"},
        {"_target_": "runpy.run_path", "path_name": str(path.parent / "evil.py")},
        {"_target_": "functools.partial", "_args_": [{"_target_": "hydra.utils.get_method", "path": "evil.Network"}]},
        {"_target_": "hydra.utils.instantiate", "config": {"target": "evil.Network"}},
        {"_target_": "pathlib.Path.touch", "self": {"_target_": "pathlib.Path", "_args_": [str(path)]}},
        {"_target_": "transgan.checkpoint.os.system", "command": touch},
        {"_target_": "transgan.data.files.os.system", "command": touch},
        {"_target_": "transgan.files.write_text", "path": str(path), "text": "x"},
        {"_target_": "transgan.checkpoint.load", "path": str(path)},
        {"_target_": "transgan.metrics.statistics.write_statistics", "path": str(path)},
        {"_target_": "transgan.models.backbone_discriminator.timm.create_model", "model_name": "x"},
        {"_target_": "torch.nn.modules.module.torch.hub.load", "repo_or_dir": str(path.parent), "model": "x"},
        {"_target_": "torch.nn.Module.register_forward_hook"},
        {"_target_": "torch.nn.utils.parametrize.cached"},
        {"_target_": "torch.save", "obj": 1, "f": str(path)},
        {"_target_": "timm.models.load_checkpoint", "checkpoint_path": str(path)},
        {"_target_": "torchvision.datasets.utils.download_url", "url": f"file://{path}", "root": str(path.parent)},
        {"_target_": "pytorch_lightning.LightningModule.load_from_checkpoint", "checkpoint_path": str(path)},
        {"_target_": "transgan..os.system", "command": touch},
        {"_target_": "Transgan.losses.Hinge"},
        {"_target_": "transgan.losses.Hinge ", "command": touch},
        {"_target_": "transgan.losses.__builtins__.exec", "_args_": [touch]},
        {"_target_": "system", "command": touch},
        {"_target_": ["os.system"], "command": touch},
        {"_target_": {"_target_": "os.system"}, "command": touch},
    ]


def configuration(*words: str) -> dict:
    """A full one, as a checkpoint holds it."""
    composed = compose("train", ["generator.dim=[8]", "generator.depth=[1]", "generator.num_heads=[1]", *words])
    composed.num_classes = 3
    return OmegaConf.to_container(composed, resolve=True)


@pytest.fixture(scope="module")
def gan():
    return configuration("augmentation=ada", "trainer=ddp", "penalty=r1_lazy")


@pytest.fixture(scope="module")
def gpt():
    composed = compose("train", ["experiment=digits_gpt"])
    composed.num_classes = 3
    return OmegaConf.to_container(composed, resolve=True)


def keys(node, above=()):
    """Every place in nested containers, lists too."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield (*above, key)
        yield from keys(value, (*above, key))


def put(config: dict, place: tuple, node) -> dict:
    """A copy with `node` at one place."""
    config = copy.deepcopy(config)
    inner = config
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = node
    return config


def save(config, path="x.ckpt") -> str:
    torch.save({"state_dict": {}, "config": config, "images_seen": 0}, path)
    return path


def test_every_key_of_a_checkpoint(gan, gpt, marker):
    attacks = itertools.cycle(hostile(marker))
    count = 0
    for config in (gan, gpt):
        assert checkpoint.read(save(config))["config"] == config
        for place in [*keys(config), ("more",), ("algorithm", "more")]:
            if place == ("algorithm",):
                continue
            for node in (attack := next(attacks), [1, [attack]], {"x": (attack,)}):
                with pytest.raises(CheckpointError, match=r"the checkpoint asks to run .* \(at "):
                    checkpoint.require_trusted(put(config, place, node))
            if count % 8 == 0:  # the same, with a file
                with pytest.raises(CheckpointError, match=r"x.ckpt: the checkpoint asks to run .* \(at "):
                    checkpoint.read(save(put(config, place, attack)))
            count += 1
    assert count > 400 and not marker.exists()


@pytest.mark.parametrize("place", ["extractor", "algorithm.generator.norm_layer", "augmentation", "data", "algorithm"])
def test_every_attack_at_a_few_keys(gan, marker, place):
    for node in hostile(marker):
        config = put(gan, tuple(place.split(".")), node)
        with pytest.raises(CheckpointError, match=re.escape(f"asks to run {node['_target_']} (at {place})")):
            checkpoint.read(save(config))
        with pytest.raises(trust.Untrusted, match="the configuration asks to run"):
            make(node)
        with pytest.raises(ValueError, match="asks to run"):
            checkpoint.build(put(gan, ("algorithm", "loss"), node))
    assert not marker.exists()


@pytest.mark.slow
def test_every_key_of_a_file(gan, gpt, marker):
    attacks = itertools.cycle(hostile(marker))
    (marker.parent / "plain.yaml").write_text(yaml.safe_dump(escaped(gan)), encoding="utf-8")
    assert OmegaConf.to_container(compose("train", ["config=plain.yaml"]), resolve=True) == gan
    for config, step in ((gan, 15), (gpt, 21)):  # a file takes longer to read than a checkpoint
        for place in list(keys(config))[::step] + [("more",), ("extractor",), ("metrics", "extractor"), ("logger",)]:
            if place == ("algorithm",):
                continue
            text = yaml.safe_dump(escaped(put(config, place, [next(attacks)])))
            (marker.parent / "c.yaml").write_text(text, encoding="utf-8")
            with pytest.raises(UserError, match=r"config=c.yaml: the file asks to run .* \(at "):
                compose("train", ["config=c.yaml"])
    assert not marker.exists()


@pytest.mark.parametrize(
    "text, found",
    [
        ("algorithm: {_target_: '${name}'}\nname: os.system", r"asks to run os.system \(at algorithm\)"),
        ("algorithm: &a {_target_: os.system}\ndata: *a", r"asks to run os.system \(at algorithm, data\)"),
        ("algorithm: {a: '${oc.env:HOME}'}", r"algorithm.a asks for \$\{oc.env:...\}"),
        ("algorithm: {a: 'x${b}'}\nb: [[{c: '${oc.decode:${product:1,2}}'}]]", r"b.0.0.c asks for \$\{oc.decode:...\}"),
        ("algorithm: {a: '${product:1,${oc.env:HOME}}'}", r"asks for \$\{oc.env:...\}"),
        ("algorithm: {a: '${oc.${b}:HOME}'}\nb: env", r"asks for \$\{oc.\$\{b\}:...\}"),
        ("algorithm: !!python/object/apply:os.system ['touch ran']", "is not a configuration"),
        ("algorithm: os.system", "is not a configuration"),
        ("- 1\n- 2", "is not a configuration"),
        ("a: [", "is not a configuration"),
        ("", "is not a configuration"),
    ],
)
def test_a_file_that_is_clever(marker, text, found):
    Path("c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"config=c.yaml: .*{found}"):
        compose("train", ["config=c.yaml"])
    assert not marker.exists()


def test_a_file_may_refer_to_itself(gan, marker, monkeypatch):
    config = put(gan, ("algorithm", "gamma"), {"_target_": "transgan.schedules.Linear", "start": "${seed}"})
    config = put(config, ("channels",), "${product:1,3}")
    Path("c.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    composed = compose("train", ["config=c.yaml", "seed=5"])
    assert composed.algorithm.gamma.start == 5 and composed.channels == 3


@pytest.mark.parametrize("config", [None, [], "os.system", {}, {"algorithm": "os.system"}, {"algorithm": None}])
def test_what_is_no_configuration(marker, config):
    with pytest.raises(CheckpointError, match="x.ckpt is not a checkpoint of transgan: its configuration has no"):
        checkpoint.read(save(config))


def test_texts_with_references_are_texts(gan, marker, monkeypatch):
    """A resolved configuration has no references: what looks like one in a checkpoint was a path."""
    monkeypatch.setenv("SECRET", "ran")
    for text in ("${oc.env:SECRET}", "\\${oc.env:SECRET}", "\\\\${oc.env:SECRET}", "\\\\\\${seed}", "${", "a\\b${c}"):
        assert make({"_target_": "transgan.losses.Hinge", **{}}) is not None
        made = make({"_target_": "transgan.schedules.Share", "share": text, "limit": [text]})
        assert made.share == text and made.limit == [text]
        config = put(gan, ("algorithm", "ema_halflife"), {"_target_": text, "share": 1})
        with pytest.raises(CheckpointError, match=re.escape(f"asks to run {text} (at algorithm.ema_halflife)")):
            checkpoint.read(save(config))


def test_all_that_conf_names_may_be_named():
    lines = [line.partition("#")[0] for path in CONF.rglob("*.yaml") for line in path.read_text("utf-8").splitlines()]
    found = {name for line in lines for name in re.findall(r"_target_:\s*([\w.]+)", line)}
    assert len(found) > 80
    trust.require([{"_target_": name} for name in found], "conf")


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.GELU",
        "torch.nn.modules.linear.Linear",
        "torch.optim.SGD",
        "torch.optim.adamw.AdamW",
        "transgan.models.pixel_rnn.RowLSTM",
        "transgan.callbacks.samples.Samples",
        "transgan.training.transgan_official.TransGANOfficial",
    ],
)
def test_others_of_the_same_kinds_may_be_named(name):
    trust.require({"_target_": name}, "x")


@pytest.mark.parametrize("said, runs", [
    ("mine", True), ("other:mine", True), ("mine.Network", True), ("mine.N", False), ("min", False), ("", False),
    ("mine.os", False),
])  # fmt: skip
def test_what_a_user_names_as_trusted(marker, monkeypatch, said, runs):
    Path("mine.py").write_text(
        "import os\nfrom torch import hub, nn\nLinear = nn.Linear\n"
        "class Network(nn.Identity): pass\ndef network(): return nn.Identity()\n",
        encoding="utf-8",
    )
    node = {"_target_": "mine.Network"}
    with pytest.raises(trust.Untrusted, match=r"; if you trust that code, set TRANSGAN_TRUST=mine.Network$"):
        make(node)
    monkeypatch.setenv("TRANSGAN_TRUST", said)
    if not runs:
        with pytest.raises(trust.Untrusted, match="mine.Network"):
            make(node)
        return
    assert type(make(node)).__name__ == "Network"
    with pytest.raises(trust.Untrusted, match="os.system"):  # what it imports is not its own
        make({"_target_": "mine.os.system", "command": f"touch {marker}"})
    with pytest.raises(trust.Untrusted, match="hub.load"):
        make({"_target_": "mine.hub.load", "repo_or_dir": ".", "model": "x", "source": "local"})
    if said != "mine.Network":
        assert type(make({"_target_": "mine.Linear", "in_features": 1, "out_features": 1})).__name__ == "Linear"
        assert type(make({"_target_": "mine.network"})).__name__ == "Identity"
    assert not marker.exists()


def test_a_trusted_package_that_is_not_here(monkeypatch):
    monkeypatch.setenv("TRANSGAN_TRUST", "not_here:json")
    for name in ("not_here.a.Network", "json.decoder.None_"):
        with pytest.raises(trust.Untrusted, match=f"asks to run {name} .*, which cannot be imported here .*PYTHONPATH"):
            make({"_target_": name})


def test_all_of_them_are_named_at_once(gan, monkeypatch):
    config = put(gan, ("loss",), {"_target_": "a.B"})
    for place in ("data", "extractor", "logger", "generator"):
        config = put(config, (place,), {"_target_": "c.D"})
    config = put(config, ("penalty",), {"_target_": "transgan.losses.Gone"})
    with pytest.raises(trust.Untrusted) as error:
        trust.require(config, "it")
    message = str(error.value)
    assert "it asks to run c.D (at data, generator, extractor and 1 more), a.B (at loss), which is neither" in message
    assert "set TRANSGAN_TRUST=c.D:a.B; it asks to run" in message
    assert (
        "transgan.losses.Gone (at penalty), which is no class of this version of transgan; use the version" in message
    )


def test_what_a_user_types_that_user_trusts():
    words = [
        "a.module._target_=mine.A",
        "+b._target_='mine.B'",
        "c={_target_: mine.C, d: [{_target_: mine.D}]}",
        "path=x_target_y",
        "e={_target_",
        "name=mine.E",
        "./x._target_=os.system",
        "a/_target_=os.system",
        "init_from={_target_: os.system}",
        "name={_target_: os.system}",
        "x._target_",
    ]
    assert typed_targets(words) == {"mine.A", "mine.B", "mine.C", "mine.D"}


def test_a_typed_name_is_trusted_in_a_file_too(gan, marker):
    module = {"_target_": "transgan.metrics.extractors.FromModule", "module": {"_target_": "evil.Network"}, "name": "x"}
    Path("c.yaml").write_text(yaml.safe_dump(put(gan, ("extractor",), module)), encoding="utf-8")
    with pytest.raises(UserError, match=r"evil.Network \(at extractor.module\).*set TRANSGAN_TRUST=evil.Network"):
        compose("train", ["config=c.yaml"])
    assert not marker.exists()
    compose("train", ["config=c.yaml", "extractor.module._target_=torch.nn.Flatten"])
    assert not marker.exists()
    compose("train", ["config=c.yaml", "extractor.module._target_=evil.Network"])


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_files_of_weights_and_numbers_run_nothing(marker, monkeypatch):
    import numpy as np

    from transgan.data import Digits
    from transgan.metrics import extractors
    from transgan.metrics.statistics import read_statistics
    from transgan.models.backbone_discriminator import BackboneDiscriminator

    path, real, safe = marker.with_name("evil.pth"), torch.load, []
    torch.save({"conv1.weight": Touch(marker)}, path)
    np.savez(marker.with_name("evil.npz"), mu=np.array([Touch(marker)], object), sigma=np.zeros((1, 1)))

    def watched(*args, **arguments):
        safe.append(arguments.get("weights_only"))
        return real(*args, **arguments)

    monkeypatch.setattr(torch, "load", watched)
    backbone = dict(img_size=8, in_chans=3, num_classes=0, out_indices=[0], dim=4, trainable=False, pretrained=True)
    images = Digits(8, 1)
    readers = [
        lambda: BackboneDiscriminator(**backbone, model_name="resnet18.a1_in1k", weights=str(path), download=False),
        lambda: extractors.Backbone("resnet18.a1_in1k", str(path), False).prepare(images),
        lambda: extractors.ResNet56Cifar10(str(path)).prepare(images),
        lambda: extractors.MobileNetV2(str(path)).prepare(images),
        lambda: extractors.DINOv2("vits14", str(path), False).prepare(images),
        lambda: extractors.Inception(str(path), False, False).prepare(images),
        lambda: read_statistics(marker.with_name("evil.npz"), extractors.Pixels()),
        lambda: checkpoint.read(path),
    ]
    for read in readers:
        with pytest.raises(ValueError, match=r"evil\.(pth|npz)"):
            read()
    assert len(safe) >= 7 and all(safe) and not marker.exists()


def test_parts_that_do_not_fit_their_class(gan):
    attempts = {
        "Hinge cannot be trained": put(gan, ("algorithm",), {"_target_": "transgan.losses.Hinge"}),
        "gamma: Linear got an unexpected keyword argument 'warmup'; transgan train --cfg shows": put(
            gan, ("algorithm", "gamma"), {"_target_": "transgan.schedules.Linear", "start": 1, "warmup": 2}),
        "got an unexpected keyword argument 'more'": put(gan, ("algorithm", "more"), 1),
        "has no _target_": put(gan, ("algorithm",), {"loss": 1}),
    }  # fmt: skip
    for found, config in attempts.items():
        with pytest.raises(ValueError, match=found):
            checkpoint.build(config)
    with pytest.raises(ValueError, match="Share missing 1 required positional argument: 'limit'"):
        make({"_target_": "transgan.schedules.Share", "share": 1})


def test_a_constructor_with_a_fault_of_its_own_is_not_the_users(monkeypatch):
    from transgan.schedules import Share

    def broken(self, share):
        raise TypeError("unsupported operand")

    monkeypatch.setattr(Share, "__init__", broken)
    with pytest.raises(TypeError, match="unsupported operand"):
        make({"_target_": "transgan.schedules.Share", "share": 1})
