"""A configuration that a user has edited by hand."""

import pytest
import yaml

PARTS = {name: {"_target_": "torch.nn.Identity"} for name in ("algorithm", "data", "trainer")}


@pytest.mark.parametrize("edited", [
    {"trainer": None}, {"trainer": "cpu"}, {"logger": "tensorboard"}, {"data": "~/pictures"}, {"algorithm": {}},
    {"metrics": 3}, {"extractor": [1]}, {"trainer": {"devices": 1}}, {"data": None, "metrics": "fast"},
])  # fmt: skip
def test_parts_that_are_no_groups_are_named(refused, tmp_path, edited):
    (tmp_path / "edited.yaml").write_text(yaml.safe_dump(PARTS | edited), encoding="utf-8")
    said = refused("train", "config=edited.yaml")
    assert all(f"config=edited.yaml: {key} is not a group" in said for key in edited)
