"""What `transgan data check` says of the sizes of classes, and of images outside of their folders."""

import pytest

from defects import good
from transgan.data import Folder
from transgan.data.inspection.check import check
from transgan.data.inspection.class_rules import of_balance


def found_in(counts):
    return {each.kind: each for each in of_balance(counts)}


@pytest.mark.parametrize(("counts", "rare", "said"), [
    ({"a": 121, "b": 1}, {"b": "1, 121 times fewer"}, "shows a (121) 121 times as often"),
    ({"a": 1200, "b": 1100, "c": 100, "d": 60}, {"c": "100, 12 times fewer", "d": "60, 20 times fewer"},
     "shows a (1,200) up to 20 times as often"),
])  # fmt: skip
def test_rare_classes_are_named_with_their_own_ratio(counts, rare, said):
    found = found_in(counts)
    assert found["balance"].why == rare and found["balance"].training == said and "large_classes" not in found


def test_one_large_class_beside_many_small_ones_is_what_is_named():
    found = found_in({"cats": 1200, **{f"class {i}": 60 for i in range(20)}})
    assert found.keys() == {"large_classes"} and found["large_classes"].files == ["cats"]
    assert found["large_classes"].training == "shows them 20 times as often as a class of 60"


@pytest.mark.parametrize("counts", [{"a": 100, "b": 60}, {"a": 500, "b": 50, "c": 60}, {"a": 9}, {}])
def test_balanced_classes_and_one_alone_are_not_named(counts):
    assert found_in(counts).keys() == set()


def test_a_class_without_an_image_is_as_rare_as_one_with_one():
    assert found_in({"a": 400, "b": 300, "c": 0})["balance"].why == {"c": "0, 400 times fewer"}


def filled(root, counts, outside=()):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            good(i + 100 * len(name) + sum(map(ord, name)), 8).save(root / name / f"{i}.bmp")
    for i, name in enumerate(outside):
        good(900 + i, 8).save(root / name)


@pytest.mark.parametrize(("counts", "outside", "balance"), [
    ({"a": 22, "b": 8, "c": 2}, ["loose.bmp"], {"c"}), ({"x/a": 20, "x/bb": 20}, ["x/1.bmp", "x/2.bmp"], None),
    ({"x/a": 20, "x/bb": 20}, ["x/1.bmp", "2.bmp"], None),
])  # fmt: skip
def test_an_image_outside_of_the_class_folders_is_named(tmp_path, counts, outside, balance):
    filled(tmp_path, counts, outside)
    found = {each.kind: each for each in check(tmp_path, resolution=8).findings}
    assert (
        set(found["outside"].files) == set(outside) and f"loses all {len(counts)} classes" in found["outside"].training
    )
    assert set(found["balance"].files if "balance" in found else ()) == (balance or set())
    (note,) = Folder(tmp_path, 8, 3).notes
    assert note.startswith(f"No labels: {len(outside)} image") and all(name in note for name in outside)


@pytest.mark.parametrize(("counts", "outside", "options"), [
    ({"a": 4, "bb": 4}, [f"{i}.bmp" for i in range(20)], {}), ({"photos": 20}, ["loose.bmp"], {}),
    ({"a": 20, "bb": 20}, ["loose.bmp"], {"labels": "none"}), ({"a": 20, "bb": 20}, [], {}),
])  # fmt: skip
def test_without_classes_to_lose_no_image_is_outside(tmp_path, counts, outside, options):
    filled(tmp_path, counts, outside)
    assert "outside" not in {each.kind for each in check(tmp_path, resolution=8, **options).findings}
