"""A note at the beginning of training names a command that finds the same."""

import json
import re
import shlex

import pytest

from defects import good, in_parts
from transgan.data import Folder, hold_out


def parts(root):
    in_parts(root, train={"a": range(12), "b": range(12, 24)}, test={"a": [2], "b": [30]})
    return ["across_holdout"]


def share(root):
    in_parts(root, a={"x": range(20)}, b={"x": range(20, 40)})
    train, heldout = (sorted(each.indices.tolist()) for each in hold_out(Folder(root, 8, 3), 0.1))
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    (root / names[heldout[0]]).write_bytes((root / names[train[0]]).read_bytes())
    return ["across_holdout"]


def twins(root):
    in_parts(root, **{"a b": {"x": range(12)}, "c": {"x": range(12, 24)}})
    for seed in (3, 4):
        good(seed).save(root / "a b" / "x" / f"{seed}again.png")
    return ["exact_duplicates"]


@pytest.mark.parametrize(("fill", "options"), [
    (parts, []), (parts, ["channels=1"]), (share, ["holdout=0.1"]), (share, ["holdout=0.1", "data.labels=none"]),
    (twins, ["channels=1"]), (twins, ["data.limit=26"]),
])  # fmt: skip
def test_the_command_of_a_note_names_what_the_note_is_about(fill, options, inside, tiny_folder, tmp_path):
    kinds = fill(tmp_path / "my photos")
    words = [word for word in tiny_folder if not word.startswith(tuple(each.partition("=")[0] for each in options))]
    code, out, err = inside("train", "my photos", *words, *options, "dry_run=true", "kimg=0.032")
    assert code == 0, err
    (command,) = set(re.findall("`transgan (data check [^`]*)`", out))
    assert all(each in shlex.split(command) for each in options) and "resolution=8" in command
    assert inside(*shlex.split(command), "json=out.json", "html=null", "workers=1")[0] == 0
    found = {each["kind"]: each for each in json.loads((tmp_path / "out.json").read_text())["findings"]}
    assert set(kinds) <= set(found)
    if fill is twins:
        assert "duplicates at 8 px: 4 images in 2 groups" in out
        assert found["exact_duplicates"]["count"] == 4 and len(found["exact_duplicates"]["groups"]) == 2
    else:
        assert re.search("note    1 of [0-9]+ (images in test|held-out images) is also trained on", out)
