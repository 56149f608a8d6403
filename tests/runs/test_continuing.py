"""The same command continues a run although the defaults have changed since; what its user changes is a change.

A run whose recorded command leaves out what it was trained with is one of a version in which that was the default.
"""

import json
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from transgan.runs.continuing import ABSENT, own
from transgan.runs.resuming import Rules, as_begun

OTHERS = [
    "penalty=r1", "algorithm.gamma=3.0", "loss=hinge", "matching=energy", "optimizer.betas=[0.5,0.9]",
    "generator.dim=[16]", "batch_size=20",
]  # fmt: skip


@pytest.fixture
def of_before(inside, tiny, tmp_path):
    """A run that was begun when OTHERS were the defaults; where: "checkpoint" or "env.json" has its command."""

    def begin(where: str, *more: str):
        words = [word for word in tiny if not word.startswith(("generator.dim=", "batch_size="))]
        code, _, err = inside("train", *words, *OTHERS, *more, "name=it", "kimg=0.1")
        assert code == 0, err
        folder = tmp_path / "runs" / "it"
        path = folder / "checkpoints" / "last.ckpt"
        saved = torch.load(path, weights_only=True)
        begun = [word for word in saved.pop("arguments") if word not in OTHERS]
        if where == "checkpoint":
            saved["arguments"] = begun
            (folder / "env.json").unlink()
        else:
            env = json.loads((folder / "env.json").read_text())
            (folder / "env.json").write_text(json.dumps(env | {"command": ["transgan", "train", *begun]}))
        torch.save(saved, path)
        return begun, folder

    return begin


def config(folder) -> dict:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["config"]


@pytest.mark.parametrize("where", ["checkpoint", "env.json"])
def test_the_same_command_continues_it(inside, of_before, where):
    begun, folder = of_before(where)
    before = config(folder)
    code, out, err = inside("train", *[word.replace("kimg=0.1", "kimg=0.2") for word in begun])
    assert code == 0, err
    assert "plan    as it was begun, although today's defaults are others: " in out and "penalty" in out
    after = config(folder)
    parts = ("penalty", "loss", "optimizer", "generator", "batch_size", "discriminator", "metrics")
    assert {key: after[key] for key in parts} == {key: before[key] for key in parts}
    weight = before["matching"]["weight"]
    assert after["matching"] == before["matching"] | {"weight": weight | {"kimg": 0.2}}  # ends with the run, as it did
    assert after["algorithm"]["gamma"] == 3.0 and after["algorithm"]["generator"] == before["generator"]
    assert after["kimg"] == 0.2
    assert yaml.safe_load((folder / "config.yaml").read_text())["penalty"] == before["penalty"]


def test_the_length_of_then_is_kept(inside, of_before):
    """kimg may change without force=true, and is all the same what the run began with."""
    begun, folder = of_before("checkpoint")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    saved["arguments"].remove("kimg=0.1")
    torch.save(saved, folder / "checkpoints" / "last.ckpt")
    code, out, err = inside("train", *[word for word in begun if word != "kimg=0.1"])
    assert code == 0 and "is finished: 0.1 of 0.1 kimg" in out, out + err


@pytest.mark.parametrize("change, said", [
    ("penalty=none", "penalty"), ("algorithm.gamma=2.0", "algorithm.gamma: 3.0 -> 2.0"), ("loss=non_saturating", "loss."),
    ("generator.depth=[2]", "architecture"), ("matching.class_distance=2.0", "matching.class_distance: 1.0 -> 2.0"), ("batch_size=30", "batch_size: 20 -> 30"),
])  # fmt: skip
def test_a_change_by_the_user_is_a_change(inside, of_before, change, said):
    begun, _ = of_before("checkpoint")
    code, _, err = inside("train", *begun, change)
    assert code == 2 and said in err and "config=" in err, err


def test_a_change_by_force_leaves_the_rest(inside, of_before):
    begun, folder = of_before("checkpoint")
    before = config(folder)
    code, _, err = inside(
        "train", *[word for word in begun if word != "kimg=0.1"], "kimg=0.2", "algorithm.gamma=2.0", "force=true"
    )
    after = config(folder)
    assert code == 0, err
    assert after["algorithm"]["gamma"] == 2.0 and after["penalty"] == before["penalty"]
    code, _, err = inside("train", *begun[:-1], "kimg=0.3", "penalty=r1_r2", "force=true")
    assert code == 0, err
    assert config(folder)["algorithm"]["penalty"] == config(folder)["penalty"] == before["penalty"] | {"fake": True}


def test_what_a_refusal_proposes_continues_it(inside, of_before):
    """Without a record of its command, its own config.yaml has all."""
    begun, folder = of_before("checkpoint")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    del saved["arguments"]
    torch.save(saved, folder / "checkpoints" / "last.ckpt")
    code, _, err = inside("train", *begun)
    assert code == 2 and "other settings" in err or "another architecture" in err
    assert f"config={folder.relative_to(folder.parent.parent)}/config.yaml" in err.replace(
        str(folder.parent.parent) + "/", ""
    )
    code, out, err = inside("train", f"config={folder}/config.yaml", "kimg=0.2")
    assert code == 0, err
    assert "from 0.1" in out


def test_changes_of_the_users_own_files_are_changes(inside, tiny, tmp_path):
    own_file = tmp_path / "conf" / "experiment" / "mine.yaml"
    own_file.parent.mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - digits\nalgorithm:\n  gamma: {}\n"
    own_file.write_text(text.format(1.0))
    words = ["train", *tiny, "experiment=mine", "kimg=0.1", "name=it"]
    assert inside(*words)[0] == 0
    own_file.write_text(text.format(2.0))
    code, _, err = inside(*words, "evaluate_at_start=false")
    assert code == 2 and "algorithm.gamma: 1.0 -> 2.0" in err


@pytest.mark.parametrize("before, after, key, value", [
    ("optimizer.fused=null", "optimizer.fused=true", "fused", True),
    ("optimizer.fused=true", "optimizer.fused=null", "fused", None),
    ("optimizer.weight_decay=0.0", "optimizer.weight_decay=0.1", "weight_decay", 0.1),
    ("optimizer.eps=1e-8", "optimizer.eps=1e-6", "eps", 1e-6),
])  # fmt: skip
def test_an_optimizers_options_are_those_of_its_configuration(inside, tiny, tmp_path, before, after, key, value):
    words = ["train", *tiny, "name=it"]
    assert inside(*words, before, "kimg=0.1")[0] == 0
    code, out, err = inside(*words, after, "kimg=0.2", "force=true")
    assert code == 0 and "from 0.1" in out, err
    saved = torch.load(tmp_path / "runs" / "it" / "checkpoints" / "last.ckpt", weights_only=True)
    for optimizer in saved["optimizer_states"]:
        assert [group[key] for group in optimizer["param_groups"]] == [value]
        assert all(float(state["step"]) > 3 for state in optimizer["state"].values())  # it goes on


PART = {"_target_": "transgan.penalties.R1R2", "real": True}


@pytest.mark.parametrize("saved, base, new, expected", [
    ({"seed": 1}, {"seed": 2}, {"seed": 2}, {("seed",): 1}),
    ({"seed": 1}, {"seed": 2}, {"seed": 3}, {}),
    ({"seed": 1}, {"seed": 1}, {"seed": 3}, {}),
    ({"runs": "a"}, {"runs": "b"}, {"runs": "b"}, {}),  # free
    ({}, {"matching": {"_target_": "x"}}, {"matching": {"_target_": "x"}}, {("matching",): None}),
    ({}, {"new_key": 1}, {"new_key": 1}, {}),
    ({"penalty": PART}, {"penalty": PART | {"fake": True}}, {"penalty": PART | {"fake": True}}, {}),  # its default
    ({"penalty": PART}, {"penalty": PART | {"fake": False}}, {"penalty": PART | {"fake": False}},
     {("penalty", "fake"): ABSENT}),
    ({"penalty": PART}, {"penalty": {"_target_": "y"}}, {"penalty": {"_target_": "y"}}, {("penalty",): PART}),
    ({"penalty": PART}, {"penalty": {"_target_": "y"}}, {"penalty": {"_target_": "z"}}, {}),
    ({"penalty": PART}, {"penalty": {"_target_": "y"}}, {"penalty": None}, {}),
    ({"supervision": {"a": [1, 2]}}, {"supervision": {"a": [3]}}, {"supervision": {"a": [3]}},
     {("supervision", "a"): [1, 2]}),
])  # fmt: skip
def test_a_merge_of_three(saved, base, new, expected):
    assert dict(own(saved, base, new, Rules.read())) == expected


def test_what_is_proposed_can_be_pasted_whatever_the_name():
    folder = Path("runs") / 'Bär "x"\'$'
    assert shlex.split(as_begun(folder)) == [f"config={folder}/config.yaml"]
