"""The commands run nothing that a checkpoint or a configuration of somebody else names."""

import copy
import os
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from transgan import checkpoint
from transgan.config.compose import compose
from transgan.instantiation import escaped

KEYS = ["extractor", "algorithm.generator", "data", "metrics.measures.frechet", "logger", "trainer.strategy", "more.0"]

TARGETS = ["os.system", "torch.hub.load", "builtins.exec", "evil.Network"]


@pytest.fixture(scope="module")
def configs(tiny):
    """Of a GAN and of an image GPT, resolved."""
    found = {}
    for name, words in {"gan": ["metrics=fast", *tiny[3:]], "gpt": ["experiment=digits_gpt", "trainer=cpu"]}.items():
        composed = compose("train", [*words, f"name={name}"])
        composed.num_classes = 10
        found[name] = OmegaConf.to_container(composed, resolve=True)
    return found


@pytest.fixture
def run(tmp_path, monkeypatch, configs):
    """Makes a run folder whose configuration names something hostile: run(kind, key, target) -> (folder, marker)."""
    marker = tmp_path / "ran"
    touch = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\ndependencies = []\n"
    for name in ("evil", "hubconf"):
        (tmp_path / f"{name}.py").write_text(f"{touch}class Network: pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TRANSGAN_TRUST", raising=False)
    attacks = {
        "os.system": {"command": f"touch {marker}"},
        "torch.hub.load": {"repo_or_dir": str(tmp_path), "model": "x", "source": "local"},
        "builtins.exec": {"_args_": [f"open({str(marker)!r}, 'w')"]},
        "evil.Network": {},
    }

    def make(kind: str, key: str, target: str) -> tuple[Path, Path]:
        config = copy.deepcopy(configs[kind])
        inner, (*above, last) = config, key.split(".")
        for name in above:
            inner[name] = inner.get(name) if isinstance(inner.get(name), dict) else {}
            inner = inner[name]
        inner[last] = (
            [{"_target_": target, **attacks[target]}] if last == "0" else {"_target_": target, **attacks[target]}
        )
        folder = tmp_path / "runs" / kind
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        module = checkpoint.build(configs[kind])
        saved = {
            "state_dict": module.state_dict(),
            "config": config,
            "images_seen": 640,
            "data": "x",
            "class_names": [str(i) for i in range(10)],
            "nonfinite": {},
        }
        torch.save(saved, folder / "checkpoints" / "last.ckpt")
        (folder / "config.yaml").write_text(yaml.safe_dump(escaped(config)), encoding="utf-8")
        return folder, marker

    return make


@pytest.mark.parametrize("key, target", list(zip(KEYS, TARGETS * 2, strict=False)))
def test_every_command(refused, run, tiny, key, target):
    gan, marker = run("gan", key, target)
    gpt, _ = run("gpt", key, target)
    commands = {
        "checkpoint": [
            ["evaluate", gan], ["evaluate", gan, "metrics=fast", "extractor=pixels", "data=digits"],
            ["evaluate", gan / "checkpoints" / "last.ckpt"],
            ["sample", gan], ["sample", gpt, "complete=heldout"], ["compare", gan, gpt], ["summary", gan],
            ["train", *tiny, "name=new", f"init_from={gan}"], ["train", *tiny, "name=gan"],
            ["train", *tiny, "name=new", "generator=from_gpt", f"checkpoint={gpt}"],
        ],
        "file": [["train", f"config={gan}/config.yaml", "name=new"], ["train", f"config={gpt}/config.yaml", "kimg=0.1"]],
    }  # fmt: skip
    for source, each in commands.items():
        for words in each:
            err = refused(*words)
            assert f": the {source} asks to run {target} (at {key}" in err, words
            assert not marker.exists(), words
    assert sorted(os.listdir(gan)) == ["checkpoints", "config.yaml"]
    assert not (gan.parent / "new").exists()


def test_ones_own_class_is_trusted_by_the_command_that_types_it(inside, refused, tmp_path, monkeypatch, tiny):
    (tmp_path / "own.py").write_text(
        "from torch import nn\nclass Means(nn.Module):\n    def forward(self, images):\n"
        "        return images.float().mean((1, 2))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TRANSGAN_TRUST", raising=False)
    module = ["extractor=module", "extractor.module={_target_: own.Means}", "extractor.name=means"]
    words = ["train", *tiny, "metrics=fast", *module, "metrics.num_samples=32", "kimg=0.032"]
    code, out, err = inside(*words)
    assert code == 0 and "fd_means" in out, err
    code, out, err = inside(*words, "kimg=0.064")  # the same command goes on
    assert code == 0 and "from 0.032" in out, err
    for other in (["evaluate", "runs/digits", "device=cpu"], ["train", "config=runs/digits/config.yaml", "name=b"]):
        err = refused(*other)
        assert "asks to run own.Means (at extractor.module, metrics.extractor.module), which is neither" in err
        assert "if you trust that code, set TRANSGAN_TRUST=own.Means" in err
        code, out, err = inside(*other, *(module if other[0] == "evaluate" else module[1:2]))  # typed again
        assert code == 0, err
    monkeypatch.setenv("TRANSGAN_TRUST", "own")
    code, out, err = inside("evaluate", "runs/digits", "device=cpu", "num_samples=16")
    assert code == 0 and "fd_means" in out, err


def test_the_name_of_a_folder_says_nothing(refused, run, tmp_path):
    """A user who names a folder with Tab has not said what its name says."""
    gan, marker = run("gan", "extractor", "os.system")
    folder = tmp_path / "x._target_=os.system"
    gan.rename(folder)
    for words in (
        ["evaluate", f"./{folder.name}"],
        ["sample", folder],
        ["evaluate", f"run={folder}"],
        ["summary", f"--run={folder}"],
    ):
        assert "asks to run os.system (at extractor)" in refused(*words) and not marker.exists()


def test_a_real_process_runs_nothing(transgan_process, run, tmp_path):
    gan, marker = run("gan", "extractor", "evil.Network")
    done = transgan_process("evaluate", gan, cwd=tmp_path)  # python -m imports from the current folder
    assert done.returncode == 2 and "asks to run evil.Network (at extractor" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not marker.exists()
