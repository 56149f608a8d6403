"""`transgan data check` of sets with parts: all are read, and what several of them have is named."""

import zipfile

import pytest

from defects import good, in_parts
from transgan.data.inspection.check import check


def kinds(report) -> dict[str, set[str]]:
    return {each.kind: set(each.files) for each in report.findings}


@pytest.mark.parametrize("packed", [False, True])
def test_every_part_is_read(tmp_path, packed):
    root = in_parts(
        tmp_path / "set",
        train={"a": range(6), "b": range(6, 12)},
        test={"a": [1, 20], "b": [21, 22]},
        val={"a": [2, 20], "b": [23, 24, 25]},
    )
    (root / "val" / "a" / "cut.png").write_bytes((root / "val" / "a" / "2.png").read_bytes()[:500])
    if packed:
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for path in root.rglob("*.png"):
                archive.write(path, path.relative_to(root))
    report = check(tmp_path / "set.zip" if packed else root, resolution=32)
    assert (report.count, report.readable, report.held) == (22, 21, 9) and report.parts == {"test": 4, "val": 6}
    leaked = {"train/a/1.png", "test/a/1.png", "train/a/2.png", "val/a/2.png"}
    found = {kind: names for kind, names in kinds(report).items() if kind != "small_classes"}
    assert found == {
        "truncated": {"val/a/cut.png"}, "across_holdout": leaked, "across_parts": {"test/a/20.png", "val/a/20.png"},
    }  # fmt: skip
    assert "Not trained on, but checked: test 4, to measure against; val 6." in report.notes


@pytest.mark.parametrize(("other", "leaks"), [("val", True), ("dev", True), ("valid_images", True), ("", False)])
def test_an_image_in_two_parts(tmp_path, other, leaks):
    """Those beside the parts leak nowhere: nothing is measured against them."""
    in_parts(tmp_path, train={"a": range(6)}, test={"a": [20]}, **({other: {"a": [21]}} if other else {}))
    good(2).save(tmp_path / other / "again.png")
    report = check(tmp_path, resolution=32)
    assert ("across_holdout" in kinds(report)) == leaks and "across_parts" not in kinds(report)
    assert report.parts == {other or "outside of them": 1 + leaks, "test": 1}


def test_a_part_without_classes_is_in_no_other_class(tmp_path):
    root = in_parts(tmp_path, train={"a": range(6), "b": range(6, 12)}, test={"": [2, 20]})
    found = kinds(check(root, resolution=32))
    assert "across_classes" not in found and found["across_holdout"] == {"train/a/2.png", "test/2.png"}


def test_duplicates_are_those_of_one_part(tmp_path):
    """What is on both sides is that, and training shows it once."""
    root = in_parts(tmp_path, train={"a": range(6)}, test={"a": [2, 20]})
    assert "exact_duplicates" not in kinds(check(root, resolution=32))
    for name in ("train/a/again.png", "test/a/again.png"):
        good(2).save(root / name)
    report = check(root, resolution=32)
    (found,) = [each for each in report.findings if each.kind == "exact_duplicates"]
    assert found.groups == [["train/a/2.png", "train/a/again.png"], ["test/a/2.png", "test/a/again.png"]]
